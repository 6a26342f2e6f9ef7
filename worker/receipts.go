// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
)

const (
	// ReceiptsName is the folder of the host's receipts in a worker's home.
	ReceiptsName = "receipts"
	// Of receipts, about 2 KB each, and of evidence, about 10 KB and at most
	// delivery.MaxFileSize, so many files are kept.
	keepReceipts, keepEvidence = 1000, 100
	// tick is what every file system's times tell apart.
	tick = 2 * time.Second
	// receiptPace is the least time between two writes of one.
	receiptPace = time.Second
)

// receipts keeps the host's latest receipt of each segment, which stands for all
// leaves before it, and what the host holds against a segment's leaves. A machine
// that crashes may have lost those of the last second.
type receipts struct {
	home   string
	wake   chan struct{} // capacity 1
	newest time.Time     // of the files' times; keep's alone

	mu     sync.Mutex
	latest []document // not on disk yet
}

// document is a file to be.
type document struct {
	name    string
	marshal func() ([]byte, error)
}

func newReceipts(home string) receipts { return receipts{home: home, wake: make(chan struct{}, 1)} }

// The kinds of file, by how their names begin.
const (
	receivedName = "leaves"
	accusedName  = "left-out"
)

// name sorts by epoch and segment within its kind.
func name(kind string, o delivery.Order) string {
	host := link.FingerprintOf(o.HostKey[:]).String()[:8]
	return fmt.Sprintf("%s-%012d-%05d-%s-%s.json", kind, o.Epoch, o.Segment, o.Node, host)
}

// received takes a receipt whose signature holds.
func (k *receipts) received(r delivery.Receipt) {
	k.put(document{name(receivedName, r.Order), r.Marshal})
}

// accused takes evidence against this machine, and returns where it will be.
func (k *receipts) accused(e delivery.Evidence) (path string) {
	f := document{name(accusedName, e.Order), e.Marshal}
	k.put(f)
	return filepath.Join(k.home, ReceiptsName, f.name)
}

// put replaces the file of that name if it is not written yet; there are few.
func (k *receipts) put(f document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.latest {
		if k.latest[i].name == f.name {
			k.latest[i] = f
			return
		}
	}
	k.latest = append(k.latest, f)
	poke(k.wake)
}

// keepWaiting is how many files wait for a disk that cannot be written.
const keepWaiting = 100

// again puts back a file that could not be written, unless a newer one has come. Of too many the
// oldest go: a later receipt of a segment stands for the earlier ones.
func (k *receipts) again(f document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.ContainsFunc(k.latest, func(g document) bool { return g.name == f.name }) {
		k.latest = append(k.latest, f)
	}
	k.latest = k.latest[max(0, len(k.latest)-keepWaiting):]
	poke(k.wake)
}

// keep writes receipts down until ctx ends, and what is left then.
func (k *receipts) keep(ctx context.Context, log *slog.Logger) {
	pace := time.NewTicker(receiptPace)
	defer pace.Stop()
	var said time.Time
	for {
		select {
		case <-ctx.Done():
		case <-k.wake:
		}
		k.mu.Lock()
		latest := k.latest
		k.latest = nil
		k.mu.Unlock()
		for _, f := range latest {
			err := k.write(f)
			if err == nil {
				continue
			}
			if now := time.Now(); now.Sub(said) >= time.Minute || ctx.Err() != nil {
				said = now
				log.Error("what the host signed could not be kept; it is tried again",
					"path", f.name, "err", err)
			}
			k.again(f)
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

// write makes or replaces a file, and forgets the oldest of its kind from the same
// host: what a host has machines sign for pushes no other's out, nor the latest.
// Files' times are their order: each is later than the others', whatever the clock
// does.
func (k *receipts) write(f document) error {
	text, err := f.marshal()
	if err != nil {
		return err
	}
	dir := filepath.Join(k.home, ReceiptsName)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, f.name)
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	kind, keep := receivedName, keepReceipts
	if strings.HasPrefix(f.name, accusedName) {
		kind, keep = accusedName, keepEvidence
	}
	entries, err := os.ReadDir(dir) // no pattern: the home's name may hold a bracket
	if err != nil {
		return err
	}
	var list []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), kind+"-") &&
			strings.HasSuffix(e.Name(), f.name[strings.LastIndex(f.name, "-"):]) {
			list = append(list, filepath.Join(dir, e.Name()))
		}
	}
	written := make(map[string]time.Time, len(list))
	if k.newest.IsZero() || len(list) > keep {
		for _, other := range list {
			if info, err := os.Stat(other); err == nil {
				written[other] = info.ModTime()
				if other != path && info.ModTime().After(k.newest) {
					k.newest = info.ModTime()
				}
			}
		}
	}
	now := time.Now()
	if !now.After(k.newest) { // the clock was set back
		now = k.newest.Add(tick)
	}
	k.newest, written[path] = now, now
	if err := os.Chtimes(path, now, now); err != nil {
		return err
	}
	if len(list) <= keep {
		return nil
	}
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(written[a].Compare(written[b]), cmp.Compare(a, b))
	})
	var errs []error
	for _, path := range list[:len(list)-keep] {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
