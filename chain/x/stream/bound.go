// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"math"
	"math/big"

	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

// counts is as how many of the Sprint's leaves so many credited leaves of a node count.
func counts(p streamv1.Params, credited, sprintLeaves uint64) uint64 {
	return min(credited/uint64(p.NonceWeight), capOf(p, sprintLeaves))
}

// capOf is the most that a stream counts beside so many leaves of a Sprint.
func capOf(p streamv1.Params, sprintLeaves uint64) uint64 {
	n := new(big.Int).Mul(new(big.Int).SetUint64(sprintLeaves), big.NewInt(int64(p.StreamCapBps)))
	return saturate(n.Quo(n, big.NewInt(whole)))
}

// saturate is a number as far as 64 bits hold it.
func saturate(n *big.Int) uint64 {
	if !n.IsUint64() {
		return math.MaxUint64
	}
	return n.Uint64()
}
