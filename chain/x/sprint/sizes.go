// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"math/bits"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A duty fits its bearer: what an epoch asks of its members is sized by what they were last
// credited with, never by what somebody claims. Everything here is pure.

const (
	// dutyShare: all duties together are one part in so many of the operations last credited to
	// live members.
	dutyShare = 20
	// memberShare: a member owes targets until they reach one part in so many of its own last
	// credit.
	memberShare = 5
	// leastSamples is how many leaves are drawn of each target at least, and recomputed of one that
	// nobody judged.
	leastSamples = 16
	// leastPlaces is for how many participants an epoch has room, however little was credited.
	leastPlaces = 16
	// newcomerShare: one place in so many goes to newcomers also where holders fill all of them.
	newcomerShare = 8
	// returnEpochs is how long after its last credit somebody is judged without a lottery.
	returnEpochs = 10
	// lotteryPause is how many epochs a newcomer that was taken and not credited enters no lottery.
	lotteryPause = 100
	// middleChecks is how many middle digests a member opens.
	middleChecks = 8
	// bytesPerLeaf is what a drawn leaf takes of an opening: 40 bytes and a path of 24 hashes.
	// Windows are made for it, whatever counts are claimed.
	bytesPerLeaf = record.Size + 24*32
)

// dutyLeaves is the budget B of an epoch: leaves of its class that all members together re-run.
func dutyLeaves(liveCredited uint64, class transformer.Class) uint64 {
	return liveCredited / dutyShare / class.MiOps()
}

// replicasOf is how many members re-run each leaf; with few voters all are members, and nobody
// judges itself.
func replicasOf(p sprintv1.Params, voters int) uint64 {
	if voters > int(p.FullCommittee) {
		return uint64(p.Replicas)
	}
	return uint64(max(1, voters-1))
}

// samplesOf is N, how many leaves are drawn of each of so many targets.
func samplesOf(p sprintv1.Params, liveCredited uint64, class transformer.Class, replicas,
	targets uint64) uint64 {
	if liveCredited == 0 || targets == 0 {
		return uint64(p.Samples)
	}
	n := dutyLeaves(liveCredited, class) / (replicas * targets)
	return min(max(n, leastSamples), uint64(p.Samples))
}

// placesOf is how many newcomers an epoch takes beside its holders.
func placesOf(liveCredited uint64, class transformer.Class, replicas, holders uint64) uint64 {
	places := max(leastPlaces, dutyLeaves(liveCredited, class)/(leastSamples*replicas))
	least := max(1, places/newcomerShare)
	if places > holders {
		return max(least, places-holders)
	}
	return least
}

// ownLeaves is how many leaves a member owes to judge: a part of what it was last credited with; 0
// is no limit.
func ownLeaves(credited uint64, class transformer.Class) uint64 {
	if credited == 0 {
		return 0
	}
	return max(1, credited/class.MiOps()/memberShare)
}

// ownPart divides a member's limit among the subjects of an epoch, as there are targets of each; 0
// stays no limit.
func ownPart(own uint64, e sprintv1.Epoch, s subject) uint64 {
	if own == 0 || e.Streams == 0 {
		return own
	}
	targets := uint64(e.Targets)
	if s == ofStream {
		targets = uint64(e.Streams)
	}
	return max(1, mulDiv(own, targets, uint64(e.Targets)+uint64(e.Streams)))
}

// chainSamples is how many leaves the chain recomputes of each of so many targets, before the least
// is applied.
func chainSamples(miopsPerBlock, blocks uint64, class transformer.Class, targets uint64) uint64 {
	if targets == 0 {
		return 0
	}
	return max(leastSamples, miopsPerBlock*blocks/(class.MiOps()*targets))
}

// unjudged is what a holder keeps that neither its committee nor the chain judged: the smaller of
// what it claims and what it had, less what a sample of 16 without a mismatch leaves open.
func unjudged(claim, before uint64) uint64 { return mulDiv(min(claim, before), 829, 1000) }

// share is part/whole in basis points; nothing of nothing is all of it.
func share(part, whole uint64) uint64 {
	if whole == 0 {
		return 10_000
	}
	return mulDiv(min(part, whole), 10_000, whole)
}

// mulDiv is a*b/c without overflow, for c > 0; a result beyond 64 bits is the largest number.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 1<<64 - 1
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}

// maxWeight is the most that anything weighs, in units of 2^20 operations.
const maxWeight = sprintv1.MaxWeight

// weightOf is what verified units weigh, in units of 2^20 operations.
func weightOf(units uint64, class transformer.Class) uint64 {
	if units > maxWeight/class.MiOps() {
		return maxWeight
	}
	return units * class.MiOps()
}
