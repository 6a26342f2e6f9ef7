// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/worker/enginetest"
)

// Everything that a worker leaves in its home stands in the table, with a bound and a pruner. The
// files of a device's work for a pool are held by test/pool.
func TestKept(t *testing.T) {
	table := Kept()
	if faults := kept.Faults(table); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	h := newFakeHost(t)
	home := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{URL: h.url, Home: home, Engine: new(enginetest.Engine), Threads: 1})
	}()
	s := h.accept()
	s.say(compute(100, 1, 0))
	for range 2 {
		s.ack(hear(s, (*workerv1.Envelope).GetBatch))
	}
	for late := time.Now().Add(time.Minute); ; { // the acknowledgement is taken, and written within a second
		if found, _ := filepath.Glob(filepath.Join(home, ReceiptsName, "leaves-*.json")); len(found) > 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("no receipt is written")
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.stop()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	unlisted, err := kept.Unlisted(home, table)
	if err != nil || len(unlisted) > 0 {
		t.Errorf("left and not in the table: %q, %v", unlisted, err)
	}
	for _, pattern := range []string{SignedName + "/*", ReceiptsName + "/leaves-*.json", KeyFile, HomeFile, LockFile} {
		if found, _ := filepath.Glob(filepath.Join(home, pattern)); len(found) == 0 {
			t.Errorf("%s: nothing was left, so this test sees nothing", pattern)
		}
	}
}
