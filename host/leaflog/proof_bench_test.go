// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"testing"

	"github.com/assaynet/assay/poc/commit"
)

// BenchmarkMulti opens 200 leaves, evenly spread, of a log of a million.
func BenchmarkMulti(b *testing.B) {
	const size = 1_000_000
	l := openTestLog(b, openStore(b, b.TempDir()))
	for l.Size() < size {
		appendAll(b, l, MaxBatch)
	}
	indices := make([]uint64, 200)
	for i := range indices {
		indices[i] = uint64(i)*(size/200) + 17
	}
	for b.Loop() {
		if _, err := commit.Multi(l, size, indices); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proofs/s")
}

// BenchmarkReopen rebuilds a log of a million leaves from its file.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	s := openStore(b, dir)
	l := openTestLog(b, s)
	for l.Size() < 1_000_000 {
		appendAll(b, l, MaxBatch)
	}
	s.Close()
	for b.Loop() {
		s, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		openTestLog(b, s)
		s.Close()
	}
}
