// SPDX-License-Identifier: Apache-2.0

package matmul

import (
	"testing"

	"github.com/assaynet/assay/poc/seed"
)

func BenchmarkTileK4096(b *testing.B) {
	shape := Shape{M: 4096, K: 4096, Q: 4096}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Tile(seed.Seed{1}, 2, shape, 3, 4); err != nil {
			b.Fatal(err)
		}
	}
}
