// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
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
	Nonce           mpoc.Hash      `json:"nonce"`
	Audit           mpoc.Hash      `json:"audit"`
	Root            mpoc.Hash      `json:"root"`
	Message         raw            `json:"message"`
	DeviceSignature mpoc.Signature `json:"device_signature"`
	HostSignature   mpoc.Signature `json:"host_signature"`
	Questions       []uint64       `json:"questions"`
	Error           string         `json:"error,omitempty"`
}

func TestDelivery(t *testing.T) {
	records := func(n int) (b raw) {
		for i := range n {
			b = append(b, bytes.Repeat([]byte{byte(i)}, delivery.RecordSize)...)
		}
		return b
	}
	order := delivery.Order{Chain: "assay-test", Participant: "cpc1example", Epoch: 7, Node: "gpu-0", Class: "nano",
		Seed1: mpoc.Hash(counted(1)), Segment: 2, SegmentSeed: mpoc.Hash(counted(0x40))}
	good := deliveryIn{Host: counted(5), Device: counted(9), Order: order, Samples: 4, Records: records(70)}
	with := func(change func(*deliveryIn)) deliveryIn {
		in := good
		change(&in)
		return in
	}
	check(t, "delivery.json", "what a machine signs about a batch of leaves, what its host signs back, and which leaves the host looks at if this is the last batch", []given[deliveryIn]{
		{"three pages", good},
		{"one leaf, late in a log", with(func(in *deliveryIn) { in.First, in.Records = 1<<40, records(1) })},
		{"a full page", with(func(in *deliveryIn) { in.Records = records(32) })},
		{"no leaves", with(func(in *deliveryIn) { in.Records = nil })},
		{"1,001 leaves", with(func(in *deliveryIn) { in.Records = records(1001) })},
		{"beyond the largest log", with(func(in *deliveryIn) { in.First = 1<<48 - 70 })},
		{"segment 0", with(func(in *deliveryIn) { in.Order.Segment = 0 })},
		{"node id", with(func(in *deliveryIn) { in.Order.Node = "gpu_0" })},
		{"chain of 65", with(func(in *deliveryIn) { in.Order.Chain = strings.Repeat("c", 65) })},
	}, func(t testing.TB, in deliveryIn) deliveryOut {
		host, device := ed25519.NewKeyFromSeed(in.Host[:]), ed25519.NewKeyFromSeed(in.Device[:])
		in.Order.DeviceKey = mpoc.KeyOf(device)
		s := delivery.Statement{Order: delivery.Announce(host, in.Order, in.Samples), Batch: delivery.BatchOf(in.First, in.Records)}
		sig := s.Sign(device)
		r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: s.Order, Batch: s.Batch, DeviceSignature: sig,
			HostSignature: delivery.Acknowledge(s.Digest(), host)}
		if err := r.Verify(); err != nil {
			return deliveryOut{Error: fault(t, err)}
		}
		nonce := delivery.Nonce(host, in.Order)
		return deliveryOut{Nonce: nonce, Audit: s.Audit, Root: s.Root, Message: s.SignBytes(), DeviceSignature: sig, HostSignature: r.HostSignature,
			Questions: delivery.Questions(s.Order, nonce, in.Samples, delivery.Signed{Batch: s.Batch, Signature: sig})}
	})
}
