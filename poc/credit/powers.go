// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"math/big"
	"math/bits"
	"slices"
	"strings"
)

// bps is a whole in basis points.
const bps = 10_000

// Share is one participant's weight or power.
type Share struct {
	ID     string
	Weight uint64 // weight in MiOP (2^20 operations), or power
}

// Rules are the rails of Powers.
type Rules struct {
	// most of the power that one name holds, in basis points, where LambdaBps allows it
	CapBps uint64
	// most of the power of a name in basis points of its share of the weight, from 10,000 on
	LambdaBps uint64
	MoveBps   uint64 // most of the power that may move, in basis points
	// During an outage the move limit is MoveBps * Live / Base: as much of the
	// power moves as there is weight left to vouch for it. Base 0 is no outage.
	Live, Base uint64
	TotalPower uint64 // sum of all powers
}

// DefaultRules are the rules of the design: a cap of 25 %, a lift of 6/5, and a
// tenth of the power an epoch.
func DefaultRules() Rules {
	return Rules{CapBps: 2_500, LambdaBps: 12_000, MoveBps: 1_000, TotalPower: 1_000_000}
}

// Powers returns the voting powers that follow old when target is what the
// participants' weights are now, sorted by ID, without entries of 0; their sum
// is rules.TotalPower. Shares of one ID are added up.
//
// If half the sum of absolute changes of share exceeds the move limit, every
// change is scaled down to meet it. Without old powers there is nothing to move
// from and the target acts at once. A target without weight leaves old as it is.
func Powers(old, target []Share, rules Rules) []Share {
	goal := merge(target)
	if len(goal) == 0 || rules.TotalPower == 0 {
		return slices.Clone(old)
	}
	to := level(goal, rules)
	from := merge(old)
	if len(from) == 0 {
		return round(names(goal), to, rules.TotalPower)
	}
	ids := append(names(goal), names(from)...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	moved := limited(align(ids, from, own(from)), align(ids, goal, to), rules)
	return round(ids, moved, rules.TotalPower)
}

// Capped returns what weights are worth under cap and lift, as integers that
// sum to rules.TotalPower: the powers they would have if any amount could move.
// They come in the order of the weights, whose IDs have to be distinct; one
// without weight gets 0. Without any weight all are 0.
func Capped(weights []Share, rules Rules) []Share {
	out := make([]Share, len(weights))
	for i, w := range weights {
		out[i].ID = w.ID
	}
	goal := merge(weights)
	if len(goal) == 0 || rules.TotalPower == 0 {
		return out
	}
	capped := round(names(goal), level(goal, rules), rules.TotalPower)
	for i := range out {
		at, ok := slices.BinarySearchFunc(capped, out[i].ID, func(s Share,
			id string) int {
			return strings.Compare(s.ID, id)
		})
		if ok {
			out[i].Weight = capped[at].Weight
		}
	}
	return out
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

func names(in []Share) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = s.ID
	}
	return out
}

// parts are exact shares: parts[i] / whole. They add up to the whole.
type parts struct {
	of    []*big.Int
	whole *big.Int
}

func number(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

func product(a *big.Int, b uint64) *big.Int { return new(big.Int).Mul(a, number(b)) }

// own is each one's part of the sum of weights.
func own(in []Share) parts {
	p := parts{make([]*big.Int, len(in)), new(big.Int)}
	for i, s := range in {
		p.of[i] = number(s.Weight)
		p.whole.Add(p.whole, p.of[i])
	}
	return p
}

// level returns the shares under cap and lift.
//
// With the k heaviest at the cap the others share the rest by weight, which
// lifts them by s = (1 - k*cap) / (their part of the weight). The right k is
// the least one at which the next one, so lifted, fits under the cap. If there
// is none, or s is above lambda, the others are lifted by lambda and the k
// heaviest share the rest equally, again for the least k at which the next one
// is not above them.
func level(goal []Share, rules Rules) parts {
	all := own(goal)
	heaviest := make([]int, len(goal))
	for i := range heaviest {
		heaviest[i] = i
	}
	slices.SortStableFunc(heaviest, func(a, b int) int { return all.of[b].Cmp(all.of[a]) })
	at := func(k int) *big.Int { return all.of[heaviest[k]] }

	tail := new(big.Int).Set(all.whole) // weight of all but the k heaviest
	for k := 0; k < len(goal) && uint64(k)*rules.CapBps < bps; k++ {
		rest := bps - uint64(k)*rules.CapBps // of the power, in basis points
		if product(at(k), rest).Cmp(product(tail, rules.CapBps)) > 0 {
			tail.Sub(tail, at(k))
			continue
		}
		if product(all.whole, rest).Cmp(product(tail, max(rules.LambdaBps, bps))) > 0 {
			break // s is above lambda
		}
		return raise(all, heaviest, k, product(tail, rules.CapBps), number(rest),
			product(tail, bps))
	}

	lambda := max(rules.LambdaBps, bps)
	tail.Set(all.whole)
	for k := 1; ; k++ {
		tail.Sub(tail, at(k-1))
		top := product(all.whole, bps)
		top.Sub(top, product(tail, lambda)) // what the k heaviest have together
		if top.Sign() <= 0 || k < len(goal) && product(at(k), uint64(k)*lambda).Cmp(top) > 0 {
			continue // never at the last k: then tail is 0 and nobody comes after
		}
		return raise(all, heaviest, k, top, product(number(uint64(k)), lambda),
			product(all.whole, uint64(k)*bps))
	}
}

// raise gives the k heaviest the level and the others the factor times their
// weight, all over the same whole.
func raise(all parts, heaviest []int, k int, level, factor, whole *big.Int) parts {
	out := parts{make([]*big.Int, len(all.of)), whole}
	for n, i := range heaviest {
		if n < k {
			out.of[i] = level
		} else {
			out.of[i] = new(big.Int).Mul(all.of[i], factor)
		}
	}
	return out
}

// align spreads shares over ids, with 0 for those that have none.
func align(ids []string, in []Share, p parts) parts {
	out := parts{make([]*big.Int, len(ids)), p.whole}
	next := 0
	for i, id := range ids {
		if next < len(in) && in[next].ID == id {
			out.of[i] = p.of[next]
			next++
		} else {
			out.of[i] = new(big.Int)
		}
	}
	return out
}

// limited moves from one set of shares towards another as far as the rules let.
func limited(from, to parts, rules Rules) parts {
	both := new(big.Int).Mul(from.whole, to.whole)
	change := make([]*big.Int, len(to.of)) // over both
	moved := new(big.Int)                  // twice what moves, over both
	for i := range to.of {
		was := new(big.Int).Mul(from.of[i], to.whole)
		change[i] = new(big.Int).Mul(to.of[i], from.whole)
		change[i].Sub(change[i], was)
		moved.Add(moved, new(big.Int).Abs(change[i]))
	}
	// the limit is most / of; moved / (2*both) may not be above it
	most, of := number(rules.MoveBps), number(bps)
	if rules.Base > 0 {
		most, of = product(most, min(rules.Live, rules.Base)), product(of, rules.Base)
	}
	most.Mul(most, both).Lsh(most, 1)
	of.Mul(of, moved)
	if of.Cmp(most) <= 0 {
		return to
	}
	// from + change * (most / of), both over the same whole
	out := parts{make([]*big.Int, len(to.of)), new(big.Int).Mul(both, of)}
	for i := range to.of {
		was := new(big.Int).Mul(from.of[i], to.whole)
		out.of[i] = was.Mul(was, of)
		out.of[i].Add(out.of[i], change[i].Mul(change[i], most))
	}
	return out
}

// round turns shares into integers that sum to total: each gets its floor, and
// the units left go to the largest remainders, ties by ID.
func round(ids []string, p parts, total uint64) []Share {
	out := make([]Share, len(ids))
	rest := make([]*big.Int, len(ids))
	left := total
	for i, part := range p.of {
		floor, remainder := new(big.Int).QuoRem(product(part, total), p.whole, new(big.Int))
		out[i], rest[i] = Share{ID: ids[i], Weight: floor.Uint64()}, remainder
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
