// SPDX-License-Identifier: Apache-2.0

package coin

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	one := "1" + strings.Repeat("0", Decimals)
	for text, want := range map[string]string{
		"1cpc": one, "1CPC": one, "1Cpc": one, "1 CPC": one, " 1cpc": one,
		"1.5cpc": "15" + strings.Repeat("0", Decimals-1),
		"0cpc":   "0", "0.000000000000000001cpc": "1", "007acpc": "7", "12ACPC": "12",
		"1000000CPC": "1" + strings.Repeat("0", 24),
	} {
		got, err := Parse(text)
		if err != nil || got.String() != want || !Is(strings.TrimSpace(text)) {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1", "cpc", "1.cpc", ".5cpc", "-1cpc", "1,5cpc", "1e3cpc",
		"1.5acpc", "1eth", "0.0000000000000000001cpc", strings.Repeat("9", 70) + "cpc", "1cpc1"} {
		if got, err := Parse(text); !errors.Is(err, ErrAmount) {
			t.Errorf("Parse(%q) = %v, %v; want it refused", text, got, err)
		}
	}
}

// What is written is read as the same.
func TestTextIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := new(big.Int).SetUint64(rapid.Uint64().Draw(t, "n"))
		n.Mul(n, big.NewInt(rapid.Int64Range(1, 1e12).Draw(t, "times")))
		for _, text := range []string{Text(n), Short(n)} {
			if got, err := Parse(text); err != nil || got.Cmp(n) != 0 {
				t.Fatalf("%s is read as %v, %v; want %v", text, got, err, n)
			}
		}
	})
	for acpc, want := range map[int64]string{0: "0cpc", 1: "0.000000000000000001cpc",
		1_500_000_000_000_000_000: "1.5cpc", -1_000_000_000_000_000_000: "-1cpc"} {
		if got := Text(big.NewInt(acpc)); got != want {
			t.Errorf("Text(%d) = %s, want %s", acpc, got, want)
		}
	}
	if got := Short(big.NewInt(953_674_316_406)); got != "953674316406acpc" {
		t.Error(got)
	}
}
