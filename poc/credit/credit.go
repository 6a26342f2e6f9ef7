// SPDX-License-Identifier: Apache-2.0

// Package credit turns verdicts into weight, and weight into voting power.
//
// Credited takes off a claim what its sample could not rule out. Powers moves
// the validators' voting powers towards the new weights within two rails:
//
//	weights -> shares -> cap -> move limit -> integers
//
// The cap keeps any one participant at a quarter of the power, or a little
// above an equal share where there are few. What is cut off goes to the others
// in proportion to their weights. The move limit lets at most a third of the
// power change hands in one epoch: whoever brings a large fleet for one epoch
// cannot take the chain with it, and clients that follow the chain from a
// distance keep their footing.
//
// What a cap cuts has to go somewhere. With three or more large participants
// all the others together get a quarter at most from it; where one or two hold
// nearly all the weight, those with hardly any are lifted far above it. A
// network that small must know its members.
//
// Both work on exact fractions and conserve the total: powers sum to
// TotalPower whatever the weights are. There is one rounding, at the end, to
// the nearest units by largest remainder; it moves each power by less than one
// unit of a million.
package credit

import (
	"math/big"
	"math/bits"
	"slices"
	"strings"

	"github.com/assaynet/assay/poc/audit"
)

// Credited returns floor(count * (1 - fu)): the leaves that count when at most
// the share fu of them may be bad. It never exceeds count.
func Credited(count uint64, fu audit.Q64) uint64 {
	switch fu {
	case 0:
		return count
	case audit.One:
		return 0
	}
	hi, _ := bits.Mul64(count, -uint64(fu)) // 2^64 - fu
	return hi
}

// Share is one participant's weight or power.
type Share struct {
	ID     string
	Weight uint64 // weight in MiOP (2^20 operations), or power
}

// Rules are the rails of Powers.
type Rules struct {
	CapBps      uint64 // most of the power that one may hold, of 10,000
	CapSlackBps uint64 // ... or this much above an equal share, if that is more
	MoveNum     uint64 // most of the power that may move, MoveNum/MoveDen
	MoveDen     uint64 // 0 means no limit
	TotalPower  uint64 // sum of all powers
}

// DefaultRules are the rules of the design: max(25 %, 1/n + 5 points), 1/3.
func DefaultRules() Rules {
	return Rules{CapBps: 2500, CapSlackBps: 500, MoveNum: 1, MoveDen: 3, TotalPower: 1_000_000}
}

// Powers returns the voting powers that follow old when target is what the
// participants' weights are now, sorted by ID, without entries of 0; their sum
// is rules.TotalPower. Shares of one ID are added up.
//
// The target's shares are capped at max(CapBps, 1/n + CapSlackBps), n being the
// number of participants with weight, and what is cut is spread over the
// others by weight, again under the cap. Then, if half the sum of absolute
// changes of share exceeds MoveNum/MoveDen, every change is scaled down to
// meet it. Without old powers there is nothing to move from and the target
// acts at once. A target without weight leaves old as it is.
func Powers(old, target []Share, rules Rules) []Share {
	goal := merge(target)
	if len(goal) == 0 || rules.TotalPower == 0 {
		return slices.Clone(old)
	}
	shares := capped(goal, rules)
	from := merge(old)
	ids := make([]string, 0, len(goal)+len(from))
	for _, s := range goal {
		ids = append(ids, s.ID)
	}
	for _, s := range from {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	to := align(ids, goal, shares)
	if len(from) > 0 {
		to = limited(align(ids, from, fractions(from)), to, rules)
	}
	return round(ids, to, rules.TotalPower)
}

// merge sorts by ID, adds up what shares an ID and drops what has no weight.
// Sums saturate.
func merge(in []Share) []Share {
	sorted := slices.Clone(in)
	slices.SortStableFunc(sorted, func(a, b Share) int { return strings.Compare(a.ID, b.ID) })
	out := sorted[:0]
	for _, s := range sorted {
		if s.Weight == 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].ID == s.ID {
			sum, carry := bits.Add64(out[n-1].Weight, s.Weight, 0)
			out[n-1].Weight = sum | -carry
			continue
		}
		out = append(out, s)
	}
	return out
}

// integer returns v as a fraction.
func integer(v uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(v)) }

// fractions returns each weight over the sum of weights.
func fractions(in []Share) []*big.Rat {
	sum := new(big.Rat)
	for _, s := range in {
		sum.Add(sum, integer(s.Weight))
	}
	out := make([]*big.Rat, len(in))
	for i, s := range in {
		out[i] = new(big.Rat).Quo(integer(s.Weight), sum)
	}
	return out
}

// capped returns the goal's shares under the cap. Filling up: the heaviest are
// set to the cap as long as the next one, given its part of the rest, would be
// above it. The cap is at least 1/n, so the rest always finds room.
func capped(goal []Share, rules Rules) []*big.Rat {
	const whole = 10_000
	shares := fractions(goal)
	n := uint64(len(goal))
	most := new(big.Rat).Quo(integer(rules.CapBps), integer(whole))
	even := new(big.Rat).Quo(integer(rules.CapSlackBps), integer(whole))
	even.Add(even, new(big.Rat).Quo(integer(1), integer(n)))
	if even.Cmp(most) > 0 {
		most = even
	}
	heaviest := make([]int, n)
	for i := range heaviest {
		heaviest[i] = i
	}
	slices.SortStableFunc(heaviest, func(a, b int) int { return shares[b].Cmp(shares[a]) })
	room := integer(1)   // share that the uncapped hold together
	weight := integer(1) // the sum of their original shares
	scale := integer(1)  // room / weight
	for _, i := range heaviest {
		if new(big.Rat).Mul(shares[i], scale).Cmp(most) <= 0 {
			break
		}
		room.Sub(room, most)
		weight.Sub(weight, shares[i])
		shares[i] = most
		if weight.Sign() > 0 {
			scale.Quo(room, weight)
		}
	}
	for _, share := range shares {
		if share != most { // identity: a capped share is this very number
			share.Mul(share, scale)
		}
	}
	return shares
}

// align spreads shares over ids, with 0 for those that have none.
func align(ids []string, in []Share, shares []*big.Rat) []*big.Rat {
	out := make([]*big.Rat, len(ids))
	next := 0
	for i, id := range ids {
		if next < len(in) && in[next].ID == id {
			out[i] = shares[next]
			next++
		} else {
			out[i] = new(big.Rat)
		}
	}
	return out
}

// limited moves from one set of shares towards another as far as the rules let.
func limited(from, to []*big.Rat, rules Rules) []*big.Rat {
	if rules.MoveDen == 0 {
		return to
	}
	moved := new(big.Rat)
	for i := range to {
		d := new(big.Rat).Sub(to[i], from[i])
		moved.Add(moved, d.Abs(d))
	}
	moved.Quo(moved, integer(2))
	most := new(big.Rat).Quo(integer(rules.MoveNum), integer(rules.MoveDen))
	if moved.Cmp(most) <= 0 {
		return to
	}
	scale := most.Quo(most, moved)
	out := make([]*big.Rat, len(to))
	for i := range to {
		d := new(big.Rat).Sub(to[i], from[i])
		out[i] = d.Mul(d, scale).Add(d, from[i])
	}
	return out
}

// round turns shares that sum to 1 into integers that sum to total: each gets
// its floor, and the units left go to the largest remainders, ties by ID.
func round(ids []string, shares []*big.Rat, total uint64) []Share {
	out := make([]Share, len(ids))
	rest := make([]*big.Rat, len(ids))
	left := total
	for i, share := range shares {
		exact := new(big.Rat).Mul(share, integer(total))
		floor := new(big.Int).Quo(exact.Num(), exact.Denom())
		out[i] = Share{ID: ids[i], Weight: floor.Uint64()}
		rest[i] = exact.Sub(exact, new(big.Rat).SetInt(floor))
		left -= out[i].Weight
	}
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rest[b].Cmp(rest[a]) })
	for _, i := range order[:left] {
		out[i].Weight++
	}
	return slices.DeleteFunc(out, func(s Share) bool { return s.Weight == 0 })
}
