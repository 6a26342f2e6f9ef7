// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"fmt"
	"math/bits"
)

// A multiproof opens several leaves at once and names no hash twice. Walk the
// tree depth first, left to right; where a node has none of the opened leaves
// below it, its hash is the next of the proof and the walk does not go down.

// Multi returns the multiproof of the leaves at indices, which are strictly
// increasing and at least one, in the log of the given size.
func Multi(s Subtrees, size uint64, indices []uint64) ([]Hash, error) {
	if err := checkIndices(size, indices); err != nil {
		return nil, err
	}
	var proof []Hash
	err := multi(s, 0, size, indices, &proof)
	return proof, err
}

func multi(s Subtrees, lo, hi uint64, indices []uint64, proof *[]Hash) error {
	if len(indices) == 0 {
		h, err := span(s, lo, hi)
		*proof = append(*proof, h)
		return err
	}
	if hi-lo == 1 {
		return nil
	}
	mid := lo + split(hi-lo)
	left := below(indices, mid)
	if err := multi(s, lo, mid, indices[:left], proof); err != nil {
		return err
	}
	return multi(s, mid, hi, indices[left:], proof)
}

// below returns how many of the sorted indices are less than mid.
func below(indices []uint64, mid uint64) int {
	lo, hi := 0, len(indices)
	for lo < hi {
		m := int(uint(lo+hi) / 2)
		if indices[m] < mid {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

func checkIndices(size uint64, indices []uint64) error {
	if size == 0 || size > MaxSize {
		return fmt.Errorf("%w: size %d", ErrSize, size)
	}
	if len(indices) == 0 {
		return fmt.Errorf("%w: no index to open", ErrSize)
	}
	for i, index := range indices {
		if index >= size {
			return fmt.Errorf("%w: leaf %d of %d", ErrSize, index, size)
		}
		if i > 0 && index <= indices[i-1] {
			return fmt.Errorf("%w: index %d after %d: not strictly increasing",
				ErrSize, index, indices[i-1])
		}
	}
	return nil
}

// VerifyMulti checks that leaves[i] is the hash of leaf number indices[i] of
// the log (root, size), for all i. It hashes at most len(indices)*48 times and
// compares the proof's length with MultiSize before it hashes at all. Errors
// wrap ErrSize or ErrProof.
func VerifyMulti(root Hash, size uint64, indices []uint64, leaves []Hash, proof []Hash) error {
	w, err := newWalk(size, indices, leaves, proof)
	if err != nil {
		return err
	}
	got, err := w.node(0, size, 0, len(indices))
	if err != nil {
		return err
	}
	if w.used != len(proof) {
		return fmt.Errorf("%w: multiproof of %d hashes, want %d", ErrProof, len(proof), w.used)
	}
	if got != root {
		return fmt.Errorf("%w: multiproof leads to another root", ErrProof)
	}
	return nil
}

// ExtractInclusion returns the inclusion path of leaf indices[which] out of a
// multiproof. It checks the multiproof's shape but not its root, which it is
// not given: whoever uses the path verifies it.
func ExtractInclusion(size uint64, indices []uint64, leaves []Hash, proof []Hash,
	which int) ([]Hash, error) {
	w, err := newWalk(size, indices, leaves, proof)
	if err != nil {
		return nil, err
	}
	if which < 0 || which >= len(indices) {
		return nil, fmt.Errorf("%w: opening %d of %d", ErrSize, which, len(indices))
	}
	w.which = which
	if _, err := w.node(0, size, 0, len(indices)); err != nil {
		return nil, err
	}
	if w.used != len(proof) {
		return nil, fmt.Errorf("%w: multiproof of %d hashes, want %d", ErrProof, len(proof), w.used)
	}
	return w.path, nil
}

// walk is one depth-first pass over a multiproof.
type walk struct {
	indices []uint64
	leaves  []Hash
	proof   []Hash
	used    int // hashes of proof consumed
	which   int // opening whose path is collected, -1 for none
	path    []Hash
}

func newWalk(size uint64, indices []uint64, leaves, proof []Hash) (*walk, error) {
	if err := checkIndices(size, indices); err != nil {
		return nil, err
	}
	if len(leaves) != len(indices) {
		return nil, fmt.Errorf("%w: %d leaves for %d indices", ErrProof, len(leaves), len(indices))
	}
	if most := MultiSize(size, len(indices)); len(proof) > most {
		return nil, fmt.Errorf("%w: multiproof of %d hashes, at most %d",
			ErrProof, len(proof), most)
	}
	return &walk{indices: indices, leaves: leaves, proof: proof, which: -1}, nil
}

// node returns the hash of the tree node over leaves [lo, hi), which holds the
// openings [from, to).
func (w *walk) node(lo, hi uint64, from, to int) (Hash, error) {
	if from == to {
		if w.used == len(w.proof) {
			return Hash{}, fmt.Errorf("%w: multiproof too short: %d hashes", ErrProof, len(w.proof))
		}
		w.used++
		return w.proof[w.used-1], nil
	}
	if hi-lo == 1 {
		return w.leaves[from], nil
	}
	mid := lo + split(hi-lo)
	cut := from + below(w.indices[from:to], mid)
	left, err := w.node(lo, mid, from, cut)
	if err != nil {
		return Hash{}, err
	}
	right, err := w.node(mid, hi, cut, to)
	if err != nil {
		return Hash{}, err
	}
	switch { // after the children, so that the path grows from the leaf up
	case from <= w.which && w.which < cut:
		w.path = append(w.path, right)
	case cut <= w.which && w.which < to:
		w.path = append(w.path, left)
	}
	return NodeHash(left, right), nil
}

// MultiSize returns an upper bound on the number of hashes in a multiproof of
// any k leaves out of size; in a perfect tree with k a power of two it is
// reached. The nodes above k leaves form a tree with k-1 branchings, each other
// node on the way costs one hash, and level l has at most min(2^l, k) of them.
func MultiSize(size uint64, k int) int {
	if size == 0 || size > MaxSize || k <= 0 {
		return 0
	}
	open := min(uint64(k), size)
	most := uint64(0)
	for level := range bits.Len64(size - 1) {
		most += min(1<<level, open)
	}
	return int(min(most-(open-1), size-open))
}
