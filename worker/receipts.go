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
	"time"

	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
)

const (
	// ReceiptsName is the folder of the host's receipts in a worker's home.
	ReceiptsName = "receipts"
	// keepReceipts is how many of them are kept, about 2 KB each.
	keepReceipts = 1000
	// receiptPace is the least time between two writes of one.
	receiptPace = time.Second
)

// receipts keeps the host's latest receipt of each segment: it stands for all
// leaves before it. A machine that crashes may have lost those of the last second.
type receipts struct {
	home string
	wake chan struct{} // capacity 1

	mu     sync.Mutex
	latest []delivery.Receipt // not on disk yet, at most one of each order
}

func newReceipts(home string) receipts { return receipts{home: home, wake: make(chan struct{}, 1)} }

// put takes a receipt whose signature holds.
func (k *receipts) put(r delivery.Receipt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.latest); n > 0 && k.latest[n-1].Order == r.Order {
		k.latest[n-1] = r
	} else {
		k.latest = append(k.latest, r)
	}
	poke(k.wake)
}

// keep writes receipts down until ctx ends, and what is left then.
func (k *receipts) keep(ctx context.Context, log *slog.Logger) {
	pace := time.NewTicker(receiptPace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-k.wake:
		}
		k.mu.Lock()
		latest := k.latest
		k.latest = nil
		k.mu.Unlock()
		for _, r := range latest {
			if err := k.write(r); err != nil {
				log.Error("the host's receipt could not be kept", "epoch", r.Order.Epoch, "segment", r.Order.Segment, "err", err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done(): // once more
		case <-pace.C:
		}
	}
}

// write replaces the receipt of a segment, and forgets the oldest files.
func (k *receipts) write(r delivery.Receipt) error {
	text, err := r.Marshal()
	if err != nil {
		return err
	}
	dir := filepath.Join(k.home, ReceiptsName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	host := link.FingerprintOf(r.Order.HostKey[:]).String()[:8]
	path := filepath.Join(dir, fmt.Sprintf("leaves-%012d-%05d-%s-%s.json", r.Order.Epoch, r.Order.Segment, r.Order.Node, host))
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	list, err := os.ReadDir(dir) // sorted by name, which begins with epoch and segment
	if err != nil {
		return err
	}
	var names []string
	for _, f := range list {
		if strings.HasPrefix(f.Name(), "leaves-") {
			names = append(names, f.Name())
		}
	}
	var errs []error
	for i := 0; i < len(names)-keepReceipts; i++ {
		errs = append(errs, os.Remove(filepath.Join(dir, names[i])))
	}
	return errors.Join(errs...)
}
