// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"text/tabwriter"

	"github.com/assaynet/assay/poc/credit"
)

// minLiveBps is main's least part of the weight that has to be live.
const minLiveBps = 6_666

// Budget is how much of the compute an attacker may bring before it can stop or take the chain.
// Percentages are rounded down: never in the network's favour where they bound an attacker.
type Budget struct {
	MoveBps    uint64   `json:"move_bps"`
	LambdaBps  uint64   `json:"lambda_bps"`
	MinLiveBps uint64   `json:"min_live_bps"`
	Budget     string   `json:"budget_percent"`     // of the compute present
	Absent     []Absent `json:"with_honest_absent"` // of all compute
	// of the compute from which one name has over a third of the power
	OneThird   string `json:"one_name_over_1_3"`
	SplitThird string `json:"split_over_1_3"`    // the same for any number of names
	OneMost    string `json:"one_name_over_2_3"` // and for two thirds
	SplitMost  string `json:"split_over_2_3"`    //
	// of the compute from which the cap yields to one name
	CapYields string   `json:"one_name_over_cap"`
	Network   *Network `json:"network,omitempty"` // with --node
	Outage    *Outage  `json:"outage,omitempty"`  // with --node, while there is one
}

// Absent is what the budget is with a part of the honest compute away.
type Absent struct {
	Honest string `json:"honest_absent_percent"`
	Budget string `json:"budget_percent"`
}

// Network is what a node says of its holders.
type Network struct {
	Holders   int      `json:"holders"`   // with weight
	Weight    uint64   `json:"weight"`    // of all, in MiOP
	Covered   string   `json:"validated"` // part of the weight of those who can have power
	Budget    string   `json:"budget_percent"`
	Largest   []Holder `json:"largest"`
	Coalition int      `json:"coalition"` // so many of the largest together reach the budget
}

// Holder is one of the largest names.
type Holder struct {
	Participant string `json:"participant"`
	Weight      string `json:"weight_percent"`
	Power       string `json:"power_percent"`
	Most        string `json:"most_percent"` // lambda times its share of the weight
}

// Outage slows all moves.
type Outage struct {
	Base uint64 `json:"base"` // weight before it
	Move string `json:"move_percent"`
}

// held is what --node reads of a holder.
type held struct {
	participant   string
	weight, power uint64
}

// ratio is a/b.
func ratio(a, b uint64) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
}

// hundredths writes a share in percent with two decimals, rounded down.
func hundredths(r *big.Rat) string {
	v := new(big.Int).Mul(r.Num(), big.NewInt(10_000))
	v.Div(v, r.Denom())
	n := v.Int64()
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

// share is the part of the compute present that keeps a coalition below a third of the power in
// every set:
//
//	lambda * share + move/4 = 1/3
//
// A settled set gives no group more than lambda times its compute, and no set on the way from one
// to the next more than a quarter of the move above that.
func share(rules credit.Rules) *big.Rat {
	b := new(big.Rat).Sub(ratio(1, 3), ratio(rules.MoveBps, 40_000))
	return b.Quo(b, ratio(rules.LambdaBps, 10_000))
}

// away is the budget b as a part of all compute when a part a of the honest one is absent. A
// coalition of c has c / (c + (1-c)(1-a)) of what is present. At b that is c = b(1-a) / (1 - ab).
func away(b, a *big.Rat) *big.Rat {
	one := ratio(1, 1)
	c := new(big.Rat).Mul(b, new(big.Rat).Sub(one, a))
	return c.Quo(c, new(big.Rat).Sub(one, new(big.Rat).Mul(a, b)))
}

// voids reports whether an epoch is void when a part a of the honest is absent beside a coalition
// of c.
func voids(c, a *big.Rat, minLive uint64) bool {
	gone := new(big.Rat).Sub(ratio(1, 1), c)
	gone.Mul(gone, a)
	return gone.Cmp(new(big.Rat).Sub(ratio(1, 1), ratio(minLive, 10_000))) > 0
}

// budget computes the formula for these rails.
func budget(rules credit.Rules, minLive uint64) Budget {
	b, one, lambda := share(rules), ratio(1, 1), ratio(rules.LambdaBps, 10_000)
	// of the others, lifted by lambda, one name leaves 1 - power: power = 1 - lambda * (1 -
	// compute)
	alone := func(power *big.Rat) string {
		rest := new(big.Rat).Sub(one, power)
		return hundredths(new(big.Rat).Sub(one, rest.Quo(rest, lambda)))
	}
	split := func(power *big.Rat) string { return hundredths(new(big.Rat).Quo(power, lambda)) }
	out := Budget{
		MoveBps: rules.MoveBps, LambdaBps: rules.LambdaBps, MinLiveBps: minLive,
		Budget:   hundredths(b),
		OneThird: alone(ratio(1, 3)), SplitThird: split(ratio(1, 3)), OneMost: alone(ratio(2, 3)),
		SplitMost: split(ratio(2, 3)),
		CapYields: alone(ratio(rules.CapBps, 10_000)),
	}
	for _, a := range []*big.Rat{ratio(0, 1), ratio(1, 10), ratio(1, 5), ratio(1, 4), ratio(1, 3),
		ratio(2, 5), ratio(1, 2)} {
		if c := away(b, a); !voids(c, a, minLive) {
			out.Absent = append(out.Absent, Absent{hundredths(a), hundredths(c)})
		}
	}
	return out
}

// measure adds what the holders of a network make of the formula. Only so many of them can have
// power.
func (b *Budget) measure(rules credit.Rules, validators uint64, all []held, base uint64) {
	slices.SortStableFunc(all, func(a, b held) int { return cmp.Compare(b.weight, a.weight) })
	n, sum, covered := &Network{}, new(big.Int), new(big.Int)
	for i, h := range all {
		if h.weight == 0 {
			break
		}
		n.Holders++
		sum.Add(sum, new(big.Int).SetUint64(h.weight))
		if uint64(i) < validators {
			covered.Set(sum)
		}
	}
	if n.Holders == 0 {
		return
	}
	if n.Weight = math.MaxUint64; sum.IsUint64() {
		n.Weight = sum.Uint64()
	}
	part := new(big.Rat).SetFrac(covered, sum)
	bound := new(big.Rat).Mul(share(rules), part)
	n.Covered, n.Budget = hundredths(part), hundredths(bound)
	together := new(big.Rat)
	for i, h := range all[:n.Holders] {
		own := new(big.Rat).SetFrac(new(big.Int).SetUint64(h.weight), sum)
		if together.Add(together, own); n.Coalition == 0 && together.Cmp(bound) >= 0 {
			n.Coalition = i + 1
		}
		if i < 3 {
			most := new(big.Rat).Mul(own, ratio(rules.LambdaBps, 10_000))
			if one := ratio(1, 1); most.Cmp(one) > 0 {
				most = one
			}
			n.Largest = append(n.Largest,
				Holder{h.participant, hundredths(own), hundredths(ratio(h.power, rules.TotalPower)),
					hundredths(most)})
		}
	}
	b.Network = n
	if base > 0 {
		move := new(big.Rat).Mul(ratio(rules.MoveBps, 10_000), ratio(min(n.Weight, base), base))
		b.Outage = &Outage{base, hundredths(move)}
	}
}

// Text prints the budget for people.
func (b Budget) Text(out io.Writer) {
	fmt.Fprintf(out, "Security budget of the chain: (1/3 - move/4) / lambda = %s %% of the "+
		"compute present, at a move of %s %% an epoch\n"+
		"and a lambda of %s. Below it nobody, in any number of names, holds a third of the "+
		"voting power in any validator set, so\n"+
		"nobody can stop the chain or decide for it.\n\n", b.Budget,
		hundredths(ratio(b.MoveBps, 10_000)), hundredths(ratio(b.LambdaBps, 1_000_000)))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  honest compute absent\tbudget, of all compute\n")
	for _, a := range b.Absent {
		fmt.Fprintf(w, "  %s %%\t%s %%\n", a.Honest, a.Budget)
	}
	w.Flush()
	fmt.Fprintf(out, "  With over %s %% of the weight absent the epoch is void and no power "+
		"moves.\n\n", hundredths(ratio(10_000-b.MinLiveBps, 10_000)))
	fmt.Fprintf(out, "What a holder can reach in a settled set, beside others who are small:\n"+
		"  in one name   a quarter of the power at most up to %s %% of the compute, over 1/3 "+
		"from %s %%, over 2/3 from %s %%\n"+
		"  split         over 1/3 from %s %%, over 2/3 from %s %%\n", b.CapYields, b.OneThird,
		b.OneMost, b.SplitThird, b.SplitMost)
	if n := b.Network; n != nil {
		fmt.Fprintf(out, "\nThis network: %d holders with %d MiOP an epoch. Those who can have "+
			"power did %s %% of it, so the budget is %s %%.\n"+
			"It takes the %d largest together to reach that.\n", n.Holders, n.Weight, n.Covered,
			n.Budget, n.Coalition)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "  largest holders\tof the compute\tof the power\tat most, if it splits\n")
		for _, h := range n.Largest {
			fmt.Fprintf(w, "  %s\t%s %%\t%s %%\t%s %%\n", h.Participant, h.Weight, h.Power, h.Most)
		}
		w.Flush()
	}
	if o := b.Outage; o != nil {
		fmt.Fprintf(out, "\nAn outage goes on: of the %d MiOP before it less than two thirds are "+
			"back, and at most %s %% of the power moves an epoch.\n", o.Base, o.Move)
	}
}
