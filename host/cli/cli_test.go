// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/ledger"
)

func amount(t *testing.T, s string) ledger.Amount {
	t.Helper()
	a, err := ledger.ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The words are those of a machine's own screen, and no amount looks like nothing.
func TestPoolTable(t *testing.T) {
	list := []host.PoolAccount{
		{Node: "m-1", Estimated: "7", Pending: amount(t, "5164874553679"),
			Account: ledger.Account{Payout: "cpc1q", Entries: 3, Locked: amount(t, "4164874553678"),
				Settled: amount(t, "1000000000000000000")}},
		{Node: "m-2", Estimated: "0", Account: ledger.Account{Strikes: 3, Banned: true,
			Reason: "forged", Forfeited: amount(t, "1999")}},
	}
	var out bytes.Buffer
	poolTable(&out, list)
	key := strings.Repeat("0", 64)
	want := `node  paid to  credits  estimated  pending     of it locked  settled       forfeited   strikes    key
m-1   cpc1q    3        7 acpc     5.164 µCPC  4.164 µCPC    1.000000 CPC  0           0          ` + key + `
m-2   -        0        0          0           0             0             1.999 fCPC  3, banned  ` + key + `
m-2: forged
-: the machine names no account; its owner starts it with --payout cpc1... and is paid what is pending
--json has every digit
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

// Cobra takes a back-quoted word of a help text for the value's name.
func TestHelp(t *testing.T) {
	cmd := New(nil, nil)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	if help := out.String(); !strings.Contains(help, "--home folder") ||
		!strings.Contains(help, "as made by: assay init participant") {
		t.Error(help)
	}
}

// A host whose key is gone makes no other one: it names the file, and how to go on.
func TestAHostKeyThatVanishedIsNotMadeAgain(t *testing.T) {
	home := t.TempDir()
	if _, err := Key(home); err == nil ||
		!strings.Contains(err.Error(), filepath.Join(home, HostKeyFile)) ||
		!strings.Contains(err.Error(), "put it back from a backup") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(home, HostKeyFile)); err == nil {
		t.Error("there is a key now")
	}
}
