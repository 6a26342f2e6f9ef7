// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/assaynet/assay/poc/work/matmul"
)

// ErrForm reports text that is not what it should be: a shape, an amount,
// a time.
var ErrForm = errors.New("mpoc: malformed")

// Amount is a number of acpc as a decimal string without leading zeros, below
// 2^128. The empty string is no amount.
type Amount string

const maxAmountBits = 128

// AmountOf writes a number as an Amount. It is for 0 <= v < 2^128.
func AmountOf(v *big.Int) Amount { return Amount(v.String()) }

// Valid checks the spelling. Errors wrap ErrForm.
func (a Amount) Valid() error {
	if len(a) == 0 || len(a) > 39 || strings.Trim(string(a), "0123456789") != "" ||
		a[0] == '0' && len(a) > 1 {
		return fmt.Errorf("%w: an amount is a decimal number without leading zeros", ErrForm)
	}
	if a.Big().BitLen() > maxAmountBits {
		return fmt.Errorf("%w: an amount is below 2^%d", ErrForm, maxAmountBits)
	}
	return nil
}

// Big returns the number; 0 for what is no amount.
func (a Amount) Big() *big.Int {
	v, ok := new(big.Int).SetString(string(a), 10)
	if !ok {
		return new(big.Int)
	}
	return v
}

// Seconds is a time span in milliseconds that JSON shows as a number of seconds
// with at most three decimals: 14.21. It is below 10^6 seconds.
type Seconds uint64

// MarshalJSON writes the shortest decimal.
func (s Seconds) MarshalJSON() ([]byte, error) {
	text := fmt.Sprintf("%d.%03d", s/1000, s%1000)
	return []byte(strings.TrimRight(strings.TrimRight(text, "0"), ".")), nil
}

// UnmarshalJSON reads digits, and a point and one to three digits behind them if
// there are any. No signs, no exponents. Errors wrap ErrForm.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	whole, part, point := strings.Cut(string(text), ".")
	bad := len(whole) == 0 || len(whole) > 6 || whole[0] == '0' && len(whole) > 1 || point &&
		(len(part) == 0 || len(part) > 3)
	if bad || strings.Trim(whole+part, "0123456789") != "" {
		return fmt.Errorf("%w: want seconds with at most three decimals", ErrForm)
	}
	v := uint64(0)
	for _, c := range whole + (part + "000")[:3] {
		v = v*10 + uint64(c-'0')
	}
	*s = Seconds(v)
	return nil
}

// Shape is a unit's shape, in JSON "MxKxQ".
type Shape matmul.Shape

func (s Shape) String() string { return matmul.Shape(s).String() }

// Matmul returns the shape as package matmul has it.
func (s Shape) Matmul() matmul.Shape { return matmul.Shape(s) }

// MarshalText writes what String returns.
func (s Shape) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the shapes of Shapes. Errors wrap ErrForm.
func (s *Shape) UnmarshalText(text []byte) error {
	for _, published := range Shapes() {
		if published.String() == string(text) {
			*s = Shape(published)
			return nil
		}
	}
	return fmt.Errorf("%w: %.40q is not a published shape", ErrForm, text)
}
