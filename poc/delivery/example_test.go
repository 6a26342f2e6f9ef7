// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work"
)

// A machine makes up its leaves. It has a receipt for them, and its host has
// evidence.
func Example() {
	host := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))

	// The host says what to compute, and hides what it will look at.
	order := delivery.Announce(host, delivery.Order{
		Chain: "assay-test", DeviceKey: signed.KeyOf(machine), Participant: "cpc1host", Epoch: 7,
		Node: "m-1", Class: "nano",
		Seed1: signed.Hash{1}, Segment: 1, SegmentSeed: signed.Hash{2},
	}, 10)

	// The machine signs a batch of ten leaves, and the host signs it back.
	records := make([]byte, 10*record.Size)
	s := delivery.Statement{Order: order, Batch: delivery.BatchOf(0, records)}
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: order, Batch: s.Batch,
		DeviceSignature: s.Sign(machine)}
	r.HostSignature = delivery.Acknowledge(s.Digest(), host)
	fmt.Println("the receipt holds:", r.Verify() == nil)

	// The host looks, finds all of them wrong, and shows it.
	last, nonce := delivery.Signed{Batch: s.Batch, Signature: r.DeviceSignature},
		delivery.Nonce(host, order)
	var found []delivery.Found
	for _, leaf := range delivery.Questions(order, nonce, 10, last) {
		found = append(found, delivery.Found{Leaf: leaf, Records: records,
			Signature: r.DeviceSignature})
	}
	e, err := delivery.Accuse(order, nonce, 10, last, found, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := e.Verify(context.Background(), work.NewJudge(nil))
	fmt.Println(f.Claim, err)
	fmt.Println(f.Reason)
	// Output:
	// the receipt holds: true
	// fraud <nil>
	// of 10 leaves that were checked, at least 3 are wrong, which no faulty device explains
}
