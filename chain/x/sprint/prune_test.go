// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"testing"

	"cosmossdk.io/collections"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// What a block drops is bounded, and grows with what epochs write, so that no size of a network
// outruns it.
// Holds spec S-28.
func TestABlockDropsABoundedPartOfThePast(t *testing.T) {
	const records = 900
	for _, c := range []struct {
		targets           uint32
		commits, openings int // left after a block
	}{
		{0, records - 400, records - 80},
		{8_000, records - 400, records - 80},
		{16_000, records - 800, records - 160},
	} {
		k, ctx, _ := bare(t)
		p := DefaultParams()
		e := sprintv1.Epoch{Number: 10, Params: p}
		left := func(commits bool) int {
			n := 0
			if commits {
				must(0, k.commits.Walk(ctx, nil, func(logKey, sprintv1.Commit) (bool,
					error) {
					n++
					return false, nil
				}))
			} else {
				must(0, k.of[ofSprint].openings.Walk(ctx, nil,
					func(memberKey, sprintv1.Opening) (bool,
						error) {
						n++
						return false, nil
					}))
			}
			return n
		}
		check(k.epochs.Set(ctx, 9, sprintv1.Epoch{Number: 9, Params: p, Targets: c.targets}))
		for i := range records {
			check(k.of[ofSprint].openings.Set(ctx, memberKeyOf(1, fmt.Sprint(i)),
				sprintv1.Opening{}))
		}
		check(k.prune(ctx, e))
		if n := left(false); n != c.openings {
			t.Errorf("%d targets: %d openings are left, want %d", c.targets, n, c.openings)
		}
		for i := range records {
			check(k.commits.Set(ctx, collections.Join4(uint64(1), fmt.Sprint(i), "gpu", uint32(1)),
				sprintv1.Commit{}))
		}
		check(k.prune(ctx, e))
		if n := left(true); n != c.commits {
			t.Errorf("%d targets: %d commits are left, want %d", c.targets, n, c.commits)
		}
		if n := left(false); n != c.openings {
			t.Errorf("%d targets: openings were dropped beyond the bound", c.targets)
		}
	}
}
