// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"math"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A committee of liars can pass any count. What it makes of a claim must still leave every later draw possible: one
// that is out of range would stop every node at the same block.
func TestNoClaimMakesWeightsWrapAround(t *testing.T) {
	const counts = 64 * 256 << 48 // the most that logs of an epoch can claim: segments, nodes, count of each
	var voters []sprintv1.Member
	for i := range 1000 {
		w := weightOf(counts, transformer.Small)
		if w < 1<<50 || w > maxWeight {
			t.Fatalf("%d units weigh %d", uint64(counts), w)
		}
		voters = append(voters, sprintv1.Member{Participant: fmt.Sprintf("p%04d", i), Weight: w, Live: true})
	}
	total := uint64(0)
	for _, v := range voters {
		if total > math.MaxUint64-v.Weight {
			t.Fatal("the sum of weights wraps around")
		}
		total += v.Weight
	}
	r := sprintv1.Round{Number: 1, Slots: 64}
	draws(100, func(s seed.Seed) { drawCommittee(s, r, 16, voters, "p0001", 200) })
	if got := weightOf(12, transformer.Nano); got != 12*32 {
		t.Errorf("12 nano units weigh %d, want 384", got)
	}
}
