// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"math/big"
	"strings"
)

// maxDigits bounds what is read as an amount: 2^256 has 78.
const maxDigits = 78

// Amount is coins in the chain's base unit, never negative. Values do not
// change: the methods return new ones. The zero value is 0. Its text is
// decimal digits.
type Amount struct{ n *big.Int }

// ParseAmount reads decimal digits, without a sign and without leading zeros.
func ParseAmount(s string) (Amount, error) {
	if s == "" || len(s) > maxDigits || strings.Trim(s, "0123456789") != "" ||
		len(s) > 1 && s[0] == '0' {
		return Amount{}, fmt.Errorf("ledger: %q is not an amount: want up to %d decimal digits",
			s, maxDigits)
	}
	n, _ := new(big.Int).SetString(s, 10)
	return Amount{n}, nil
}

// Pay is what ops verified operations earn at a rate per 2^40 operations,
// rounded down.
func Pay(ops uint64, rate Amount) Amount {
	n := new(big.Int).SetUint64(ops)
	n.Mul(n, rate.big())
	return Amount{n.Rsh(n, 40)}
}

func (a Amount) big() *big.Int {
	if a.n == nil {
		return new(big.Int)
	}
	return a.n
}

// Add returns a+b.
func (a Amount) Add(b Amount) Amount { return Amount{new(big.Int).Add(a.big(), b.big())} }

// sub returns a-b. The ledger takes nothing from an account that it did not
// put there, so a negative result is a file that does not add up.
func (a Amount) sub(b Amount) (Amount, error) {
	n := new(big.Int).Sub(a.big(), b.big())
	if n.Sign() < 0 {
		return Amount{}, fmt.Errorf("%w: %s taken from %s", ErrCorrupt, b, a)
	}
	return Amount{n}, nil
}

// Less returns a-b and whether that is not below 0.
func (a Amount) Less(b Amount) (rest Amount, enough bool) {
	rest, err := a.sub(b)
	return rest, err == nil
}

// lesser returns the smaller one.
func lesser(a, b Amount) Amount {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

var one = count(1)

func count(n uint64) Amount { return Amount{new(big.Int).SetUint64(n)} }

// Cmp compares: -1, 0 or 1.
func (a Amount) Cmp(b Amount) int { return a.big().Cmp(b.big()) }

// IsZero reports whether nothing is left.
func (a Amount) IsZero() bool { return a.big().Sign() == 0 }

// String returns decimal digits.
func (a Amount) String() string { return a.big().String() }

// MarshalText is String.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is ParseAmount.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}
