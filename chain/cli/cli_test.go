// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/internal/commands"
)

// The chain sees the base unit, whatever a person writes, and words stay words.
func TestAmountsOfACommandLine(t *testing.T) {
	got, err := amounts(strings.Fields("bank send a cpc1xyz 1.5cpc,2ACPC --fees 0.01CPC " +
		"--fees=1cpc --gas-prices 0.5acpc --note 1cpc --title=2cpc --moniker 3cpc 10s 7eth"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields("bank send a cpc1xyz 1500000000000000000acpc,2acpc --fees " +
		"10000000000000000acpc --fees=1000000000000000000acpc --gas-prices 0.5acpc --note 1cpc " +
		"--title=2cpc --moniker 3cpc 10s 7eth")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := amounts([]string{"0.0000000000000000001cpc"}); err == nil {
		t.Error("an amount finer than the smallest unit")
	}
}

// People see coins and fractions; what is no document is left alone.
func TestReadable(t *testing.T) {
	text := `balances:
- amount: "1500000000000000000"
  denom: acpc
- amount: "7"
  denom: eth
outcomes:
- bound: "184467440737095516"
  deposit: "10000000000000000000"
  locked: "2500"
  locks:
  - amount: "1000000000000000000"
    purpose: registration
  moniker: "12"
  p: "18446744073709551615"
pagination:
  total: "2"
`
	want := `balances:
  - 1.5cpc
  - amount: "7"
    denom: eth
outcomes:
  - bound: 0.01
    deposit: 10cpc
    locked: 2.5cpc
    locks:
      - amount: 1cpc
        purpose: registration
    moniker: "12"
    p: 1
pagination:
  total: "2"
`
	if d := cmp.Diff(want, string(readable([]byte(text)))); d != "" {
		t.Error(d)
	}
	for _, other := range []string{"plain words\n", "", "a: b: c\n", "Usage:\n\tassay [flags]\n"} {
		if got := string(readable([]byte(other))); got != other {
			t.Errorf("%q became %q", other, got)
		}
	}
	if got := Fraction(big.NewInt(0)); got != "0" {
		t.Error(got)
	}
}

// An error of the SDK's is one sentence of what is wrong.
func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"rpc error: code = Unknown desc = spendable balance 0acpc is smaller than 10acpc: " +
			"insufficient funds [cosmos/cosmos-sdk@v0.55.0/x/bank/keeper/send.go:300] with gas " +
			"used: '1234': unknown request": "spendable balance 0acpc is smaller " +
			"than 10acpc: insufficient funds",
		"a.info: key not found " +
			"[cosmos/cosmos-sdk@v0.55.0/crypto/keyring/keyring.go:549]": "a.info: key not found",
		"two\nlines": "two lines",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s := &session{home: "/there"}
	misuse := new(commands.Misuse)
	if err := s.explain(nil, misuse); !errors.Is(err, misuse) {
		t.Error(err)
	}
}

// A refused transaction fails, by the node or in a block; one that was taken does not.
func TestRefusal(t *testing.T) {
	if err := refusal(&sdk.TxResponse{Height: 5}); err != nil {
		t.Error(err)
	}
	if err := refusal(&sdk.TxResponse{Code: 13, Codespace: "sdk",
		RawLog: "insufficient fee"}); err == nil ||
		err.Error() != "the node refuses the transaction: insufficient fee (sdk 13)" {
		t.Error(err)
	}
	if err := refusal(&sdk.TxResponse{Height: 5, Code: 5, Codespace: "sdk",
		RawLog: "insufficient funds"}); err == nil ||
		!strings.Contains(err.Error(), "failed in block 5") {
		t.Error(err)
	}
}

// A module without transactions has no menu, and every page of help says what a command is for.
func TestTrees(t *testing.T) {
	trees, err := Trees("assay")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, tree := range trees {
		commands.Walk(tree, func(c *cobra.Command) { paths[c.CommandPath()] = true })
	}
	for path, want := range map[string]bool{"assay tx bank send": true,
		"assay tx registry leave": true, "assay tx sprint": false, "assay tx credit": false,
		"assay query sprint epoch": true, "assay keys list": true, "assay comet status": true} {
		if paths[path] != want {
			t.Errorf("%s is there: %v", path, paths[path])
		}
	}
}
