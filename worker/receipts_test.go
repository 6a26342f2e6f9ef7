// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/worker/enginetest"
)

// A clock that is set back does not make the machine forget what it gets from then on.
func TestReceiptsWhenTheClockGoesBack(t *testing.T) {
	k := newReceipts(t.TempDir())
	r := delivery.Receipt{Version: delivery.ReceiptVersion,
		Order: delivery.Order{Chain: "c", Participant: "p", Node: "n", Class: "nano", Segment: 1},
		Batch: delivery.Batch{Count: 1}}
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
	log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int,
		error) {
		failed <- struct{}{}
		return len(p), nil
	}), nil))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); k.keep(ctx, log) }()
	r := delivery.Receipt{Version: delivery.ReceiptVersion,
		Order: delivery.Order{Chain: "c", Participant: "p", Node: "n", Class: "nano", Segment: 1,
			Epoch: 7}, Batch: delivery.Batch{Count: 1}}
	k.received(r)
	<-failed
	if err := os.Remove(k.home); err != nil {
		t.Fatal(err)
	}
	cancel() // it tries once more
	<-over
	if _, err := os.Stat(filepath.Join(k.home, ReceiptsName,
		name(receivedName, r.Order))); err != nil {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A host that acknowledges with another's name, or for other leaves, is left; what
// it signed before is on disk, one file a segment, and holds for anybody.
func TestReceipts(t *testing.T) {
	h := newFakeHost(t)
	home := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: new(enginetest.Engine),
			Threads: 1})
	}()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() { h.stop(); stop() })

	s := h.accept()
	s.say(compute(100, 1, 0))
	kept := map[uint32]*workerv1.Batch{}
	for range 3 {
		kept[1] = hear(s, (*workerv1.Envelope).GetBatch)
		s.ack(kept[1])
	}
	s.say(compute(100, 2, 40))
	for kept[2] == nil {
		if b := hear(s, (*workerv1.Envelope).GetBatch); b.Segment == 2 {
			kept[2] = b
		}
	}
	s.ack(kept[2])
	for name, forge := range map[string]func(*workerv1.Batch) signed.Signature{
		"signed by the worker itself": func(b *workerv1.Batch) signed.Signature {
			return signed.Signature(b.Signature)
		},
		"of other leaves": func(b *workerv1.Batch) signed.Signature {
			st := s.statement(b)
			st.First++
			return delivery.Acknowledge(st.Digest(), fakeHostKey)
		},
	} {
		b := hear(s, (*workerv1.Envelope).GetBatch)
		s.say(ack(100, 2, s.statement(b).End(), forge(b)))
		for {
			if _, err := s.next(); err != nil {
				if !strings.Contains(err.Error(), "the receipt for") {
					t.Errorf("%s: closed with %v", name, err)
				}
				break
			}
		}
		close(s.over)
		s = h.accept()
		s.say(compute(100, 2, s.statement(kept[2]).End()))
	}
	h.stop()
	stop()
	paths, err := filepath.Glob(filepath.Join(home, ReceiptsName, "*.json"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("receipts: %v, %v", paths, err)
	}
	for i, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := delivery.ParseReceipt(raw)
		if err == nil {
			err = r.Verify()
		}
		if want := s.statement(kept[uint32(i+1)]); err != nil || r.Statement() != want {
			t.Errorf("%s: %v, about %+v; want %+v", path, err, r.Statement(), want)
		}
	}
}

func TestReceiptsAreBounded(t *testing.T) {
	k := newReceipts(filepath.Join(t.TempDir(), "rig[12] [a"))
	r := delivery.Receipt{Version: delivery.ReceiptVersion,
		Order: delivery.Order{Chain: "c", Participant: "p", Node: "n", Class: "nano", Segment: 1},
		Batch: delivery.Batch{Count: 1}}
	write := func(r delivery.Receipt) {
		if err := k.write(document{name(receivedName, r.Order), r.Marshal}); err != nil {
			t.Fatal(err)
		}
	}
	other := r // host's, which a busy one does not push out
	other.Order.HostKey[0]++
	write(other)
	began := time.Now().Add(-time.Hour)
	for i := range uint64(keepReceipts + 3) {
		r.Order.Epoch = 1<<30 + i
		if i > keepReceipts-3 {
			write(r)
			continue
		}
		path, at := filepath.Join(k.home, ReceiptsName, name(receivedName, r.Order)),
			began.Add(time.Duration(i)*time.Second)
		// a thousand syncs take seconds
		if err := errors.Join(os.WriteFile(path, nil, 0o600),
			os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	r.Order.Epoch = 5 // the latest is kept, whatever its epoch
	write(r)
	list, err := os.ReadDir(filepath.Join(k.home, ReceiptsName))
	if err != nil || len(list) != keepReceipts+1 ||
		!strings.HasPrefix(list[0].Name(), "leaves-000000000000-") ||
		!strings.HasPrefix(list[1].Name(), "leaves-000000000005-00001-n-") {
		t.Fatalf("%d files, %v", len(list), err)
	}
}

// What a host holds against a machine is kept for its owner to check. It must be
// about leaves of this machine's.
func TestLeftOut(t *testing.T) {
	h := newFakeHost(t)
	home := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: new(enginetest.Engine),
			Threads: 1})
	}()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() { h.stop(); stop() })
	s := h.accept()
	s.say(compute(100, 1, 0))
	b := hear(s, (*workerv1.Envelope).GetBatch)
	evidence := func(change func(*delivery.Order)) *workerv1.Envelope {
		st := s.statement(b)
		change(&st.Order)
		last := delivery.Signed{Batch: st.Batch, Signature: signed.Signature(b.Signature)}
		found := []delivery.Found{{First: b.First, Records: b.Records, Signature: last.Signature}}
		e, err := delivery.Accuse(st.Order, signed.Hash{}, 10, last, found, "")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return &workerv1.Envelope{
			Message: &workerv1.Envelope_LeftOut{LeftOut: &workerv1.LeftOut{Epoch: b.Epoch,
				Segment: b.Segment, Reason: "1 of 10 leaves is wrong", Evidence: raw}}}
	}
	s.say(&workerv1.Envelope{Message: &workerv1.Envelope_LeftOut{
		LeftOut: &workerv1.LeftOut{Epoch: 1, Segment: 1, Reason: "so it is"}}})
	s.say(evidence(func(*delivery.Order) {}))
	for name, change := range map[string]func(*delivery.Order){
		"another machine":     func(o *delivery.Order) { o.DeviceKey[0] ^= 1 },
		"a log it never made": func(o *delivery.Order) { o.Epoch++ },
	} {
		s.say(evidence(change))
		for {
			if _, err := s.next(); err != nil {
				if !strings.Contains(err.Error(), "evidence") {
					t.Errorf("%s: closed with %v", name, err)
				}
				break
			}
		}
		close(s.over)
		s = h.accept()
	}
	h.stop()
	stop()
	paths, err := filepath.Glob(filepath.Join(home, ReceiptsName, "left-out-*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("on file: %v, %v", paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if e, err := delivery.Parse(raw); err != nil || e.Order != s.statement(b).Order {
		t.Errorf("on file: %+v, %v", e, err)
	}
}
