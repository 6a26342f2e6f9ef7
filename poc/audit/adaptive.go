// SPDX-License-Identifier: Apache-2.0

package audit

import "math/big"

// Q32One is certainty in units of 2^-32.
const Q32One = 1 << 32

// Adaptive is the published rule for how likely a submission is audited in
// full. With g what a submission pays and S what its key has locked and would
// lose,
//
//	a = max(Floor, Kappa * 2^(2*flags) * g / (g + S)), at most 1
//
// rounded up to a multiple of 2^-32. A key without locked pay has S = 0 and is
// always audited, so a new identity is worth nothing.
//
// Why: who forges the share d of a log saves at most d*g, and is caught with
// probability a*q(d), where q(d) = 1-(1-d)^k over k picks; then S and g are
// lost. Forging does not pay if a*q(d)*(S+g) > d*g, and the rule makes the left
// side at least Kappa*q(d)*g. q(d) is at least d for every k from 1 on, so
// Kappa = 1 would do; 2 leaves room for what is paid late or not at all. What a
// key earned before is not in the formula: only what it can still lose.
//
// The rest of the rule, without which this is not enough: all other submissions
// are checked lightly, three tiles of each. So who sees that it would be
// caught and says nothing loses q(d) >= d of what it is paid, and no answer need
// cost more than its submission. And wrong tiles within what faulty hardware has
// (Sequential) take the share that they leave possible (Upper) off everything
// locked, not off what was found: else forging one tile in two thousand pays.
type Adaptive struct {
	Kappa Rate // 2 by default
	Floor Rate // 1/20 by default: nobody is so trusted as not to be checked
}

// DefaultAdaptive is the rule with its published numbers.
func DefaultAdaptive() Adaptive { return Adaptive{Kappa: Rate{2, 1}, Floor: Rate{1, 20}} }

// Probability returns a in units of 2^-32, from 0 to Q32One. A flag is a reason
// to look harder (a speed above the profile, loops that do not fit the time, a
// recent fault) and makes a four times as likely; flags never lower it. It is
// Q32One, an audit for certain, for amounts below zero and rates without a
// denominator.
func (a Adaptive) Probability(gain, locked *big.Int, flags int) uint64 {
	if gain.Sign() < 0 || locked.Sign() < 0 || a.Kappa.Den == 0 || a.Floor.Den == 0 ||
		a.Kappa.Num == 0 {
		return Q32One
	}
	p := ceilQ32(new(big.Int).SetUint64(a.Floor.Num), new(big.Int).SetUint64(a.Floor.Den))
	if locked.Sign() == 0 {
		return Q32One
	}
	num := new(big.Int).Mul(new(big.Int).SetUint64(a.Kappa.Num), gain)
	num.Lsh(num, uint(2*min(max(flags, 0), 16)))
	den := new(big.Int).Add(gain, locked)
	den.Mul(den, new(big.Int).SetUint64(a.Kappa.Den))
	return max(p, ceilQ32(num, den))
}

// ceilQ32 returns num/den in units of 2^-32, rounded up, at most Q32One.
func ceilQ32(num, den *big.Int) uint64 {
	q, r := new(big.Int).QuoRem(new(big.Int).Lsh(num, 32), den, new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsUint64() || q.Uint64() > Q32One {
		return Q32One
	}
	return q.Uint64()
}
