// SPDX-License-Identifier: Apache-2.0

package streamv1

import (
	"math"
	"math/big"
)

// MayCommit is how many leaves a node may commit to a log of its stream after so many blocks: what
// it committed in its Sprint, whose window had windowBlocks, for the time, times growth_bps, and of
// its idle time the part that is to be proven; rounded down. The chain refuses a commit beyond it,
// and hosts grant no more to their machines. utilization is in basis points (spec T-4).
func MayCommit(p Params, sprintLeaves, windowBlocks uint64, blocks int64,
	utilization uint32) uint64 {
	if blocks <= 0 || windowBlocks == 0 || utilization >= 10_000 {
		return 0
	}
	n := new(big.Int).SetUint64(sprintLeaves)
	for _, factor := range []uint64{uint64(p.GrowthBps), uint64(blocks),
		uint64(p.PocUtilizationTargetBps), uint64(10_000 - utilization)} {
		n.Mul(n, new(big.Int).SetUint64(factor))
	}
	n.Quo(n, new(big.Int).Mul(big.NewInt(1_000_000_000_000), new(big.Int).SetUint64(windowBlocks)))
	if !n.IsUint64() {
		return math.MaxUint64
	}
	return n.Uint64()
}
