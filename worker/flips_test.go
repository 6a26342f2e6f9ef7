// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/worker/enginetest"
)

// served leaves in a home what a worker leaves that has signed and delivered two batches, and
// returns what it signed.
func served(t *testing.T, home string) delivery.Statement {
	t.Helper()
	h := newFakeHost(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: new(enginetest.Engine),
			Threads: 1})
	}()
	s := h.accept()
	s.say(compute(100, 1, 0))
	for range 2 {
		s.ack(hear(s, (*workerv1.Envelope).GetBatch))
	}
	var found []string
	// the acknowledgement is taken, and written within a second
	for late := time.Now().Add(time.Minute); len(found) == 0; {
		if time.Now().After(late) {
			t.Fatal("no receipt is written")
		}
		time.Sleep(10 * time.Millisecond)
		// a home may have a name that is a pattern
		list, _ := os.ReadDir(filepath.Join(home, ReceiptsName))
		for _, e := range list {
			if strings.HasPrefix(e.Name(), receivedName+"-") {
				found = append(found, filepath.Join(home, ReceiptsName, e.Name()))
			}
		}
	}
	h.stop()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := delivery.ParseReceipt(text)
	if err != nil {
		t.Fatal(err)
	}
	return r.Statement()
}

// homeRead is what a worker that starts reads of a home.
type homeRead struct {
	Keys    []string // the home's, and a further device's
	Parts   parts
	Order   delivery.Order
	Batches []delivery.Batch
}

func readHome(dir string, s delivery.Statement) (r homeRead, err error) {
	key, err := loadKey(dir, false)
	if err != nil {
		return r, err
	}
	unlock, err := lock(dir) // what stands in its file is for people
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	h, err := openHome(dir, key, false)
	if err != nil {
		return r, err
	}
	other, err := link.LoadKey(filepath.Join(dir, devicesName, "cuda-1", KeyFile))
	if err != nil {
		return r, err
	}
	for _, k := range []ed25519.PrivateKey{key, other} {
		r.Keys = append(r.Keys, string(k.Seed()))
	}
	b, err := openJournal(dir, s.Order.Chain, s.Order.Participant, s.Order.Node, s.Order.HostKey)
	if err != nil {
		return r, err
	}
	r.Parts, r.Order, r.Batches = h.parts, b.order, b.batches
	return r, nil
}

// Whatever bit of a home has flipped, and wherever a file ends early: the worker starts with what
// was there, or names the file and the way out. It never signs again what it has signed, but where
// a journal ends early as after a power cut. A receipt that was changed shows nothing.
func TestFlipsInAHome(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "home")
	signed := served(t, whole)
	h, err := openHome(whole, mustKey(t, whole), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.folder(devicesName + "/cuda-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := link.LoadKey(filepath.Join(whole, devicesName, "cuda-1", KeyFile)); err != nil {
		t.Fatal(err)
	}
	want, err := readHome(whole, signed)
	if err != nil || len(want.Batches) == 0 {
		t.Fatalf("%+v, %v", want, err)
	}
	flips.Each(t, whole, 2000, 200, nil, func(dir string, d flips.Damage) (flips.Outcome, error) {
		if strings.HasPrefix(d.Path, ReceiptsName+"/"+receivedName) {
			r, err := delivery.ParseReceipt(d.Is)
			if err == nil {
				err = r.Verify()
			}
			switch {
			case err != nil:
				return flips.Refused, nil // by whoever is shown it; the worker reads none
			case !d.Space():
				return flips.Unchanged, errors.New("the receipt holds")
			}
			return flips.Unchanged, nil
		}
		outcome := flips.Unchanged
		got, err := readHome(dir, signed)
		switch {
		case err != nil && d.Explains(err, "ut it back", "restore it"):
			return flips.Refused, nil
		case err != nil:
			return flips.Refused, err
		}
		journal := strings.HasPrefix(d.Path, SignedName+"/")
		switch end := len(got.Batches); {
		case journal && d.Cut && end <= len(want.Batches) &&
			slices.Equal(got.Batches, want.Batches[:end]):
			outcome, got.Batches, got.Order = flips.Mended, want.Batches, want.Order
		case journal && end > 0 && got.Batches[end-1] == want.Batches[len(want.Batches)-1]:
			// behind a gap
			outcome, got.Batches = flips.Mended, want.Batches
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return outcome, fmt.Errorf("taken silently:\n%s", diff)
		}
		return outcome, nil
	}).Covers(t, "worker", Kept())
}

func mustKey(t *testing.T, home string) ed25519.PrivateKey {
	t.Helper()
	key, err := Key(home)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
