// SPDX-License-Identifier: Apache-2.0

package cuda

import (
	"fmt"
	"testing"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The benchmarks are of the first device, tested first; in the interpreter they
// would tell nothing.
func firstDevice(b *testing.B) profile.Engine {
	b.Helper()
	all, err := Devices()
	if err != nil || len(all) == 0 {
		b.Skipf("no device: %v", err)
	}
	e, err := Open(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.(*engine).Close(); err != nil {
			b.Error(err)
		}
	})
	if err := work.SelfTest(b.Context(), e); err != nil {
		b.Fatal(err)
	}
	return e
}

// report gives operations per second, and their share of the peak where it is
// known.
func report(b *testing.B, e profile.Engine, ops float64) {
	rate := ops / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e12, "TOPS")
	if p, err := e.Peak(b.Context()); err == nil {
		b.ReportMetric(100*rate/p.Ops, "%peak")
	}
}

// Whole units of matmul/1, many in one call, and what the parts of one take.
func BenchmarkMatmul(b *testing.B) {
	e := firstDevice(b)
	for _, shape := range matmul.Published() {
		b.Run(shape.String(), func(b *testing.B) {
			parts, err := e.Parts(b.Context(), seed.Seed{1}, shape, 0)
			if err != nil {
				b.Fatal(err)
			}
			units := make([]uint64, 16)
			digests := make([][32]byte, len(units))
			done := 0
			for b.Loop() {
				for i := range units {
					units[i] = uint64(done + i)
				}
				done += len(units)
				if err := e.Matmul(b.Context(), digests, seed.Seed{1}, shape, units); err != nil {
					b.Fatal(err)
				}
			}
			report(b, e, float64(shape.Ops())*float64(done))
			b.ReportMetric(float64(shape.Ops())/parts.Product.Seconds()/1e12, "product-TOPS")
			b.ReportMetric(100*float64(parts.Expand)/float64(parts.Total()), "%expand")
			b.ReportMetric(100*float64(parts.Condense)/float64(parts.Total()), "%condense")
			b.ReportMetric(100*float64(parts.Hash)/float64(parts.Total()), "%hash")
		})
	}
}

// Units of transformer/1 in calls of four full batches.
func BenchmarkTransformer(b *testing.B) {
	e := firstDevice(b)
	for _, class := range transformer.Classes() {
		b.Run(class.Name, func(b *testing.B) {
			m, err := e.(*engine).buildModel(b.Context(), class, seed.Seed{1}, nil)
			if err != nil {
				b.Skip(err)
			}
			defer m.Close()
			nonces := make([]uint64, 4*m.units)
			out := make([]transformer.Output, len(nonces))
			done := 0
			for b.Loop() {
				for i := range nonces {
					nonces[i] = uint64(done + i)
				}
				done += len(nonces)
				if err := m.Run(out, seed.Seed{2}, seed.Seed{3}, nonces); err != nil {
					b.Fatal(err)
				}
			}
			report(b, e, float64(class.Ops())*float64(done))
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "units/s")
		})
	}
}

// One tile, as an audit asks for it.
func BenchmarkTile(b *testing.B) {
	e := firstDevice(b)
	for _, k := range []int{4096, 65536} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			for b.Loop() {
				if _, err := e.(*engine).Tile(seed.Seed{1}, 2, matmul.Shape{M: 512, K: k, Q: 512},
					3, 4); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
