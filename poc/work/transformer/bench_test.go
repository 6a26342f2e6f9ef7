// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"testing"

	"github.com/assaynet/assay/poc/seed"
)

// BenchmarkUnit is one thread's speed in the classes that the chain can judge; units are
// independent of each other, so every further core adds as much.
func BenchmarkUnit(b *testing.B) {
	for _, class := range []Class{Nano, Small} {
		b.Run(class.Name, func(b *testing.B) {
			m, err := Build(b.Context(), class, seed.Seed{1}, nil)
			if err != nil {
				b.Fatal(err)
			}
			dst, nonces := make([]Output, 8), []uint64{0, 1, 2, 3, 4, 5, 6, 7}
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Run(dst, seed.Seed{2}, seed.Seed{3}, nonces); err != nil {
					b.Fatal(err)
				}
			}
			units := float64(b.N * len(nonces))
			b.ReportMetric(float64(b.Elapsed().Microseconds())/units, "us/unit")
			b.ReportMetric(units/b.Elapsed().Seconds(), "units/s")
			b.ReportMetric(units*float64(class.Ops())/b.Elapsed().Seconds()/1e9, "Gop/s")
		})
	}
}
