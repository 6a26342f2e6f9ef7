// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"fmt"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
)

// admitted closes the list of members of an epoch, and returns who was taken.
func admitted(t *testing.T, p sprintv1.Params, total uint64, mix seed.Seed,
	members ...sprintv1.Member) (sprintv1.Epoch, sprintv1.Progress, map[string]bool) {
	t.Helper()
	k, ctx, _ := bare(t)
	e := sprintv1.Epoch{Number: 5, Params: p, TotalWeight: total}
	if err := k.progress.Set(ctx, sprintv1.Progress{}); err != nil {
		t.Fatal(err)
	}
	for i, m := range members {
		m.Participant = name(i)
		if err := k.setMember(ctx, e.Number, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.admit(ctx, &e, mix); err != nil {
		t.Fatal(err)
	}
	return e, progressOf(t, k, ctx), takenOf(t, k, ctx, e)
}

func progressOf(t *testing.T, k *Keeper, ctx sdk.Context) sprintv1.Progress {
	t.Helper()
	p, err := k.progress.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func takenOf(t *testing.T, k *Keeper, ctx sdk.Context, e sprintv1.Epoch) map[string]bool {
	t.Helper()
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]bool{}
	for _, m := range roster {
		if m.Taken {
			taken[m.Participant] = true
		}
	}
	return taken
}

// C11: free names buy no places. Newcomers are taken by what they have locked, holders and those
// who return take part without a lottery, and who did not announce itself is in none.
// Holds spec S-6.
func TestTheLotteryFollowsWhatIsLocked(t *testing.T) {
	const times = 600
	members := []sprintv1.Member{
		{Weight: 1000, Credited: 1000, Live: true, Role: sprintv1.RoleHolder,
			Nodes: []string{"a", "b"}},
		{Live: true, Role: sprintv1.RoleReturning, Nodes: []string{"a"}},
		{Role: sprintv1.RoleNewcomer, Locked: 1 << 40, Nodes: []string{"a"}}, // not live
		{Live: true, Role: sprintv1.RoleNewcomer, Locked: 1_000_000, Nodes: []string{"a"}},
	}
	for range 100 {
		// nothing locked
		members = append(members, sprintv1.Member{Live: true, Role: sprintv1.RoleNewcomer,
			Nodes: []string{"a"}})
	}
	often := map[string]int{}
	draws(times, func(mix seed.Seed) {
		e, p, taken := admitted(t, LocalnetParams(), 1000, mix, members...)
		if e.Newcomers != 101 || e.Taken != 15 || len(taken) != 15 || p.Nodes != 2+1+15 ||
			e.NewcomersLocked != 1_000_100 || e.Replicas != 1 || e.Void {
			t.Fatalf("%d of %d newcomers taken (%v), %d nodes, %d locked, %d replicas, void: %v",
				e.Taken, e.Newcomers, taken, p.Nodes, e.NewcomersLocked, e.Replicas, e.VoidReason)
		}
		for who := range taken {
			often[who]++
		}
	})
	for who, want := range map[string]int{name(0): 0, name(1): 0, name(2): 0, name(3): times} {
		if often[who] != want {
			t.Errorf("%s was taken %d times of %d; want %d", who, often[who], times, want)
		}
	}
	var rest []int
	for i := 4; i < len(members); i++ {
		rest = append(rest, often[name(i)])
	}
	uniform(t, "names without a deposit", rest, 14, times)
}

// C4: an epoch is void when less than min_live_bps of the previous weight is there, and a class
// whose units the chain does not recompute needs four judges.
// Holds spec S-7.
func TestVoidWhereTooLittleIsThere(t *testing.T) {
	live := func(weights ...uint64) (all []sprintv1.Member) {
		for _, w := range weights {
			all = append(all, sprintv1.Member{Weight: w, Credited: w, Live: true,
				Role: sprintv1.RoleHolder})
		}
		return all
	}
	absent := sprintv1.Member{Weight: 334, Role: sprintv1.RoleHolder}
	jailed := sprintv1.Member{Weight: 334, Role: sprintv1.RoleHolder, Live: true, Jailed: true}
	whole := DefaultParams()
	large := whole
	large.WholeUnitMiops = 512
	for _, c := range []struct {
		name    string
		p       sprintv1.Params
		total   uint64
		members []sprintv1.Member
		void    bool
	}{
		{"all are there", whole, 1000, live(500, 500), false},
		{"66.66 %", whole, 10_000, live(6666), false},
		{"66.65 %", whole, 10_000, live(6665), true},
		{"the rest is absent", whole, 1000, append(live(666), absent), true},
		{"the rest is jailed", whole, 1000, append(live(666), jailed), true},
		{"nobody ever had weight", whole, 0, nil, false},
		{"a lone participant", whole, 1000, live(1000), false},
		{"three judges of a large class", large, 900, live(300, 300, 300), true},
		{"four", large, 1000, live(250, 250, 250, 250), false},
	} {
		e, _, _ := admitted(t, c.p, c.total, seed.Seed{1}, c.members...)
		if e.Void != c.void || c.void == (e.VoidReason == "") {
			t.Errorf("%s: void %v, %q", c.name, e.Void, e.VoidReason)
		}
	}
}

// Who is a holder, who returns without a lottery, and who is a newcomer.
// Holds spec S-3.
func TestRoles(t *testing.T) {
	for _, c := range []struct {
		member sprintv1.Member
		may    bool
	}{
		{sprintv1.Member{Role: sprintv1.RoleHolder}, true},
		{sprintv1.Member{Role: sprintv1.RoleReturning}, true},
		{sprintv1.Member{Role: sprintv1.RoleNewcomer}, false},
		{sprintv1.Member{Role: sprintv1.RoleNewcomer, Taken: true}, true},
		{sprintv1.Member{Role: sprintv1.RoleHolder, Jailed: true}, false},
		{sprintv1.Member{Role: sprintv1.RoleNewcomer, Taken: true, Jailed: true}, false},
	} {
		if allowed(c.member) != c.may {
			t.Errorf("%s may commit: %v",
				fmt.Sprint(c.member.Role, c.member.Taken, c.member.Jailed), !c.may)
		}
		for leaves, want := range map[uint64]bool{0: false, 1279: false, 1280: c.may} {
			c.member.Leaves = leaves
			if isTarget(sprintv1.Epoch{Params: DefaultParams()}, c.member) != want {
				t.Errorf("%v with %d leaves is a target: %v", c.member.Role, leaves, !want)
			}
		}
	}
}
