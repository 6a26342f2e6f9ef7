// SPDX-License-Identifier: Apache-2.0

package court_test

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/poc/work/transformer"
)

// With weight 4 claims, and 2 more for each thousandth of all.
// Holds spec J-4.
func TestBudget(t *testing.T) {
	for _, c := range []struct {
		weight, total uint64
		want          uint32
	}{
		{0, 1000, 0}, {0, 0, 0}, {1, 0, 0},
		{1, 1_000_000, 4}, {499, 1_000_000, 4}, {500, 1_000_000, 5}, {1000, 1_000_000, 6},
		{10, 1000, 24}, {270, 1000, 544}, {1000, 1000, 2004}, {2000, 1000, 2004},
		{math.MaxUint64, math.MaxUint64, 2004}, {1, math.MaxUint64, 4},
	} {
		if got := court.Budget(c.weight, c.total); got != c.want {
			t.Errorf("%d of %d may raise %d claims, want %d", c.weight, c.total, got, c.want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		all := rapid.Uint64Min(1).Draw(r, "all")
		a, b := rapid.Uint64Max(all/2).Draw(r, "a"), rapid.Uint64Max(all/2).Draw(r, "b")
		if a < b {
			a, b = b, a
		}
		if court.Budget(a, all) < court.Budget(b, all) {
			r.Fatalf("%d has less than %d of %d", a, b, all)
		}
	})
}

// C8: a member's claims come out of its budget; those of a verdict end there, a dispute beyond it
// locks a bond.
// Holds spec J-4.
func TestClaimsComeOutOfABudget(t *testing.T) {
	c := begin(t)
	const budget = 24 // of a hundredth
	for i := range uint64(budget) {
		c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", i), Claimant: "ann",
			Source: courtv1.SourceVerdict})
	}
	verdict := courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 99), Claimant: "ann",
		Source: courtv1.SourceVerdict}
	if err := c.File(c.ctx, verdict); !errors.Is(err, court.ErrSpent) {
		t.Errorf("one claim more of a verdict: %v", err)
	}
	if err := c.File(c.ctx, dispute("ann", leaf("bob", 99))); !errors.Is(err, court.ErrBond) {
		t.Errorf("one dispute more, without a deposit: %v", err)
	}
	c.deposits["ann"] = 10
	c.file(dispute("ann", leaf("bob", 99)))
	c.wants("lock 10 of ann for claim")
	who, err := c.Claimant(c.ctx, 7, "ann")
	if err != nil || who.Spent != budget || who.Refuted {
		t.Errorf("%v, %v", who, err)
	}
	verdict.Epoch = 8
	c.file(verdict) // another epoch
}

// C8: who has no weight locks a bond; it comes back when the claim is right, or about nothing, and
// is lost when it is refuted: half to the accused, half burnt. C24: the chain's own claims cost
// nobody anything.
// Holds spec J-4, J-5.
func TestABondIsLockedLostOrReleased(t *testing.T) {
	c := begin(t)
	if err := c.File(c.ctx, dispute("eve", leaf("bob", 1))); !errors.Is(err, court.ErrBond) {
		t.Errorf("without a deposit: %v", err)
	}
	c.deposits["eve"] = 25
	c.forged[leaf("bob", 1)] = true
	c.file(dispute("eve", leaf("bob", 1)))
	c.block()
	c.wants("lock 10 of eve for claim", "unlock 10 of eve for claim")

	c.unknown[leaf("bob", 2)] = true
	c.file(dispute("eve", leaf("bob", 2)))
	c.block()
	c.wants("lock 10 of eve for claim", "unlock 10 of eve for claim")

	c.file(dispute("eve", leaf("bob", 3)))
	c.block()
	c.wants("lock 10 of eve for claim", "forfeit 10 of eve for claim, 5000 bps to bob")
	if err := c.File(c.ctx, dispute("eve", leaf("bob", 1))); !errors.Is(err, court.ErrSpent) {
		t.Errorf("after a refuted claim: %v", err)
	}

	c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 4), Source: courtv1.SourceChain})
	if members, err := c.PendingOfMembers(c.ctx); err != nil || members || !c.waits() {
		t.Errorf("only the chain's claim waits: %v, %v, %v", members, err, c.waits())
	}
	c.block()
	c.wants()
}

// C8: a lie buys one recomputation. What the liar has waiting is dropped unjudged, its bonds come
// back, and others' claims are judged as if nothing had been.
// Holds spec J-5.
func TestTheFirstRefutationDiscardsTheRest(t *testing.T) {
	c := begin(t)
	c.deposits["eve"] = 1000
	for i := range uint64(50) {
		c.file(dispute("eve", leaf("bob", i)))
		if i == 20 {
			c.forged[leaf("ann", 1)] = true
			c.file(dispute("bob", leaf("ann", 1)))
		}
	}
	if n := c.block(); n != 2 {
		t.Errorf("%d units were run; want the liar's first and the other's", n)
	}
	if c.waits() {
		t.Error("a claim still waits")
	}
	if diff := cmp.Diff([]courtv1.LeafRef{leaf("bob", 0), leaf("ann", 1)},
		[]courtv1.LeafRef{c.judged[0].Leaf, c.judged[1].Leaf}); diff != "" || len(c.judged) != 2 {
		t.Errorf("judged: %v", c.judged)
	}
	if c.deposits["eve"] != 990 {
		t.Errorf("%d CPC are left of 1000; one bond of 10 is lost", c.deposits["eve"])
	}
	if who, err := c.Claimant(c.ctx, 7, "eve"); err != nil || !who.Refuted {
		t.Errorf("%v, %v", who, err)
	}
	next := dispute("eve", leaf("bob", 0))
	next.Epoch = 8
	c.file(next)
}

// A leaf is judged once, whoever names it and however often; whoever asks gets the same answer, and
// the case is told of a forged leaf once.
// Holds spec J-2.
func TestALeafIsJudgedOnce(t *testing.T) {
	c := begin(t)
	c.forged[leaf("bob", 5)] = true
	c.file(dispute("ann", leaf("bob", 5)), dispute("ann", leaf("bob", 5)),
		courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 5), Source: courtv1.SourceChain})
	c.block()
	c.file(dispute("ann", leaf("bob", 5)))
	c.block()
	if len(c.runs) != 1 || len(c.proven) != 1 || len(c.judged) != 4 {
		t.Errorf("%d units run, %d times proven, %d claims judged; want 1, 1, 4", len(c.runs),
			len(c.proven), len(c.judged))
	}
	j, ok, err := c.Judgement(c.ctx, 7, leaf("bob", 5))
	if err != nil || !ok || !j.Mismatch || j.NamedBy != "ann" || j.Height != 100 || j.Norm != 5 {
		t.Errorf("%v, %v, %v", j, ok, err)
	}
	if _, ok, err := c.Judgement(c.ctx, 8, leaf("bob", 5)); ok || err != nil {
		t.Errorf("a judgement of another epoch: %v, %v", ok, err)
	}
	c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 2), Source: courtv1.SourceChain},
		courtv1.Claim{Epoch: 7, Leaf: leaf("bobby", 2), Source: courtv1.SourceChain})
	c.block()
	all, err := c.Judgements(c.ctx, 7, "bob")
	if err != nil || len(all) != 2 || all[0].Leaf.Nonce != 2 || all[1].Leaf.Nonce != 5 {
		t.Errorf("judgements on bob's leaves: %v, %v", all, err)
	}
}

// A block costs the same whatever the class: 8 x 2^30 operations are 8 units of small or 256 of
// nano. What is known already, and what is dropped, costs nothing of it.
// Holds spec J-3.
func TestTheBudgetOfABlockCountsOperations(t *testing.T) {
	for _, k := range []struct {
		class transformer.Class
		units int
	}{{transformer.Small, 8}, {transformer.Nano, 256}} {
		c := begin(t)
		c.class = k.class
		n := uint64(2*k.units + 1)
		for i := range n {
			c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", i), Source: courtv1.SourceChain})
		}
		c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 0), Source: courtv1.SourceChain})
		var got []int
		for c.waits() {
			got = append(got, c.block())
		}
		if diff := cmp.Diff([]int{k.units, k.units, 1}, got); diff != "" {
			t.Errorf("%s: units a block (-want +got):\n%s", k.class.Name, diff)
		}
		for i, nonce := range c.runs {
			if nonce != uint64(i) {
				t.Fatalf("%s: unit %d was run in place %d", k.class.Name, nonce, i)
			}
		}
	}
}

// A crowd of claims that need no recomputation is worked off in bounded pieces, too.
// Holds spec J-3.
func TestABlockSettlesABoundedNumberOfClaims(t *testing.T) {
	c := begin(t)
	c.unknown[leaf("bob", 1)] = true
	for range 1030 {
		c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", 1), Source: courtv1.SourceChain})
	}
	c.block()
	if !c.waits() {
		t.Error("one block settles 1030 claims")
	}
	c.block()
	if c.waits() || len(c.runs) != 0 {
		t.Error("claims on a leaf that was never opened wait, or are judged")
	}
}

// The time for what the chain wanted to know itself ends; claims of members stay.
func TestDropChain(t *testing.T) {
	c := begin(t)
	for i := range uint64(5) {
		c.file(courtv1.Claim{Epoch: 7, Leaf: leaf("bob", i), Source: courtv1.SourceChain})
	}
	c.file(dispute("ann", leaf("bob", 9)))
	if err := c.DropChain(c.ctx); err != nil {
		t.Fatal(err)
	}
	if members, err := c.PendingOfMembers(c.ctx); err != nil || !members {
		t.Errorf("the member's claim is gone: %v", err)
	}
	c.block()
	if diff := cmp.Diff([]uint64{9}, c.runs); diff != "" {
		t.Errorf("units run (-want +got):\n%s", diff)
	}
}

// Old records go in pieces, those of kept epochs stay.
func TestPruneIsBounded(t *testing.T) {
	c := begin(t)
	for epoch := uint64(1); epoch <= 3; epoch++ {
		for i := range uint64(4) {
			c.forged[leaf("bob", i)] = true
			c.file(courtv1.Claim{Epoch: epoch, Leaf: leaf("bob", i), Claimant: "ann",
				Source: courtv1.SourceDispute})
		}
		c.file(courtv1.Claim{Epoch: epoch, Leaf: leaf("bob", 0), Claimant: "bob",
			Source: courtv1.SourceDispute})
		c.block()
	}
	var dropped []int
	for range 5 {
		n, err := c.Prune(c.ctx, 3, 5)
		if err != nil {
			t.Fatal(err)
		}
		dropped = append(dropped, n)
	}
	if diff := cmp.Diff([]int{5, 5, 2, 0, 0}, dropped); diff != "" {
		t.Errorf("dropped at a time (-want +got):\n%s", diff)
	}
	g, err := c.ExportGenesis(c.ctx)
	if err != nil || len(g.Judgements) != 4 || len(g.Claimants) != 2 ||
		g.Judgements[0].Epoch != 3 || g.Claimants[0].Epoch != 3 {
		t.Errorf("left: %v, %v", g, err)
	}
}
