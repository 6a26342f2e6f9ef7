// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// A host's statement that it paid proves that it said so, and says what to look up.
func TestTransfer(t *testing.T) {
	host := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	f := mpoc.Transfer{
		Version: mpoc.TransferVersion, Chain: "assay-test", HostKey: signed.KeyOf(host),
		DeviceKey: signed.Key{2}, Payout: "cpc1example",
		Amount: "30000", TxHash: strings.Repeat("AB", 32), Time: 1_800_000_000_000,
	}
	f.Sign(host)
	text, err := f.Marshal()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	r, err := checked(t, text)
	var out strings.Builder
	r.Text(&out)
	if err != nil || !r.Proven || r.Kind != "transfer" ||
		!strings.Contains(out.String(), f.TxHash) ||
		!strings.Contains(out.String(), "the host states a payment") {
		t.Errorf("%+v, %v\n%s", r, err, &out)
	}
	for at := range text {
		bad := bytes.Clone(text)
		bad[at] ^= 1
		if r, err := checked(t, bad); err == nil && r.Proven &&
			!bytes.Equal(bytes.Join(bytes.Fields(bad), nil), bytes.Join(bytes.Fields(text), nil)) {
			t.Fatalf("byte %d: %+v", at, r)
		}
	}
}
