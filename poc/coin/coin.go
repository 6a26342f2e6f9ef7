// SPDX-License-Identifier: Apache-2.0

// Package coin reads and writes amounts as people do: 1.5cpc, or 1500000000000000000acpc, which is
// the same. The base unit, acpc, is the only one on chain, in JSON and in files that programs
// write.
package coin

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

const (
	// Base is the unit of whole numbers on chain.
	Base = "acpc"
	// Display is the unit for people: 10^Decimals of Base.
	Display = "cpc"
	// Decimals of Display.
	Decimals = 18
)

// longest keeps what is read within what any field holds, and far above all coins there are.
const longest = 60

// ErrAmount reports a text that is no amount.
var ErrAmount = errors.New("no amount")

var form = regexp.MustCompile(`^(\d+)(?:\.(\d+))?\s?([A-Za-z]+)$`)

// Parse reads a number followed by cpc or acpc, in any case, and returns it in acpc. Errors wrap
// ErrAmount and name the form.
func Parse(text string) (*big.Int, error) {
	m := form.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || len(text) > longest {
		return nil, fmt.Errorf("%w: %q; want a number followed by cpc or acpc, such as 1.5cpc",
			ErrAmount, text)
	}
	whole, part := m[1], m[2]
	switch strings.ToLower(m[3]) {
	case Display:
		if len(part) > Decimals {
			return nil, fmt.Errorf("%w: %q is finer than the smallest unit, 10^-%d cpc",
				ErrAmount, text, Decimals)
		}
		part += strings.Repeat("0", Decimals-len(part))
	case Base:
		if part != "" {
			return nil, fmt.Errorf("%w: %q; acpc are whole", ErrAmount, text)
		}
	default:
		return nil, fmt.Errorf("%w: %q; the units are cpc and acpc, such as 1.5cpc",
			ErrAmount, text)
	}
	n, _ := new(big.Int).SetString(whole+part, 10)
	return n, nil
}

// Is reports whether a text has the form of an amount in one of the two units, whatever it is
// worth.
func Is(text string) bool {
	m := form.FindStringSubmatch(text)
	return m != nil && (strings.EqualFold(m[3], Display) || strings.EqualFold(m[3], Base))
}

// Text writes an amount of acpc in cpc, with every digit that it has: 1.5cpc.
func Text(acpc *big.Int) string {
	digits := new(big.Int).Abs(acpc).String()
	if len(digits) <= Decimals {
		digits = strings.Repeat("0", Decimals+1-len(digits)) + digits
	}
	point := len(digits) - Decimals
	text := digits[:point]
	if part := strings.TrimRight(digits[point:], "0"); part != "" {
		text += "." + part
	}
	if acpc.Sign() < 0 {
		text = "-" + text
	}
	return text + Display
}

// Short is Text for amounts of up to six decimals, and in acpc for those that it would not make
// shorter.
func Short(acpc *big.Int) string {
	million := new(big.Int).Exp(big.NewInt(10), big.NewInt(Decimals-6), nil)
	if new(big.Int).Rem(acpc, million).Sign() == 0 {
		return Text(acpc)
	}
	return acpc.String() + Base
}
