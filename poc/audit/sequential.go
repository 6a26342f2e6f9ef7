// SPDX-License-Identifier: Apache-2.0

package audit

import "math/big"

// Decision is where a sequential test stands.
type Decision uint8

const (
	// Continue says that neither explanation is excluded yet: look at more.
	Continue Decision = iota
	// Faulty says that the mismatches are those of a machine that errs at the
	// tolerated rate: no fraud.
	Faulty
	// Fraud says that no such machine errs so often.
	Fraud
)

// String returns the decision in lower case.
func (d Decision) String() string {
	switch d {
	case Continue:
		return "continue"
	case Faulty:
		return "faulty"
	case Fraud:
		return "fraud"
	}
	return "unspecified"
}

// Sequential is Wald's sequential probability ratio test between two rates of
// mismatch: P0, which faulty hardware may have, and P1, from which it is fraud.
// Alpha is the probability of calling the first the second, Beta that of the
// opposite. A. Wald, Annals of Mathematical Statistics 16 (1945).
//
// The likelihood ratio of x mismatches among n is
//
//	(P1/P0)^x * ((1-P1)/(1-P0))^(n-x)
//
// Fraud is decided where it reaches (1-Beta)/Alpha, Faulty where it falls to
// Beta/(1-Alpha). Both are compared as integers, so all who look decide alike.
// The bounds hold however rarely one looks: a test may be evaluated at the ends
// of rounds of a fixed size only, which leaves whoever orders the leaves no say.
type Sequential struct{ P0, P1, Alpha, Beta Rate }

// Flaky is the published test: one error in ten thousand tiles is hardware,
// one in twenty is not, and either mistake is one in a million. It takes 270
// tiles to decide for the machine if all are right, some 122 more for each that is not, and three
// early mismatches to decide against it.
func Flaky() Sequential {
	return Sequential{P0: Rate{1, 10_000}, P1: Rate{1, 20}, Alpha: Rate{1, 1_000_000},
		Beta: Rate{1, 1_000_000}}
}

// Decide says where the test stands after x mismatches among n. It says
// Continue beyond MaxSample, for x > n and where the rates make no test, that
// is unless 0 < P0 < P1 < 1 and Alpha + Beta < 1 with both above 0: no
// conviction.
func (s Sequential) Decide(n, x uint64) Decision {
	if n > MaxSample || x > n || !s.valid() {
		return Continue
	}
	i := func(v uint64) *big.Int { return new(big.Int).SetUint64(v) }
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	// Each probability over its own denominator; those to the n-th power cancel
	// down to one factor on each side.
	pass1 := mul(i(s.P1.Den-s.P1.Num), i(s.P0.Den))
	pass0 := mul(i(s.P0.Den-s.P0.Num), i(s.P1.Den))
	fail1 := mul(i(s.P1.Num), i(s.P0.Den))
	fail0 := mul(i(s.P0.Num), i(s.P1.Den))
	one := mul(power(fail1, x), power(pass1, n-x))  // likelihood under P1
	zero := mul(power(fail0, x), power(pass0, n-x)) // under P0

	// one/zero >= (1-Beta)/Alpha
	a := mul(mul(one, i(s.Alpha.Num)), i(s.Beta.Den))
	b := mul(mul(zero, i(s.Alpha.Den)), i(s.Beta.Den-s.Beta.Num))
	if a.Cmp(b) >= 0 {
		return Fraud
	}
	// one/zero <= Beta/(1-Alpha)
	a = mul(mul(one, i(s.Alpha.Den-s.Alpha.Num)), i(s.Beta.Den))
	b = mul(mul(zero, i(s.Alpha.Den)), i(s.Beta.Num))
	if a.Cmp(b) <= 0 {
		return Faulty
	}
	return Continue
}

func (s Sequential) valid() bool {
	for _, r := range [...]Rate{s.P0, s.P1, s.Alpha, s.Beta} {
		if r.Num == 0 || r.Num >= r.Den {
			return false
		}
	}
	return s.P0.less(s.P1) && s.Alpha.less(Rate{s.Beta.Den - s.Beta.Num, s.Beta.Den})
}

// less compares two rates, denominators not 0.
func (r Rate) less(o Rate) bool {
	a := new(big.Int).Mul(new(big.Int).SetUint64(r.Num), new(big.Int).SetUint64(o.Den))
	b := new(big.Int).Mul(new(big.Int).SetUint64(o.Num), new(big.Int).SetUint64(r.Den))
	return a.Cmp(b) < 0
}
