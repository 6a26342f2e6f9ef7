// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	"github.com/assaynet/assay/poc/credit"
)

func seatOf(i int, power, told uint64) creditv1.Seat {
	key := make([]byte, 32)
	key[0], key[1] = byte(i>>8), byte(i)
	return creditv1.Seat{Participant: fmt.Sprintf("p%03d", i), ConsensusKey: key,
		Power: power, Told: told}
}

// total is what the set adds up to, and size how many are in it.
func total(seats []creditv1.Seat) (sum uint64, size int) {
	for _, s := range seats {
		sum += s.Told
		if s.Told > 0 {
			size++
		}
	}
	return sum, size
}

// C7: incumbents shrank at once and newcomers entered one a block, so a holder at the cap of 25 %
// had 37 % of the set for 23 blocks, and two of them over two thirds.
// Holds spec P-6.
func TestNobodyIsAboveTheRailsBetweenTwoSets(t *testing.T) {
	old := []credit.Share{{ID: "p000", Weight: 250_000}, {ID: "p001", Weight: 250_000},
		{ID: "p002", Weight: 250_000}, {ID: "p003", Weight: 250_000}}
	target := []credit.Share{{ID: "p000", Weight: 2_500}, {ID: "p001", Weight: 2_500}}
	for i := range 24 {
		target = append(target, credit.Share{ID: fmt.Sprintf("p%03d", i+4), Weight: 208})
	}
	rules := Rules(LocalnetParams())
	var seats []creditv1.Seat
	for i := range 28 {
		seats = append(seats, seatOf(i, 0, 0))
	}
	for i := range old {
		seats[i].Told = 250_000
	}
	for _, s := range credit.Powers(old, target, rules) {
		i := slices.IndexFunc(seats, func(seat creditv1.Seat) bool {
			return seat.Participant == s.ID
		})
		seats[i].Power = s.Weight
	}
	blocks := 0
	for ; slices.ContainsFunc(seats, waits); blocks++ {
		seats = advance(seats, slices.IndexFunc(seats, waits))
		sum, _ := total(seats)
		if sum != TotalPower {
			t.Errorf("block %d: the set adds up to %d", blocks, sum)
		}
		for _, s := range seats {
			if s.Told*TotalPower > (250_000+1)*sum {
				t.Errorf("block %d: %s holds %d of %d, neither settlement gives it over a quarter",
					blocks, s.Participant, s.Told, sum)
			}
		}
	}
	if blocks != 24 {
		t.Errorf("24 newcomers entered in %d blocks", blocks)
	}
}

// road is a set on its way, with what bounds it.
type road struct {
	from, goal []uint64
	seats      []creditv1.Seat
	blocks     uint64 // since from; each rounds
}

// begin starts a road at the set in force.
func (r *road) begin() {
	r.from, r.goal, r.blocks = nil, nil, 0
	for _, s := range r.seats {
		r.from, r.goal = append(r.from, s.Told), append(r.goal, s.Power)
	}
}

// moves is how much of the power changes hands.
func (r *road) moves() (m uint64) {
	for i := range r.from {
		m += max(r.goal[i], r.from[i]) - r.from[i]
	}
	return m
}

// check holds the set in force against advance's three promises. Rounding is a unit a name and
// block.
func (r *road) check(t *rapid.T) {
	sum, size := total(r.seats)
	if sum != TotalPower || size == 0 {
		t.Fatalf("the set has %d seats that add up to %d", size, sum)
	}
	var taken, losers []int
	for i, s := range r.seats {
		if s.Told > max(r.from[i], r.goal[i]) || s.Told < min(r.from[i], r.goal[i]) {
			t.Fatalf("%s has %d in force; it is to go from %d to %d", s.Participant, s.Told,
				r.from[i], r.goal[i])
		}
		switch {
		case s.Told > r.from[i]:
			taken = append(taken, i)
		case s.Told > r.goal[i]:
			losers = append(losers, i)
		}
	}
	// The worst group has all who took their gain and as many of the losers as balance them: each
	// loser adds to what it is above the goal and takes from what it is above the start.
	limit := int64(r.moves()/4) + int64(len(r.seats))*int64(r.blocks)/2 + 1
	aboveFrom, aboveGoal := int64(0), int64(0)
	for _, i := range slices.Concat(taken, losers) {
		aboveFrom += int64(r.seats[i].Told) - int64(r.from[i])
		aboveGoal += int64(r.seats[i].Told) - int64(r.goal[i])
		if above := min(aboveFrom, aboveGoal); above > limit {
			t.Fatalf("a group is %d above what either settlement gives it; %d moves, the limit "+
				"is %d", above, r.moves(), limit)
		}
	}
}

// Random settlements, with cuts at any block: every set handed to CometBFT keeps to the rails.
// Holds spec P-6.
func TestPropertyEverySetObeysTheRails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "names")
		r := road{}
		for i := range n {
			r.seats = append(r.seats, seatOf(i, 0, 0))
		}
		weights := func(label string) []credit.Share {
			var out []credit.Share
			for i := range n {
				if w := rapid.Uint64Max(50).Draw(t, label); w > 0 {
					out = append(out, credit.Share{ID: r.seats[i].Participant, Weight: w})
				}
			}
			return out
		}
		rules := Rules(LocalnetParams())
		settle := func(old []credit.Share) {
			powers := credit.Powers(old, weights("weight"), rules)
			for i := range r.seats {
				s := &r.seats[i]
				s.Power, s.Cut = 0, s.Cut && s.Told > 0
				if at := slices.IndexFunc(powers,
					func(p credit.Share) bool { return p.ID == s.Participant }); at >= 0 {
					s.Power, s.Cut = powers[at].Weight, false
				}
			}
		}
		settle(nil)
		for i := range r.seats {
			r.seats[i].Told = r.seats[i].Power
		}
		if sum, _ := total(r.seats); sum == 0 {
			return
		}
		for range rapid.IntRange(1, 4).Draw(t, "settlements") {
			var old []credit.Share
			for _, s := range r.seats {
				if s.Power > 0 {
					old = append(old, credit.Share{ID: s.Participant, Weight: s.Power})
				}
			}
			settle(old)
			r.begin()
			for {
				var cut bool
				if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
					s := &r.seats[rapid.IntRange(0, n-1).Draw(t, "who")]
					cut = s.Told > 0 || s.Power > 0
					s.Power, s.Cut = 0, s.Told > 0
				}
				var waiting []int
				for i, s := range r.seats {
					if waits(s) {
						waiting = append(waiting, i)
					}
				}
				enters := -1
				if len(waiting) > 0 {
					enters = rapid.SampledFrom(waiting).Draw(t, "enters")
				}
				before := slices.Clone(r.seats)
				r.seats = advance(r.seats, enters)
				r.blocks++
				entered := 0
				others := slices.ContainsFunc(r.seats,
					func(s creditv1.Seat) bool { return s.Told > 0 && !s.Cut })
				for i, s := range r.seats {
					if before[i].Told == 0 && s.Told > 0 {
						entered++
					}
					if s.Cut && s.Told > 0 && others {
						t.Fatalf("%s was cut and is in the set beside others", s.Participant)
					}
				}
				if entered > 1 {
					t.Fatalf("%d newcomers entered in one block", entered)
				}
				if cut || slices.ContainsFunc(before, func(s creditv1.Seat) bool { return s.Cut }) {
					if sum, size := total(r.seats); sum != TotalPower || size == 0 {
						t.Fatalf("after a cut the set has %d seats that add up to %d", size, sum)
					}
					r.begin() // a cut is no move: the promises hold from here
				}
				r.check(t)
				if !slices.ContainsFunc(r.seats, waits) {
					break
				}
			}
			for _, s := range r.seats {
				if s.Told != s.Power && !s.Cut {
					t.Fatalf("%s has %d in force and is to have %d, and nobody waits",
						s.Participant, s.Told, s.Power)
				}
			}
		}
	})
}

// A cut changes nothing between those who stay.
// Holds spec P-7.
func TestACutKeepsProportions(t *testing.T) {
	seats := []creditv1.Seat{seatOf(0, 500_000, 500_000), seatOf(1, 300_000, 300_000),
		seatOf(2, 200_000, 200_000)}
	seats[0].Power, seats[0].Cut = 0, true
	got := advance(seats, -1)
	for i, want := range []uint64{0, 600_000, 400_000} {
		if got[i].Told != want || got[i].Power != want {
			t.Errorf("%s has %d in force and %d to come, want %d", got[i].Participant, got[i].Told,
				got[i].Power, want)
		}
	}
}

// Whatever is cut, somebody stays.
// Holds spec P-8.
func TestTheSetIsNeverEmpty(t *testing.T) {
	cut := func(s creditv1.Seat) creditv1.Seat {
		s.Power, s.Cut = 0, s.Told > 0
		return s
	}
	for _, c := range []struct {
		name   string
		seats  []creditv1.Seat
		enters int
		want   []uint64
	}{
		{"the last validator", []creditv1.Seat{cut(seatOf(0, 0, TotalPower))},
			-1, []uint64{TotalPower}},
		{"all at once", []creditv1.Seat{cut(seatOf(0, 0, 600_000)), cut(seatOf(1, 0, 400_000))}, -1,
			[]uint64{600_000, 400_000}},
		{"the last validator, while somebody waits", []creditv1.Seat{cut(seatOf(0, 0, TotalPower)),
			seatOf(1, 300_000, 0)}, 1, []uint64{0, TotalPower}},
		{"everybody who was to have power",
			[]creditv1.Seat{seatOf(0, 0, 700_000), cut(seatOf(1, 0, 300_000))}, -1,
			[]uint64{TotalPower, 0}},
	} {
		got := advance(c.seats, c.enters)
		for i, want := range c.want {
			if got[i].Told != want {
				t.Errorf("%s: %s has %d, want %d", c.name, got[i].Participant, got[i].Told, want)
			}
		}
	}
}

// Rounding does not add up over a long joining: 300 newcomers of all sizes beside 300 that leave.
func TestRoundingStaysSmall(t *testing.T) {
	r := road{}
	left := uint64(TotalPower)
	for i := range 300 {
		w := uint64(1 + (i*i*7919)%6_000)
		if i == 299 {
			w = left
		}
		left -= w
		r.seats = append(r.seats, seatOf(i, 0, w))
	}
	left = TotalPower
	for i := range 300 {
		w := uint64(1 + (i*i*104_729)%6_000)
		if i == 299 {
			w = left
		}
		left -= w
		r.seats = append(r.seats, seatOf(300+i, w, 0))
	}
	r.begin()
	worst := int64(0)
	for entered := uint64(0); slices.ContainsFunc(r.seats, waits); {
		i := slices.IndexFunc(r.seats, waits)
		entered += r.seats[i].Power
		r.seats = advance(r.seats, i)
		for i, s := range r.seats[:300] {
			exact := int64(r.from[i] * (TotalPower - entered) / TotalPower)
			worst = max(worst, int64(s.Told)-exact, exact-int64(s.Told))
		}
	}
	if worst > 100 { // a hundredth of a percent
		t.Errorf("a name was %d units from its part", worst)
	}
	t.Logf("largest distance of a name from its part: %d of %d", worst, TotalPower)
}
