// SPDX-License-Identifier: Apache-2.0

package commit

import "testing"

func BenchmarkLeafHash(b *testing.B) {
	leaf := exampleLeaf()
	for b.Loop() {
		leaf.Index++
		leaf.Hash()
	}
}

func BenchmarkFrontierAppend(b *testing.B) {
	var f Frontier
	leaf := exampleLeaf()
	for b.Loop() {
		leaf.Index++
		f.Append(leaf.Hash())
	}
}

// 200 leaves out of 2^20: prove, verify.
func BenchmarkMulti200(b *testing.B) {
	const size = 1 << 20
	l := testLog(size)
	root := l.Root()
	var indices []uint64
	var leaves []Hash
	for i := range uint64(200) {
		index := i*5243 + i*i%977
		indices = append(indices, index)
		leaves = append(leaves, testLeaf(index))
	}
	path, err := Multi(l, size, indices)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("prove", func(b *testing.B) {
		for b.Loop() {
			if _, err := Multi(l, size, indices); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(path)), "hashes")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := VerifyMulti(root, size, indices, leaves, path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
