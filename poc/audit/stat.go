// SPDX-License-Identifier: Apache-2.0

package audit

import "math/big"

// MaxSample is the largest sample the statistics here accept; at it the slowest
// of them takes a few tenths of a second. Beyond it, and for rates that are not
// rates, every function answers on the safe side: no conviction, no credit, no
// detection.
const MaxSample = 1 << 12

// power returns base^n.
func power(base *big.Int, n uint64) *big.Int {
	return new(big.Int).Exp(base, new(big.Int).SetUint64(n), nil)
}

// below returns the numerator, over (a+b)^n, of P[Bin(n, a/(a+b)) < x] for
// 1 <= x <= n: b^(n-x+1) * sum_{i<x} C(n,i) a^i b^(x-1-i), the sum by Horner.
func below(n, x uint64, a, b *big.Int) *big.Int {
	sum, term, t := new(big.Int), big.NewInt(1), new(big.Int) // term = C(n,i) a^i
	for i := range x {
		if i > 0 {
			term.Mul(term, t.SetUint64(n-i+1))
			term.Quo(term, t.SetUint64(i)) // exact: C(n,i) is an integer for each power of a apart
			term.Mul(term, a)
		}
		sum.Mul(sum, b)
		sum.Add(sum, term)
	}
	return sum.Mul(sum, power(b, n-x+1))
}

// tail returns P[Bin(n, p0) >= x] as an exact fraction, for 1 <= x <= n and a
// proper rate.
func tail(n, x uint64, p0 Rate) (num, den *big.Int) {
	a := new(big.Int).SetUint64(p0.Num)
	b := new(big.Int).SetUint64(p0.Den - p0.Num)
	den = power(new(big.Int).SetUint64(p0.Den), n)
	return new(big.Int).Sub(den, below(n, x, a, b)), den
}

// Tail returns P[Bin(n, p0) >= x], exact but for rounding up: how likely x or
// more mismatches in n samples are if each is an honest fault of rate p0. It
// is 1 for x = 0, for n > MaxSample and where p0 is not below 1 (or Den is 0),
// unless x > n, which is impossible: 0.
func Tail(n, x uint64, p0 Rate) Q64 {
	switch {
	case x == 0:
		return One
	case x > n:
		return 0
	case n > MaxSample || p0.Num >= p0.Den:
		return One
	}
	num, den := tail(n, x, p0)
	return quotient(num, den, true)
}

// Threshold returns the least x with Tail(n, x, p0) < bound, both exact: from
// so many mismatches on, faults are no explanation. It is n+1, never reached,
// where no x will do, and for a bound that is no rate.
func Threshold(n uint64, p0, bound Rate) uint64 {
	if n > MaxSample || p0.Num >= p0.Den || bound.Den == 0 || bound.Num > bound.Den {
		return n + 1
	}
	limit := new(big.Int).SetUint64(bound.Num)
	scale := new(big.Int).SetUint64(bound.Den)
	lo, hi := uint64(1), n+1 // the tail falls as x rises
	for lo < hi {
		x := (lo + hi) / 2
		num, den := tail(n, x, p0)
		if num.Mul(num, scale).Cmp(den.Mul(den, limit)) < 0 {
			hi = x
		} else {
			lo = x + 1
		}
	}
	return lo
}

// Upper returns the one-sided Clopper-Pearson bound on the share of bad leaves
// after x bad ones among n samples: the least q (in units of 2^-64) with
// P[Bin(n, q) <= x] <= eps. So the true share is above the bound with
// probability at most eps. It is 1 for x >= n, and where eps is not between 0
// and 1. C. J. Clopper, E. S. Pearson, Biometrika 26 (1934).
func Upper(x, n uint64, eps Rate) Q64 {
	if x >= n || n > MaxSample || eps.Num == 0 || eps.Num >= eps.Den {
		return One
	}
	limit := power(new(big.Int).Lsh(big.NewInt(1), 64), n)
	limit.Mul(limit, new(big.Int).SetUint64(eps.Num))
	scale := new(big.Int).SetUint64(eps.Den)
	unit := new(big.Int).Lsh(big.NewInt(1), 64)
	lo, hi := uint64(1), uint64(One) // q = 0 gives probability 1, above eps
	for lo < hi {
		q := lo + (hi-lo)/2
		a := new(big.Int).SetUint64(q)
		p := below(n, x+1, a, new(big.Int).Sub(unit, a))
		if p.Mul(p, scale).Cmp(limit) <= 0 {
			hi = q
		} else {
			lo = q + 1
		}
	}
	return Q64(lo)
}

// Detection returns the probability that a sample of n out of total leaves
// holds at least threshold of the forged ones, drawn without replacement,
// exact but for rounding down. forged and n are cut to total.
func Detection(total, forged uint64, n, threshold int) Q64 {
	if threshold <= 0 {
		return One
	}
	if n <= 0 || total == 0 || n > MaxSample {
		return 0
	}
	forged = min(forged, total)
	draws := min(uint64(n), total)
	need := uint64(threshold)
	if need > draws || need > forged {
		return 0
	}
	// P[X < need] = sum_{i < need} C(forged, i) C(honest, draws-i) / C(total, draws).
	honest := total - forged
	den := binomial(total, draws)
	missed := new(big.Int)
	for i := range need {
		if draws-i > honest {
			continue
		}
		missed.Add(missed, new(big.Int).Mul(binomial(forged, i), binomial(honest, draws-i)))
	}
	return quotient(new(big.Int).Sub(den, missed), den, false)
}

// binomial returns C(n, k) for k <= n; n may exceed int64.
func binomial(n, k uint64) *big.Int {
	c, t := big.NewInt(1), new(big.Int)
	for i := range min(k, n-k) {
		c.Mul(c, t.SetUint64(n-i))
		c.Quo(c, t.SetUint64(i+1))
	}
	return c
}
