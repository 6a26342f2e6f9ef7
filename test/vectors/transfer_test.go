// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"crypto/ed25519"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

type transferIn struct {
	Host seed.Seed `json:"host_ed25519_seed"`
	// Transfer is signed with the host's key, or, where there is a file, that is read.
	Transfer *mpoc.Transfer `json:"transfer,omitempty"`
	File     text           `json:"file,omitempty"`
}

type transferOut struct {
	Message   raw               `json:"message,omitempty"`
	Signature *signed.Signature `json:"signature,omitempty"`
	File      text              `json:"file,omitempty"`
	Error     string            `json:"error,omitempty"`
}

// spoken is what a host signs about a transfer, put together here from the rule alone: a
// tag and every field, each behind its length in four bytes.
func spoken(t mpoc.Transfer) (message []byte) {
	for _, part := range [][]byte{
		[]byte("assay/1/mpoc-transfer"), []byte("assay-mpoc-transfer/1"), []byte(t.Chain),
		t.HostKey[:], t.DeviceKey[:],
		[]byte(t.Payout), []byte(t.Amount), []byte(t.TxHash),
		binary.LittleEndian.AppendUint64(nil, t.Time),
	} {
		message = append(binary.LittleEndian.AppendUint32(message, uint32(len(part))), part...)
	}
	return message
}

// A host's statement that it paid a machine.
func TestTransfers(t *testing.T) {
	host := privateKey(mpocHost)
	said := mpoc.Transfer{
		Version: mpoc.TransferVersion, Chain: "assay-test", HostKey: signed.KeyOf(host),
		DeviceKey: signed.KeyOf(privateKey(mpocDevice)),
		Payout:    "cpc1qyqszqgpqyqszqgpqyqszqgpqyqszqgp8apuk5", Amount: "30000000000000000000",
		TxHash: strings.Repeat("0123456789ABCDEF", 4), Time: 1_800_000_000_000,
	}
	with := func(change func(*mpoc.Transfer)) transferIn {
		c := said
		change(&c)
		return transferIn{Host: mpocHost, Transfer: &c}
	}
	signed := said
	signed.Sign(host)
	written, err := signed.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	file := func(old, new string) transferIn {
		return transferIn{Host: mpocHost, File: text(strings.Replace(string(written), old, new, 1))}
	}
	check(t, "mpoc_transfer.json", "a host's signed statements that a transaction paid a "+
		"machine: the signed bytes, and files that are refused", []given[transferIn]{
		{"a payment", with(func(*mpoc.Transfer) {})},
		{"nothing", with(func(f *mpoc.Transfer) { f.Amount = "0" })},
		{"another time", with(func(f *mpoc.Transfer) { f.Time++ })},
		{"another version", with(func(f *mpoc.Transfer) { f.Version = "assay-mpoc-transfer/2" })},
		{"to nobody", with(func(f *mpoc.Transfer) { f.Payout = "" })},
		{"a transaction in small letters",
			with(func(f *mpoc.Transfer) { f.TxHash = strings.ToLower(f.TxHash) })},
		{"an amount with a leading zero",
			with(func(f *mpoc.Transfer) { f.Amount = "0" + f.Amount })},
		{"a time above 2^53", with(func(f *mpoc.Transfer) { f.Time = 1<<53 + 1 })},
		{"another host's key", with(func(f *mpoc.Transfer) { f.HostKey[0]++ })},
		{"as a file", file("", "")},
		{"more than was signed", file(`"amount": "3`, `"amount": "4`)},
		{"to another account", file("puk5", "puk6")},
		{"a field twice", file(`"chain"`, `"chain": "assay-test", "chain"`)},
		{"a field more", file(`"chain"`, `"memo": "", "chain"`)},
	}, func(t testing.TB, in transferIn) transferOut {
		var f mpoc.Transfer
		if in.Transfer != nil {
			f = *in.Transfer
			f.Sign(privateKey(in.Host))
		} else {
			var err error
			if f, err = mpoc.ParseTransfer([]byte(in.File)); err != nil {
				return transferOut{Error: fault(t, err)}
			}
		}
		if err := f.Verify(); err != nil {
			return transferOut{Error: fault(t, err)}
		}
		out := transferOut{Message: spoken(f), Signature: &f.HostSignature}
		if !ed25519.Verify(f.HostKey[:], out.Message, f.HostSignature[:]) {
			t.Errorf("%s is signed for other bytes than the rule gives", f.TxHash)
		}
		written, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		out.File = text(written)
		return out
	})
}
