// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"testing"

	"github.com/assaynet/assay/poc/seed"
)

func BenchmarkNanoUnit(b *testing.B) {
	m, err := Build(b.Context(), Nano, seed.Seed{1}, nil)
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
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(nonces)), "us/unit")
}
