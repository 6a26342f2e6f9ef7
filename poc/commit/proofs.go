// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"fmt"
	"math/bits"
)

// Inclusion returns the path that shows leaf index in the log of the given
// size, lowest sibling first (RFC 6962, section 2.1.1).
func Inclusion(s Subtrees, index, size uint64) ([]Hash, error) {
	if size > MaxSize || index >= size {
		return nil, fmt.Errorf("%w: leaf %d of %d", ErrSize, index, size)
	}
	var path []Hash
	lo, hi := uint64(0), size
	for hi-lo > 1 {
		mid := lo + split(hi-lo)
		var sibling Hash
		var err error
		if index < mid {
			sibling, err = span(s, mid, hi)
			hi = mid
		} else {
			sibling, err = span(s, lo, mid)
			lo = mid
		}
		if err != nil {
			return nil, err
		}
		path = append(path, sibling)
	}
	reverse(path)
	return path, nil
}

func reverse(h []Hash) {
	for i, j := 0, len(h)-1; i < j; i, j = i+1, j-1 {
		h[i], h[j] = h[j], h[i]
	}
}

// VerifyInclusion checks that leaf is leaf number index of the log (root,
// size). It hashes at most 48 times whatever it is given. Errors wrap ErrSize
// or ErrProof.
func VerifyInclusion(root Hash, size, index uint64, leaf Hash, proof []Hash) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("%w: leaf %d of %d", ErrSize, index, size)
	}
	h, used := leaf, 0
	// fn is the node's index at this level, sn that of the last node: where
	// they meet on an even number the node has no sibling and moves up as it is.
	for fn, sn := index, size-1; sn > 0; fn, sn = fn>>1, sn>>1 {
		if fn&1 == 0 && fn == sn {
			continue
		}
		if used == len(proof) {
			return fmt.Errorf("%w: inclusion path too short: %d hashes", ErrProof, len(proof))
		}
		if fn&1 == 1 {
			h = NodeHash(proof[used], h)
		} else {
			h = NodeHash(h, proof[used])
		}
		used++
	}
	if used != len(proof) {
		return fmt.Errorf("%w: inclusion path of %d hashes, want %d", ErrProof, len(proof), used)
	}
	if h != root {
		return fmt.Errorf("%w: inclusion path of leaf %d leads to another root", ErrProof, index)
	}
	return nil
}

// Consistency returns the proof that the log of size old is the beginning of
// the log of the given size (RFC 6962, section 2.1.2). It is empty for old = 0
// and old = size.
func Consistency(s Subtrees, old, size uint64) ([]Hash, error) {
	if size > MaxSize || old > size {
		return nil, fmt.Errorf("%w: from %d to %d leaves", ErrSize, old, size)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	var proof []Hash
	lo, hi := uint64(0), size
	for old != hi { // [lo, hi) is the node on the path that holds leaf old-1 and more
		mid := lo + split(hi-lo)
		var h Hash
		var err error
		if old <= mid {
			h, err = span(s, mid, hi)
			hi = mid
		} else {
			h, err = span(s, lo, mid)
			lo = mid
		}
		if err != nil {
			return nil, err
		}
		proof = append(proof, h)
	}
	if lo != 0 { // otherwise this node is the old root, which the verifier has
		h, err := span(s, lo, hi)
		if err != nil {
			return nil, err
		}
		proof = append(proof, h)
	}
	reverse(proof)
	return proof, nil
}

// VerifyConsistency checks that the log (oldRoot, old) is the beginning of the
// log (root, size). old = 0 asks for EmptyRoot and an empty proof, old = size
// for equal roots and an empty proof. It hashes at most 96 times. Errors wrap
// ErrSize or ErrProof.
func VerifyConsistency(oldRoot, root Hash, old, size uint64, proof []Hash) error {
	if size > MaxSize || old > size {
		return fmt.Errorf("%w: from %d to %d leaves", ErrSize, old, size)
	}
	if old == 0 || old == size {
		if len(proof) != 0 {
			return fmt.Errorf("%w: consistency of %d with %d leaves needs no hashes, got %d",
				ErrProof, old, size, len(proof))
		}
		if old == 0 && oldRoot != EmptyRoot {
			return fmt.Errorf("%w: the root of no leaves is not the empty root", ErrProof)
		}
		if old == size && oldRoot != root {
			return fmt.Errorf("%w: two roots for %d leaves", ErrProof, size)
		}
		return nil
	}
	// fn and sn walk up as in VerifyInclusion, from the last complete subtree
	// of the old log, which starts the proof unless it is the whole old log.
	fn, sn := old-1, size-1
	down := bits.TrailingZeros64(^fn)
	fn, sn = fn>>down, sn>>down
	rest := proof
	start := oldRoot
	if old&(old-1) != 0 {
		if len(rest) == 0 {
			return fmt.Errorf("%w: empty consistency proof", ErrProof)
		}
		start, rest = rest[0], rest[1:]
	}
	fr, sr := start, start
	for ; sn > 0; fn, sn = fn>>1, sn>>1 {
		if fn&1 == 0 && fn == sn {
			continue
		}
		if len(rest) == 0 {
			return fmt.Errorf("%w: consistency proof too short: %d hashes", ErrProof, len(proof))
		}
		h := rest[0]
		rest = rest[1:]
		if fn&1 == 1 {
			fr, sr = NodeHash(h, fr), NodeHash(h, sr)
		} else {
			sr = NodeHash(sr, h)
		}
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: consistency proof has %d hashes too many", ErrProof, len(rest))
	}
	if fr != oldRoot || sr != root {
		return fmt.Errorf("%w: %d leaves are not the beginning of these %d", ErrProof, old, size)
	}
	return nil
}
