// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"testing"

	"github.com/assaynet/assay/poc/commit"
)

const benchSize = 1_000_000

// million is a log of a million leaves.
func million(b *testing.B) *Log {
	b.Helper()
	l := openTestLog(b, openStore(b, b.TempDir()))
	for l.Size() < benchSize {
		appendAll(b, l, MaxBatch)
	}
	return l
}

// BenchmarkInclusion proves one leaf of a log of a million after the other.
func BenchmarkInclusion(b *testing.B) {
	l := million(b)
	index := uint64(0)
	for b.Loop() {
		if _, err := commit.Inclusion(l, index, benchSize); err != nil {
			b.Fatal(err)
		}
		index = (index + 618_033) % benchSize
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proofs/s")
}

// BenchmarkMulti opens 200 leaves, evenly spread, of a log of a million.
func BenchmarkMulti(b *testing.B) {
	l := million(b)
	indices := make([]uint64, 200)
	for i := range indices {
		indices[i] = uint64(i)*(benchSize/200) + 17
	}
	for b.Loop() {
		if _, err := commit.Multi(l, benchSize, indices); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "openings/s")
}

// BenchmarkReopen rebuilds a log of a million leaves from its file.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	s := openStore(b, dir)
	l := openTestLog(b, s)
	for l.Size() < benchSize {
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
