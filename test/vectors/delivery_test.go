// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

type deliveryIn struct {
	Host    seed.Seed      `json:"host_ed25519_seed"`
	Device  seed.Seed      `json:"device_ed25519_seed"`
	Order   delivery.Order `json:"order"` // without keys and audit
	Samples uint32         `json:"samples"`
	First   uint64         `json:"first,string"`
	Records raw            `json:"records"`
}

type deliveryOut struct {
	Nonce           signed.Hash      `json:"nonce"`
	Audit           signed.Hash      `json:"audit"`
	Root            signed.Hash      `json:"root"`
	Message         raw              `json:"message"`
	DeviceSignature signed.Signature `json:"device_signature"`
	HostSignature   signed.Signature `json:"host_signature"`
	Questions       []uint64         `json:"questions"`
	Error           string           `json:"error,omitempty"`
}

// Holds spec M-21, M-22.
func TestDelivery(t *testing.T) {
	records := func(n int) (b raw) {
		for i := range n {
			b = append(b, bytes.Repeat([]byte{byte(i)}, record.Size)...)
		}
		return b
	}
	order := delivery.Order{Chain: "assay-test", Participant: "cpc1example", Epoch: 7,
		Node: "gpu-0", Class: "nano",
		Seed1: signed.Hash(counted(1)), Segment: 2, SegmentSeed: signed.Hash(counted(0x40))}
	good := deliveryIn{Host: counted(5), Device: counted(9), Order: order, Samples: 4,
		Records: records(70)}
	with := func(change func(*deliveryIn)) deliveryIn {
		in := good
		change(&in)
		return in
	}
	check(t, "delivery.json", "what a machine signs about a batch of leaves, what its host signs "+
		"back, and which leaves the host checks if this is the last batch", []given[deliveryIn]{
		{"three pages", good},
		{"one leaf, late in a log", with(func(in *deliveryIn) {
			in.First, in.Records = 1<<40, records(1)
		})},
		{"a full page", with(func(in *deliveryIn) { in.Records = records(32) })},
		{"no leaves", with(func(in *deliveryIn) { in.Records = nil })},
		{"1,001 leaves", with(func(in *deliveryIn) { in.Records = records(1001) })},
		{"beyond the largest log", with(func(in *deliveryIn) { in.First = 1<<48 - 70 })},
		{"segment 0", with(func(in *deliveryIn) { in.Order.Segment = 0 })},
		{"node id", with(func(in *deliveryIn) { in.Order.Node = "gpu_0" })},
		{"chain of 65", with(func(in *deliveryIn) { in.Order.Chain = strings.Repeat("c", 65) })},
	}, func(t testing.TB, in deliveryIn) deliveryOut {
		host, device := ed25519.NewKeyFromSeed(in.Host[:]), ed25519.NewKeyFromSeed(in.Device[:])
		in.Order.DeviceKey = signed.KeyOf(device)
		s := delivery.Statement{Order: delivery.Announce(host, in.Order, in.Samples),
			Batch: delivery.BatchOf(in.First, in.Records)}
		sig := s.Sign(device)
		r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: s.Order, Batch: s.Batch,
			DeviceSignature: sig,
			HostSignature:   delivery.Acknowledge(s.Digest(), host)}
		if err := r.Verify(); err != nil {
			return deliveryOut{Error: fault(t, err)}
		}
		nonce := delivery.Nonce(host, in.Order)
		return deliveryOut{Nonce: nonce, Audit: s.Audit, Root: s.Root, Message: s.SignBytes(),
			DeviceSignature: sig, HostSignature: r.HostSignature,
			Questions: delivery.Questions(s.Order, nonce, in.Samples,
				delivery.Signed{Batch: s.Batch, Signature: sig})}
	})
}

type deliveryFile struct {
	File string `json:"file"` // as it lies on disk
}

type deliveryFinding struct {
	Kind    string `json:"kind,omitempty"` // "receipt" or "evidence"
	Claim   string `json:"claim,omitempty"`
	Checked int    `json:"checked,omitempty"`
	Wrong   int    `json:"wrong,omitempty"`
	Leaf    uint64 `json:"leaf,omitempty,string"`
	Got     hash   `json:"got"`  // digests
	Want    hash   `json:"want"` // of evidence only
	Error   string `json:"error,omitempty"`
}

// Holds spec F-14, F-15.
func TestDeliveryFiles(t *testing.T) {
	host, device := ed25519.NewKeyFromSeed(counted(5).Bytes()),
		ed25519.NewKeyFromSeed(counted(9).Bytes())
	order := delivery.Announce(host,
		delivery.Order{Chain: "assay-test", DeviceKey: signed.KeyOf(device),
			Participant: "cpc1example", Epoch: 7, Node: "gpu-0", Class: "nano",
			Seed1: signed.Hash(counted(1)), Segment: 2, SegmentSeed: signed.Hash(counted(0x40))}, 8)
	model, err := work.Reference().Transformer(t.Context(), transformer.Nano, counted(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, nonces := make([]transformer.Output, 40), make([]uint64, 40)
	for i := range nonces {
		nonces[i] = uint64(i)
	}
	if err := model.Run(out, seed.Node("assay-test", "cpc1example", "gpu-0", "nano"), counted(0x40),
		nonces); err != nil {
		t.Fatal(err)
	}
	// accused is a log of 40 leaves in one batch, each n-th of them wrong, and what a
	// host makes of all that it looked at, wrong or not.
	accused := func(n int, change func(*delivery.Evidence)) deliveryFile {
		var records []byte
		for i, o := range out {
			if n > 0 && i%n == 0 {
				o.Digest[3] ^= 8
			}
			records = binary.LittleEndian.AppendUint64(records, o.Norm)
			records = append(records, o.Digest[:]...)
		}
		last := delivery.Signed{Batch: delivery.BatchOf(0, records)}
		last.Signature = delivery.Statement{Order: order, Batch: last.Batch}.Sign(device)
		nonce := delivery.Nonce(host, order)
		var found []delivery.Found
		for _, leaf := range delivery.Questions(order, nonce, 8, last) {
			if n == 0 || leaf%uint64(n) == 0 {
				found = append(found,
					delivery.Found{Leaf: leaf, Records: records, Signature: last.Signature})
			}
		}
		e, err := delivery.Accuse(order, nonce, 8, last, found, "a vector")
		if err != nil {
			t.Fatal(err)
		}
		change(&e)
		text, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return deliveryFile{string(text)}
	}
	as := func(change func(*delivery.Evidence)) deliveryFile { return accused(1, change) }
	receipt := delivery.Receipt{Version: delivery.ReceiptVersion, Order: order,
		Batch: delivery.BatchOf(0, make([]byte, record.Size))}
	receipt.DeviceSignature = receipt.Statement().Sign(device)
	receipt.HostSignature = delivery.Acknowledge(receipt.Statement().Digest(), host)
	text, err := receipt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	receipt.HostSignature = delivery.Acknowledge(receipt.Statement().Digest(), device)
	unsigned, err := receipt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	check(t, "delivery_files.json", "receipts and evidence about leaves of transformer/1: what "+
		"they show", []given[deliveryFile]{
		{"a receipt", deliveryFile{string(text)}},
		{"a receipt with another epoch",
			deliveryFile{strings.Replace(string(text), `"epoch": 7`, `"epoch": 8`, 1)}},
		{"fraud", as(func(*delivery.Evidence) {})},
		{"a faulty device", accused(9, func(*delivery.Evidence) {})},
		{"an honest log", accused(0, func(*delivery.Evidence) {})},
		{"fraud understated", as(func(e *delivery.Evidence) { e.Claim = delivery.Faulty })},
		{"a fault overstated", as(func(e *delivery.Evidence) { e.Wrong = e.Wrong[:1] })},
		{"a leaf that was not drawn", as(func(e *delivery.Evidence) {
			asked := delivery.Questions(e.Order, e.Nonce, e.Samples, e.Last)
			for e.Wrong = e.Wrong[:1]; slices.Contains(asked, e.Wrong[0].Leaf); {
				e.Wrong[0].Leaf = (e.Wrong[0].Leaf + 1) % 40
			}
		})},
		{"another nonce", as(func(e *delivery.Evidence) { e.Nonce[0] ^= 1 })},
		{"other samples", as(func(e *delivery.Evidence) { e.Samples++ })},
		{"a log cut short", deliveryFile{strings.Replace(as(func(*delivery.Evidence) {}).File,
			`"count": 40`, `"count": 39`, 1)}},
		{"another seed", as(func(e *delivery.Evidence) { e.Order.Seed1[0] ^= 1 })},
		{"a record of the host's", as(func(e *delivery.Evidence) {
			e.Wrong[0].Page = strings.Repeat("ab", len(e.Wrong[0].Page)/2)
		})},
		{"version 2", deliveryFile{strings.Replace(as(func(*delivery.Evidence) {}).File,
			"assay-leaf-evidence/1", "assay-leaf-evidence/2", 1)}},
		{"a receipt that the host did not sign", deliveryFile{string(unsigned)}},
		{"a nonce that was not announced, by which the leaf is drawn",
			as(func(e *delivery.Evidence) {
				e.Wrong, e.Claim = e.Wrong[:1], delivery.Faulty
				for e.Nonce[0]++; !slices.Contains(delivery.Questions(e.Order, e.Nonce, e.Samples,
					e.Last), e.Wrong[0].Leaf); e.Nonce[0]++ {
				}
			})},
	}, func(t testing.TB, in deliveryFile) deliveryFinding {
		if r, err := delivery.ParseReceipt([]byte(in.File)); err == nil {
			if err := r.Verify(); err != nil {
				return deliveryFinding{Error: fault(t, err)}
			}
			return deliveryFinding{Kind: "receipt"}
		}
		e, err := delivery.Parse([]byte(in.File))
		var f delivery.Finding
		if err == nil {
			f, err = e.Verify(t.Context(), work.NewJudge(nil))
		}
		if err != nil {
			return deliveryFinding{Error: fault(t, err)}
		}
		return deliveryFinding{Kind: "evidence", Claim: string(f.Claim), Checked: f.Checked,
			Wrong: f.Wrong, Leaf: f.Leaf, Got: f.Got.Digest(), Want: f.Want.Digest()}
	})
}
