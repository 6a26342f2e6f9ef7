// SPDX-License-Identifier: Apache-2.0

package leaves

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

var (
	hostKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	deviceKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

// handed is a log of 12 leaves, the first so many wrong, with its receipt and what
// an honest host makes of it.
func handed(t *testing.T, wrong int) (delivery.Receipt, delivery.Evidence) {
	t.Helper()
	o := delivery.Announce(hostKey,
		delivery.Order{Chain: "assay-test", DeviceKey: signed.KeyOf(deviceKey),
			Participant: "cpc1test", Epoch: 3, Node: "m-1", Class: "nano",
			Seed1: signed.Hash{1}, Segment: 2, SegmentSeed: signed.Hash{3}}, 12)
	m, err := work.Reference().Transformer(t.Context(), transformer.Nano, seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, nonces := make([]transformer.Output, 12), make([]uint64, 12)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := m.Run(out, seed.Node("assay-test", "cpc1test", "m-1", "nano"), seed.Seed{3},
		nonces); err != nil {
		t.Fatal(err)
	}
	var records []byte
	for i := range out {
		if i < wrong {
			out[i].Digest[5] ^= 1
		}
		records = binary.LittleEndian.AppendUint64(records, out[i].Norm)
		records = append(records, out[i].Digest[:]...)
	}
	s := delivery.Statement{Order: o, Batch: delivery.BatchOf(0, records)}
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: o, Batch: s.Batch,
		DeviceSignature: s.Sign(deviceKey),
		HostSignature:   delivery.Acknowledge(s.Digest(), hostKey)}
	var found []delivery.Found
	for i := range max(wrong, 1) { // of an honest log, a host that lies
		found = append(found, delivery.Found{Leaf: uint64(i), Records: records,
			Signature: r.DeviceSignature})
	}
	e, err := delivery.Accuse(o, delivery.Nonce(hostKey, o), 12,
		delivery.Signed{Batch: s.Batch, Signature: r.DeviceSignature}, found, "")
	if err != nil {
		t.Fatal(err)
	}
	return r, e
}

// checked opens, verifies and reports a file.
func checked(t *testing.T, raw []byte) (Report, delivery.Order, error) {
	t.Helper()
	d, err := poc.Open(raw)
	if err != nil {
		return Report{}, delivery.Order{}, err
	}
	found, err := d.Verify(t.Context(), nil, poc.Options{})
	r, ours := Of("file", d, found, err)
	if !ours {
		t.Fatalf("%T is none of ours", d)
	}
	o, _ := Order(d)
	return r, o, err
}

// Holds spec F-16.
func TestReportsSayWhatADocumentOnLeavesShows(t *testing.T) {
	file := func(v any) []byte {
		raw, err := json.MarshalIndent(v, "", "\t") // white space does not matter
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	leftOut := func(e *delivery.Evidence) []byte {
		if e != nil {
			if found, err := e.Verify(t.Context(), work.NewJudge(nil)); err == nil {
				return file(delivery.FileOf(*e, found))
			}
		}
		return file(delivery.LeftOutFile{Version: delivery.LeftOutVersion, Shows: "something",
			LeftOut:  delivery.LeftOut{Wrong: 9, Checked: 9, Reason: "the host says so"},
			Evidence: e})
	}
	r, honest := handed(t, 0)
	_, flipped := handed(t, 1)
	_, forged := handed(t, 12)
	another := func(change func(*delivery.LeftOutFile)) []byte {
		found, err := forged.Verify(t.Context(), work.NewJudge(nil))
		if err != nil {
			t.Fatal(err)
		}
		f := delivery.FileOf(forged, found)
		change(&f)
		return file(f)
	}
	bent := forged
	bent.Order.Node = "m-2"
	unsigned := r
	unsigned.HostSignature = signed.Signature{}
	for name, c := range map[string]struct {
		raw   []byte
		want  error
		claim string
		text  string // part of it, or of the error
	}{
		"a receipt":               {file(r), nil, "received", "the host has 12 leaves"},
		"without the host's name": {file(unsigned), signed.ErrSignature, "received", "host key"},
		"a forger's log": {leftOut(&forged), nil, "fraud",
			"shown to have cheated: " + r.Order.DeviceKey.String()},
		"its evidence alone": {file(forged), nil, "fraud", "the machine signed, as leaf 0"},
		"a flipped bit":      {leftOut(&flipped), nil, "faulty", "as a faulty device has it"},
		"an honest log called so": {leftOut(&honest), delivery.ErrClaim, "faulty",
			"called wrong and is right"},
		"of another node": {leftOut(&bent), signed.ErrSignature, "fraud", "device key"},
		"of another epoch": {another(func(f *delivery.LeftOutFile) {
			f.Epoch++
		}), delivery.ErrLeftOut, "fraud", "says something else"},
		"of more wrong leaves": {another(func(f *delivery.LeftOutFile) {
			f.Wrong++
		}), delivery.ErrLeftOut, "fraud", "says something else"},
		"for another reason": {another(func(f *delivery.LeftOutFile) {
			f.Reason += "!"
		}), delivery.ErrLeftOut, "fraud", "says something else"},
		"something hidden": {another(func(f *delivery.LeftOutFile) {
			f.Hidden = "why"
		}), delivery.ErrLeftOut, "fraud", "says something else"},
		"the host's word": {leftOut(nil), poc.ErrNothing, "", "host's word"},
		"evidence with a key more": {bytes.Replace(leftOut(&forged), []byte(`"claim"`),
			[]byte(`"x": 1, "claim"`), 1), delivery.ErrFile, "", "keys unknown"},
	} {
		got, o, err := checked(t, c.raw)
		var out strings.Builder
		got.Text(&out)
		said := out.String()
		if err != nil {
			said = err.Error()
		}
		if !errors.Is(err, c.want) || got.Proven != (c.want == nil) || got.Claim != c.claim ||
			!strings.Contains(said, c.text) {
			t.Errorf("%s: %v, %+v\n%s", name, err, got, said)
		}
		if fraud := got.Accused != ""; fraud != (err == nil && c.claim == "fraud") {
			t.Errorf("%s accuses %q", name, got.Accused)
		}
		if err == nil && o != r.Order {
			t.Errorf("%s: about %+v", name, o)
		}
	}
	got, _, _ := checked(t, file(r))
	for committed, want := range map[uint64]string{0: "committed to 0 of them",
		11: "committed to 11 of them", 12: "committed to all of them"} {
		got.Committed, got.WithChain = &committed, true
		var out strings.Builder
		if got.Text(&out); !strings.Contains(out.String(), want) {
			t.Errorf("%d committed: %s", committed, out.String())
		}
	}
	if r, ours := Of("file", &poc.Transfer{}, poc.Report{}, nil); ours {
		t.Errorf("another document is one of ours: %+v", r)
	}
}
