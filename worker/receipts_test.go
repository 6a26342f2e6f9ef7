// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/delivery"
)

// A clock that is set back does not make the machine forget what it gets from then on.
func TestReceiptsWhenTheClockGoesBack(t *testing.T) {
	k := newReceipts(t.TempDir())
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: delivery.Order{Chain: "c", Participant: "p", Node: "n", Class: "nano", Segment: 1}, Batch: delivery.Batch{Count: 1}}
	path := func(epoch uint64) string {
		r.Order.Epoch = epoch
		return filepath.Join(k.home, ReceiptsName, name(receivedName, r.Order))
	}
	if err := os.MkdirAll(filepath.Join(k.home, ReceiptsName), 0o700); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(365 * 24 * time.Hour)
	for epoch := range uint64(keepReceipts) {
		if err := os.WriteFile(path(epoch), fmt.Append(nil, epoch), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path(epoch), later, later); err != nil {
			t.Fatal(err)
		}
	}
	for epoch := uint64(keepReceipts); epoch < keepReceipts+3; epoch++ {
		r.Order.Epoch = epoch
		if err := k.write(document{name(receivedName, r.Order), r.Marshal}); err != nil {
			t.Fatal(err)
		}
	}
	for epoch := uint64(keepReceipts); epoch < keepReceipts+3; epoch++ {
		if _, err := os.Stat(path(epoch)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path(2)); !os.IsNotExist(err) {
		t.Errorf("the third of the oldest is still there: %v", err)
	}
}

// What could not be written is written when the disk can be again.
func TestReceiptsWaitForTheDisk(t *testing.T) {
	k := newReceipts(filepath.Join(t.TempDir(), "home"))
	if err := os.WriteFile(k.home, nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	failed := make(chan struct{}, 100)
	log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) { failed <- struct{}{}; return len(p), nil }), nil))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); k.keep(ctx, log) }()
	r := delivery.Receipt{Version: delivery.ReceiptVersion, Order: delivery.Order{Chain: "c", Participant: "p", Node: "n", Class: "nano", Segment: 1, Epoch: 7}, Batch: delivery.Batch{Count: 1}}
	k.received(r)
	<-failed
	if err := os.Remove(k.home); err != nil {
		t.Fatal(err)
	}
	cancel() // it tries once more
	<-over
	if _, err := os.Stat(filepath.Join(k.home, ReceiptsName, name(receivedName, r.Order))); err != nil {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
