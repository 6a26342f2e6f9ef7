// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"math/big"
	"math/bits"
	"slices"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/seed"
)

// voter is a member that judges.
type voter struct {
	name   string
	weight uint64 // capped: what its vote weighs where all are members, and its chance at a slot
	own    uint64 // leaves it owes at most, 0 for no limit
}

// target is a participant that is judged.
type target struct {
	name  string
	drawn int // leaves drawn of it
}

// assembly is who judges whom in an epoch: a pure function of the committee's mix and of records
// that were closed before it.
type assembly struct {
	slots    int
	everyone bool
	voters   []voter  // rising by name
	targets  []target // rising by name
	// of[t] are the owners of the slots of targets[t], as positions in voters; nil where everyone
	// judges
	of [][]int32
	// falls[slot] are the drawn leaves of a target that fall to a slot, a bit each
	falls []leafSet
	// duties[v] is what voters[v] owes, by target
	duties [][]owed
}

// owed is a target, as a position in targets, how many of its drawn leaves its judge re-runs, and
// how many slots of its committee the judge has that got a leaf.
type owed struct {
	target        int32
	leaves, slots uint16
}

// leafSet are some of at most MaxSamples drawn leaves, a bit each.
type leafSet [(sprintv1.MaxSamples + 63) / 64]uint64

func (s *leafSet) add(more *leafSet) {
	for i := range s {
		s[i] |= more[i]
	}
}

// below drops all from the n-th on.
func (s *leafSet) below(n int) {
	for i := range s {
		if left := n - 64*i; left <= 0 {
			s[i] = 0
		} else if left < 64 {
			s[i] &= 1<<left - 1
		}
	}
}

func (s *leafSet) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// capped returns what the voters' votes weigh: their weights under the rule for voting power, so
// that no single giant decides about all others.
func capped(voters []voter, rules credit.Rules) []voter {
	shares := make([]credit.Share, len(voters))
	for i, v := range voters {
		shares[i] = credit.Share{ID: v.name, Weight: v.weight}
	}
	out := slices.Clone(voters)
	for i, s := range credit.Capped(shares, rules) {
		out[i].weight = s.Weight
	}
	return out
}

// assemble draws the committees. With few voters all are members of all committees but their own.
// Otherwise each target has slots, drawn by capped weight among the other voters, and each leaf
// falls to some of them. A member owes what fell to it in an order of its own, until that reaches
// its limit; one target at least.
func assemble(chain string, epoch uint64, mix seed.Seed, slots, replicas int, everyone bool,
	voters []voter, targets []target) *assembly {
	a := &assembly{slots: slots, everyone: everyone, voters: voters, targets: targets,
		duties: make([][]owed, len(voters))}
	if everyone { // as one slot, which everybody owns
		slots, replicas = 1, 1
	}
	a.falls = make([]leafSet, slots)
	for slot := range a.falls {
		for j := range sprintv1.MaxSamples {
			if audit.Works(slots, replicas, slot, j) {
				a.falls[slot][j/64] |= 1 << (j % 64)
			}
		}
	}
	fell := make([][]int32, len(voters)) // targets by voter, rising
	if everyone {
		for v := range voters {
			for t := range targets {
				if targets[t].name != voters[v].name {
					fell[v] = append(fell[v], int32(t))
				}
			}
		}
	} else {
		a.drawSlots(chain, epoch, mix, fell)
	}
	for v := range voters {
		s := seed.Owed(chain, epoch, voters[v].name, mix)
		load := uint64(0)
		for k, at := range audit.Shuffle(s, len(fell[v])) {
			if own := voters[v].own; k > 0 && own > 0 && load >= own {
				break
			}
			mine, slots := a.mine(v, fell[v][at])
			n := mine.count()
			a.duties[v] = append(a.duties[v], owed{fell[v][at], uint16(n), uint16(slots)})
			load += uint64(n)
		}
		slices.SortFunc(a.duties[v], func(x, y owed) int { return int(x.target - y.target) })
	}
	return a
}

func (a *assembly) drawSlots(chain string, epoch uint64, mix seed.Seed, fell [][]int32) {
	ends := make([]uint64, len(a.voters)) // ends[i]: the weights of voters[:i+1] together
	var total uint64
	for i, v := range a.voters {
		total += v.weight
		ends[i] = total
	}
	a.of = make([][]int32, len(a.targets))
	own := 0 // position of the target among the voters
	for t := range a.targets {
		for own < len(a.voters) && a.voters[own].name < a.targets[t].name {
			own++
		}
		var from, width uint64 // the target's own part of the circle is left out
		if own < len(a.voters) && a.voters[own].name == a.targets[t].name {
			width = a.voters[own].weight
			from = ends[own] - width
		}
		a.of[t] = make([]int32, 0, a.slots)
		for slot, pick := range audit.Picks(seed.Committee(chain, epoch, 1, a.targets[t].name, mix),
			total-width, a.slots) {
			if pick >= from {
				pick += width
			}
			v, _ := slices.BinarySearch(ends, pick+1)
			a.of[t] = append(a.of[t], int32(v))
			if n := len(fell[v]); a.works(slot, a.targets[t].drawn) &&
				(n == 0 || fell[v][n-1] != int32(t)) {
				fell[v] = append(fell[v], int32(t))
			}
		}
	}
}

// works reports whether any of n leaves falls to a slot.
func (a *assembly) works(slot, n int) bool {
	mine := a.falls[slot]
	mine.below(n)
	return mine != leafSet{}
}

// mine are the drawn leaves of a target that a voter re-runs, and how many of its slots got one.
func (a *assembly) mine(v int, t int32) (mine leafSet, slots int) {
	if a.everyone {
		mine = a.falls[0]
	} else {
		for slot, owner := range a.of[t] {
			if int(owner) == v && a.works(slot, a.targets[t].drawn) {
				mine.add(&a.falls[slot])
				slots++
			}
		}
	}
	mine.below(a.targets[t].drawn)
	return mine, slots
}

// positions lists which of a target's drawn leaves a voter re-runs, rising.
func (a *assembly) positions(v int, t int32) []uint16 {
	mine, _ := a.mine(v, t)
	out := make([]uint16, 0, mine.count())
	for i, w := range mine {
		for ; w != 0; w &= w - 1 {
			out = append(out, uint16(64*i+bits.TrailingZeros64(w)))
		}
	}
	return out
}

// find returns a voter's position.
func (a *assembly) find(name string) (int, bool) {
	return slices.BinarySearchFunc(a.voters, name, func(v voter, name string) int {
		switch {
		case v.name < name:
			return -1
		case v.name > name:
			return 1
		}
		return 0
	})
}

// tally is what a target's committee said.
type tally struct {
	pass, fail, whole uint64
}

// passed: more of what was said passes it than fails it, and what passes it is more than a third of
// the committee, silent ones included. Who says nothing stops nobody alone, and decides nothing.
func (t tally) passed() bool {
	return t.pass > t.fail && t.pass > t.whole/3
}

// opinion is what a voter said, one byte a duty; out takes it out of both sides: it was proven
// false, or did not open what was to be checked.
type opinion struct {
	votes []byte
	out   bool
}

// count adds up the votes on every target.
func (a *assembly) count(said []opinion) []tally {
	out := make([]tally, len(a.targets))
	var all uint64 // where everyone judges, the weights of those who are not out
	for v := range a.voters {
		if !said[v].out {
			all += a.voters[v].weight
		}
	}
	for t := range a.targets {
		if a.everyone {
			out[t].whole = all
			if v, ok := a.find(a.targets[t].name); ok && !said[v].out {
				out[t].whole -= a.voters[v].weight
			}
			continue
		}
		for slot, v := range a.of[t] {
			if !said[v].out && a.works(slot, a.targets[t].drawn) {
				out[t].whole++
			}
		}
	}
	for v, duties := range a.duties {
		if said[v].out {
			continue
		}
		for i, vote := range said[v].votes {
			if i == len(duties) {
				break
			}
			weight := a.voters[v].weight
			if !a.everyone {
				weight = uint64(duties[i].slots)
			}
			switch sprintv1.Vote(vote) {
			case sprintv1.VotePass:
				out[duties[i].target].pass += weight
			case sprintv1.VoteFail:
				out[duties[i].target].fail += weight
			}
		}
	}
	return out
}

// duty is how much of what it owed a voter judged, in operations credited.
type duty struct {
	judged, owed *big.Int
}

// discharged adds up, for every voter, the credit of the targets that it owed and of those that it
// judged.
func (a *assembly) discharged(said []opinion, credit func(t int32) uint64) []duty {
	out := make([]duty, len(a.voters))
	for v := range a.voters {
		d := duty{new(big.Int), new(big.Int)}
		for i, duty := range a.duties[v] {
			c := new(big.Int).SetUint64(credit(duty.target))
			d.owed.Add(d.owed, c)
			if i < len(said[v].votes) && judges(said[v].votes[i]) {
				d.judged.Add(d.judged, c)
			}
		}
		out[v] = d
	}
	return out
}

// plus is both duties together.
func (d duty) plus(more duty) duty {
	if d.judged == nil {
		return more
	}
	return duty{new(big.Int).Add(d.judged, more.judged), new(big.Int).Add(d.owed, more.owed)}
}

// of returns the part of a credit that a voter's own duty leaves it: all where nothing that it owed
// was credited.
func (d duty) of(credit uint64) uint64 {
	if d.owed.Sign() == 0 {
		return credit
	}
	part := new(big.Int).Mul(d.judged, new(big.Int).SetUint64(credit))
	return part.Quo(part, d.owed).Uint64()
}
