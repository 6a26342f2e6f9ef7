// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// What the engine makes of the device at hand, whichever that is: the name is
// printed, and on a processor's runtime the figures say nothing about GPUs.
// GOPS are 10^9 nominal operations per second. Figures are medians over turns
// within one run; the peak is measured in the same turns.

func median(v []float64) float64 { v = slices.Sorted(slices.Values(v)); return v[len(v)/2] }

// benchEngine is the engine that Open would give, and the GPU before others.
func benchEngine(b *testing.B) *engine {
	a, d := deviceOr(b)
	e, err := newEngine(b.Context(), a, d)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	b.Logf("%s on %s (%s)", e.Name(), d.Name, d.Driver)
	return e
}

func peakOf(b *testing.B, e *engine) float64 {
	peak, err := e.Peak(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return peak.Ops
}

// BenchmarkLoop is whole units of matmul/1, two at a time so that the host's
// part overlaps, against the bare product of the same shape and the peak.
func BenchmarkLoop(b *testing.B) {
	for _, n := range []int{1024, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, shape := benchEngine(b), matmul.Shape{M: n, K: n, Q: n}
			units := make([][32]byte, 2)
			var peak, unit, product, expand, condense, hash []float64
			turn := func() {
				peak = append(peak, peakOf(b, e))
				began := time.Now()
				if err := e.Matmul(b.Context(), units, seed.Seed{1}, shape,
					[]uint64{2, 3}); err != nil {
					b.Fatal(err)
				}
				unit = append(unit, time.Since(began).Seconds()/2)
				p, err := e.Parts(b.Context(), seed.Seed{1}, shape, 2)
				if err != nil {
					b.Fatal(err)
				}
				share := func(d time.Duration) float64 {
					return 100 * d.Seconds() / p.Total().Seconds()
				}
				product = append(product, p.Product.Seconds())
				expand, condense, hash = append(expand, share(p.Expand)),
					append(condense, share(p.Condense)), append(hash, share(p.Hash))
			}
			turn() // the first one pays for memory and compiles
			peak, unit, product, expand, condense, hash = nil, nil, nil, nil, nil, nil
			for b.Loop() {
				turn()
			}
			ops := float64(shape.Ops())
			b.ReportMetric(median(peak)/1e9, "peak-GOPS")
			b.ReportMetric(ops/median(product)/1e9, "product-GOPS")
			b.ReportMetric(ops/median(unit)/1e9, "unit-GOPS")
			b.ReportMetric(100*ops/median(unit)/median(peak), "%peak")
			b.ReportMetric(median(expand), "%expand")
			b.ReportMetric(median(condense), "%condense")
			b.ReportMetric(median(hash), "%hash")
		})
	}
}

// BenchmarkTransformer is full batches.
func BenchmarkTransformer(b *testing.B) {
	for _, c := range []struct {
		class transformer.Class
		units int
	}{{transformer.Nano, 256}, {transformer.Small, 32}} {
		b.Run(c.class.Name, func(b *testing.B) {
			e := benchEngine(b)
			m, err := e.Transformer(b.Context(), c.class, seed.Seed{1}, nil)
			if err != nil {
				b.Fatal(err)
			}
			out, nonces := make([]transformer.Output, c.units), make([]uint64, c.units)
			for i := range nonces {
				nonces[i] = uint64(i)
			}
			var peak, batch []float64
			turn := func() {
				peak = append(peak, peakOf(b, e))
				began := time.Now()
				if err := m.Run(out, seed.Seed{2}, seed.Seed{3}, nonces); err != nil {
					b.Fatal(err)
				}
				batch = append(batch, time.Since(began).Seconds())
			}
			turn()
			peak, batch = nil, nil
			for b.Loop() {
				turn()
			}
			ops := float64(c.class.Ops()) * float64(c.units)
			b.ReportMetric(float64(c.units)/median(batch), "nonces/s")
			b.ReportMetric(ops/median(batch)/1e9, "GOPS")
			b.ReportMetric(100*ops/median(batch)/median(peak), "%peak")
		})
	}
}

var _ profile.Engine = (*engine)(nil)
