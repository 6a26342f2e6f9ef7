// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/signed"
)

// A transfer says what its host signed, in one spelling.
// Holds spec F-19.
func TestTransfer(t *testing.T) {
	host := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	said := Transfer{
		Version: TransferVersion, Chain: "assay-test", HostKey: signed.KeyOf(host),
		DeviceKey: signed.Key{2}, Payout: "cpc1example",
		Amount: "30000", TxHash: strings.Repeat("AB", 32), Time: 1_800_000_000_000,
	}
	said.Sign(host)
	text, err := said.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if read, err := ParseTransfer(text); err != nil || read != said || read.Verify() != nil {
		t.Fatalf("%+v, %v", read, err)
	}
	for name, edit := range map[string]func(*Transfer){
		"chain":  func(f *Transfer) { f.Chain = "assay-other" },
		"host":   func(f *Transfer) { f.HostKey[0] ^= 1 },
		"device": func(f *Transfer) { f.DeviceKey[0] ^= 1 },
		"payout": func(f *Transfer) { f.Payout += "x" },
		"amount": func(f *Transfer) { f.Amount = "3000000" },
		"hash":   func(f *Transfer) { f.TxHash = strings.Repeat("AC", 32) },
		"time":   func(f *Transfer) { f.Time++ },
	} {
		edited := said
		edit(&edited)
		if err := edited.Verify(); !errors.Is(err, signed.ErrSignature) &&
			name != "host" || err == nil {
			t.Errorf("another %s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*Transfer){
		"version":            func(f *Transfer) { f.Version = "assay-mpoc-transfer/2" },
		"nobody is paid":     func(f *Transfer) { f.Payout = "" },
		"no transaction":     func(f *Transfer) { f.TxHash = "AB" },
		"small letters":      func(f *Transfer) { f.TxHash = strings.ToLower(f.TxHash) },
		"no amount":          func(f *Transfer) { f.Amount = "-1" },
		"a time out of file": func(f *Transfer) { f.Time = 1 << 60 },
	} {
		edited := said
		edit(&edited)
		if _, err := edited.Marshal(); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
		edited.Sign(host)
		if err := edited.Verify(); !errors.Is(err, ErrFile) {
			t.Errorf("%s, signed: %v", name, err)
		}
	}
}
