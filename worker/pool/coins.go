// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"math/big"
	"time"

	"github.com/assaynet/assay/poc/mpoc"
)

// Coins writes an amount in base units for people: in CPC, or where that would
// be all zeros in the millionth, billionth ... of one that it needs. It is rounded
// down; every digit stands in the JSON.
func Coins(acpc *big.Int) string {
	if acpc.Sign() == 0 {
		return "0 CPC"
	}
	for _, u := range []struct {
		name                    string
		from, exponent, decimal int64 // powers of ten
	}{{"CPC", 15, 18, 6}, {"µCPC", 12, 12, 3}, {"nCPC", 9, 9, 3}, {"pCPC", 6, 6, 3},
		{"fCPC", 3, 3, 3}} {
		if acpc.CmpAbs(power(u.from)) < 0 {
			continue
		}
		one := power(u.exponent)
		whole, rest := new(big.Int).QuoRem(acpc, one, new(big.Int))
		part := rest.Quo(rest, power(u.exponent-u.decimal))
		return fmt.Sprintf("%s.%0*d %s", whole, int(u.decimal), part, u.name)
	}
	return acpc.String() + " acpc"
}

// power is 10^n.
func power(n int64) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil) }

// Text is the account in a line; a nil one is not known yet.
func (m *Money) Text() string {
	if m == nil {
		return "the host has not shown the account yet"
	}
	text := "estimated " + Coins(m.Estimated.Big()) + ", pending " + Coins(m.Pending.Big())
	if m.Locked.Big().Sign() > 0 {
		text += " (of it " + Coins(m.Locked.Big()) + " locked"
		if m.UnlockAfter > 0 {
			text += fmt.Sprintf(" until %d more submissions are clean", m.UnlockAfter)
		}
		text += ")"
	}
	text += ", settled " + Coins(m.Settled.Big())
	if at, err := time.Parse(time.RFC3339, m.AsOf); err == nil {
		text += ", as of " + at.Local().Format(time.TimeOnly)
	}
	if m.Unpaid {
		text += "; " + Unpaid
	}
	return text
}

// Plus adds accounts of one owner's devices; nil is none.
func (m *Money) Plus(n *Money) *Money {
	if m == nil || n == nil {
		if m == nil {
			return n
		}
		return m
	}
	sum := *m
	sum.Estimated, sum.Pending = plus(m.Estimated, n.Estimated), plus(m.Pending, n.Pending)
	sum.Locked, sum.Settled = plus(m.Locked, n.Locked), plus(m.Settled, n.Settled)
	if sum.AsOf == "" || n.AsOf != "" && n.AsOf < sum.AsOf { // the older look
		sum.AsOf = n.AsOf
	}
	if sum.Payout == "" {
		sum.Payout = n.Payout
	}
	sum.Strikes, sum.Banned = m.Strikes+n.Strikes, m.Banned || n.Banned
	sum.Unpaid = m.Unpaid || n.Unpaid
	return &sum
}

func plus(a, b mpoc.Amount) mpoc.Amount {
	return mpoc.Amount(new(big.Int).Add(a.Big(), b.Big()).String())
}
