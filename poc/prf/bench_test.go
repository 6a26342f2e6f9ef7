// SPDX-License-Identifier: Apache-2.0

package prf

import "testing"

func BenchmarkFill(b *testing.B) {
	dst := make([]byte, 1<<16)
	key := &Key{1}
	b.SetBytes(int64(len(dst)))
	for b.Loop() {
		Fill(dst, key, 2, 3)
	}
}
