// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/google/go-cmp/cmp"

	abci "github.com/cometbft/cometbft/abci/types"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/chain/x/credit"
)

// rotated settles an epoch in which some names have another consensus key.
func (c *chain) rotated(t testing.TB, keys map[string]string, names ...string) {
	t.Helper()
	var list []credit.Settlement
	for _, name := range names {
		key := consensusKey(name)
		if other, ok := keys[name]; ok {
			key = consensusKey(other)
			address := sha256.Sum256(key)
			c.owners[string(address[:20])] = name
		}
		list = append(list, credit.Settlement{Participant: name, ConsensusKey: key,
			Weight: 100, Powerable: true})
	}
	c.number++
	if err := c.Finalise(c.ctx, c.number, list, 1_000); err != nil {
		t.Fatal(err)
	}
}

// update is the change of a key's power, 0 for one that leaves.
func update(name string, power int64) abci.ValidatorUpdate {
	return abci.Ed25519ValidatorUpdate(consensusKey(name), power)
}

// A key that replaces another one takes its seat over in one block: nobody's power moves, and no
// participant has two keys in a set. Several do so one a block, in the order of newcomers.
// Holds spec P-16.
func TestANewKeyTakesTheSeatOver(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	weights := map[string]uint64{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
	c := begin(t, credit.LocalnetParams(), weights, names...)
	before := c.powers(t)
	c.rotated(t, map[string]string{"b": "b2"}, names...)
	twin := c.again(t)
	want := []abci.ValidatorUpdate{update("b", 0), update("b2", 200_000)}
	for _, c := range []*chain{c, twin} {
		if diff := cmp.Diff(want, c.block(t)); diff != "" {
			t.Errorf("the block after the settlement (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, c.powers(t)); diff != "" {
			t.Errorf("power moved (-was +is):\n%s", diff)
		}
		if more := c.block(t); len(more) > 0 {
			t.Errorf("then %v", more)
		}
		if h := c.holding(t, "b"); !bytes.Equal(h.ConsensusKey, consensusKey("b2")) {
			t.Errorf("the holding is %v", h)
		}
	}
	c.rotated(t, map[string]string{"a": "a2", "b": "b2", "c": "c2", "d": "d2"}, names...)
	for i := range 3 {
		seen := map[string]bool{}
		seats, err := c.Seats(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range seats {
			if seen[s.Participant] {
				t.Errorf("%s has two seats", s.Participant)
			}
			seen[s.Participant] = true
		}
		if got := c.block(t); len(got) != 2 || got[0].Power != 0 || got[1].Power != 200_000 {
			t.Errorf("block %d: %v", i, got)
		}
	}
	if more := c.block(t); len(more) > 0 {
		t.Errorf("three keys are in, then %v", more)
	}
}

// A void epoch hands no seat over; a cut takes the seat whatever key is in it; a key that was out
// for its absence is replaced outside the set; and beside newcomers a key loses no power.
// Holds spec P-16.
func TestANewKeyBesideOtherChanges(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	weights := map[string]uint64{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
	key2 := map[string]string{"b": "b2"}
	t.Run("cut", func(t *testing.T) {
		c := begin(t, credit.LocalnetParams(), weights, names...)
		c.rotated(t, key2, names...)
		if err := c.Cut(c.ctx, "b"); err != nil {
			t.Fatal(err)
		}
		c.block(t)
		if c.powers(t)["b"] != 0 || len(c.powers(t)) != 4 {
			t.Errorf("the set is %v", c.powers(t))
		}
	})
	t.Run("void", func(t *testing.T) {
		c := begin(t, credit.LocalnetParams(), weights, names...)
		c.void(t, names, nil)
		if got := c.block(t); len(got) != 0 {
			t.Errorf("updates %v", got)
		}
	})
	t.Run("left out afterwards", func(t *testing.T) {
		c := begin(t, credit.LocalnetParams(), weights, names...)
		c.rotated(t, key2, names...)
		c.rotated(t, nil, "a", "c", "d", "e")
		c.finalise(t, 1_000, weights, "a", "c", "d", "e")
		if c.powers(t)["b"] != 0 {
			t.Errorf("the set is %v", c.powers(t))
		}
		for _, s := range seatsOf(t, c) {
			if len(s.NextKey) > 0 {
				t.Errorf("a seat waits for a key: %v", s)
			}
		}
	})
	t.Run("offline", func(t *testing.T) {
		v := voting(t, credit.LocalnetParams(), weights, names...)
		for range 25 {
			v.next(t, but("b"))
		}
		v.rotated(t, key2, names...)
		v.next(t, but("b"))
		seats := seatsOf(t, v.chain)
		for _, s := range seats {
			if s.Participant == "b" && (!bytes.Equal(s.ConsensusKey, consensusKey("b2")) ||
				s.Told != 200_000) {
				t.Errorf("its seat is %v", s)
			}
		}
		if len(seats) != 5 {
			t.Errorf("%d seats", len(seats))
		}
	})
	t.Run("newcomers", func(t *testing.T) {
		c := begin(t, credit.LocalnetParams(), weights, names...)
		c.rotated(t, key2, "a", "b", "c", "d", "e", "f", "g", "h")
		for range 6 {
			sum := uint64(0)
			for _, p := range c.powers(t) {
				sum += p
			}
			if sum != credit.TotalPower || c.powers(t)["b"] < 120_000 {
				t.Errorf("the set adds up to %d, b has %d", sum, c.powers(t)["b"])
			}
			c.block(t)
		}
		if h := c.holding(t, "b"); c.powers(t)["b"] != h.Power {
			t.Errorf("b has %d of %d", c.powers(t)["b"], h.Power)
		}
	})
}

func seatsOf(t testing.TB, c *chain) []creditv1.Seat {
	t.Helper()
	seats, err := c.Seats(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return seats
}
