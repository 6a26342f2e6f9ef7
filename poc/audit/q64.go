// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"math"
	"math/big"
	"strings"
)

// Q64 is a number from 0 to 1 in units of 2^-64. One itself does not fit and
// is math.MaxUint64, which therefore reads as exactly 1.
type Q64 uint64

// One is the largest Q64 and stands for 1.
const One Q64 = math.MaxUint64

// Rate is an exact fraction Num/Den, such as 1/10000 for a fault in ten
// thousand units. Den 0 is not a rate; each function says what it makes of it.
type Rate struct{ Num, Den uint64 }

// String writes the number in decimal with at most six significant digits,
// rounded half up: "0.0148673", "1", "0", and below 0.0001 as "1.3e-06".
func (q Q64) String() string {
	switch q {
	case 0:
		return "0"
	case One:
		return "1"
	}
	const digits = 6
	// Scale by 10^exp until the rounded integer has six digits.
	v := new(big.Int).SetUint64(uint64(q))
	exp := int64(digits)
	var text string
	for {
		scaled := new(big.Int).Exp(big.NewInt(10), big.NewInt(exp), nil)
		scaled.Mul(scaled, v)
		scaled.Add(scaled, new(big.Int).Lsh(big.NewInt(1), 63)) // half a unit
		scaled.Rsh(scaled, 64)
		if text = scaled.String(); len(text) >= digits {
			break
		}
		exp += int64(digits - len(text))
		if scaled.Sign() == 0 {
			exp++
		}
	}
	// The number is 0.ddd * 10^point, where text is ddd.
	point := len(text) - int(exp)
	text = strings.TrimRight(text, "0")
	switch {
	case point > 0: // rounded up to 1
		return "1"
	case point > -4:
		return "0." + strings.Repeat("0", -point) + text
	}
	mantissa := text[:1]
	if len(text) > 1 {
		mantissa += "." + text[1:]
	}
	e := big.NewInt(int64(1 - point)).String()
	if len(e) < 2 {
		e = "0" + e
	}
	return mantissa + "e-" + e
}

// MarshalText writes what String returns. It is for reading: it rounds.
func (q Q64) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// quotient returns num/den in units of 2^-64, rounded up or down, for
// 0 <= num and den > 0.
func quotient(num, den *big.Int, up bool) Q64 {
	q, r := new(big.Int).QuoRem(new(big.Int).Lsh(num, 64), den, new(big.Int))
	if up && r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsUint64() {
		return One
	}
	return Q64(q.Uint64())
}
