// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"testing"

	"github.com/assaynet/assay/poc/seed"
)

// BenchmarkAudit is a host's work for one full audit, 90 tiles in plain Go, and
// as a part of recomputing m = 3 whole loops, the other way to audit.
func BenchmarkAudit(b *testing.B) {
	for _, shape := range Shapes()[:7] {
		b.Run(shape.String(), func(b *testing.B) {
			by, at := Reference(), uint32(0)
			for b.Loop() {
				for range DefaultPicks {
					if _, err := by.Tile(b.Context(), seed.Seed{1}, shape, uint64(at),
						at%uint32(shape.Tiles())); err != nil {
						b.Fatal(err)
					}
					at++
				}
			}
			// A unit is its tiles, one as the other.
			b.ReportMetric(float64(DefaultPicks)/float64(3*shape.Tiles()), "of-m-loops")
		})
	}
}

// BenchmarkQuestions is what a draw costs both sides.
func BenchmarkQuestions(b *testing.B) {
	l := Log{Terms: testTerms(testNonce), Commit: Commit{Loops: MaxLoops}}
	draw := full(l.Terms, testNonce)
	b.ReportAllocs()
	for b.Loop() {
		q := draw.Questions(l)
		if len(q.Samples()) != 1000 || len(q.Picks(0)) != DefaultPicks {
			b.Fatal("other questions")
		}
	}
}
