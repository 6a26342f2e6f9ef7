// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

// Draw returns min(n, total) distinct numbers below total, each such set with
// the same probability, in rising order. It is a pure function of the seed:
// who knows s, total and n knows the sample. Memory is O(n).
//
// Method: R. W. Floyd's sampling. For j = total-n, ..., total-1 a uniform t in
// [0, j] is drawn; it is taken unless it was taken before, then j is. The
// words for it are the prf stream (s, nonce 0) read as little-endian u64 in
// order; a word w is refused while w >= 2^64 - 2^64 mod (j+1), and t is
// w mod (j+1).
func Draw(s seed.Seed, total uint64, n int) []uint64 {
	if n <= 0 || total == 0 {
		return nil
	}
	count := min(uint64(n), total)
	out := make([]uint64, 0, count)
	if count == total {
		for i := range total {
			out = append(out, i)
		}
		return out
	}
	w := words{key: prf.Key(s)}
	taken := make(map[uint64]struct{}, count)
	for j := total - count; j < total; j++ {
		pick := w.below(j + 1)
		if _, again := taken[pick]; again {
			pick = j
		}
		taken[pick] = struct{}{}
		out = append(out, pick)
	}
	slices.Sort(out)
	return out
}

// Stratified returns min(n, total) numbers below total in rising order, one from
// each of as many equal parts of the range: every region is checked, and
// where in it is chance. Part j of n is [j*total/n, (j+1)*total/n), rounded
// down; its number is uniform in it, drawn from the stream of Draw, parts in
// order.
func Stratified(s seed.Seed, total uint64, n int) []uint64 {
	if n <= 0 || total == 0 {
		return nil
	}
	count := min(uint64(n), total)
	bound := func(j uint64) uint64 {
		hi, lo := bits.Mul64(j, total)
		at, _ := bits.Div64(hi, lo, count) // j <= count, so it fits
		return at
	}
	w := words{key: prf.Key(s)}
	out := make([]uint64, count)
	for j := range count - 1 {
		from := bound(j)
		out[j] = from + w.below(bound(j+1)-from)
	}
	from := bound(count - 1)
	out[count-1] = from + w.below(total-from)
	return out
}

// Distinct returns the first min(n, total) distinct numbers of a stream of
// uniform numbers below total, read as Draw reads them, in the order in which
// they appear. So a sample can grow: a longer one begins with the shorter. It is
// for n up to MaxSample; more is cut to that.
func Distinct(s seed.Seed, total uint64, n int) []uint64 {
	if n <= 0 || total == 0 {
		return nil
	}
	count := min(uint64(n), total, MaxSample)
	w := words{key: prf.Key(s)}
	taken := make(map[uint64]struct{}, count)
	out := make([]uint64, 0, count)
	for uint64(len(out)) < count {
		pick := w.below(total)
		if _, again := taken[pick]; !again {
			taken[pick] = struct{}{}
			out = append(out, pick)
		}
	}
	return out
}

// words reads a prf stream eight bytes at a time.
type words struct {
	key   prf.Key
	block [prf.BlockSize]byte
	next  uint64 // number of the next word
}

func (w *words) word() uint64 {
	const perBlock = prf.BlockSize / 8
	if w.next%perBlock == 0 {
		prf.Block(&w.block, &w.key, 0, w.next/perBlock)
	}
	v := binary.LittleEndian.Uint64(w.block[w.next%perBlock*8:])
	w.next++
	return v
}

// below returns a uniform number below n, for n >= 1.
func (w *words) below(n uint64) uint64 {
	excess := -n % n // 2^64 mod n
	for {
		if v := w.word(); v <= ^uint64(0)-excess {
			return v % n
		}
	}
}
