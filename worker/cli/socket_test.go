// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/enginetest"
)

// said is what a running command writes.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), part)
}

// until waits for what must come, however busy the machine is.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A socket that cannot be made when the worker starts, or that is removed later, is made when it
// can be, and each is said once.
func TestTheSocketIsMadeAgain(t *testing.T) {
	home := t.TempDir()
	if _, err := worker.Key(home); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, socketFile)
	// stands in its place, and stays
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr said
	done := make(chan int, 1)
	w := Command{Name: "w", Engine: new(enginetest.Engine)}
	go func() {
		done <- w.Run(ctx, []string{"start", "--plain", "--home", home, "--host", nobody},
			nil, io.Discard, &stderr)
	}()
	status := func() bool {
		code, text, _ := run(w, "status", "--home", home)
		return code == 0 && strings.Contains(text, "nothing listens at 127.0.0.1:1")
	}
	until(t, "what stands in the way is named", func() bool {
		return stderr.count("w status cannot reach this worker, which tries again") == 1 &&
			stderr.count(path) == 1
	})
	if status() {
		t.Error("it is reached through a folder")
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	until(t, "it is reached when there is room for its socket", status)
	if stderr.count("cannot reach") != 1 || stderr.count("reaches this worker again") != 1 {
		t.Errorf("it says %s", stderr.text.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	until(t, "it is reached when its socket was removed", status)
	if stderr.count("its socket was removed") != 1 {
		t.Errorf("it says %s", stderr.text.String())
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("code %d, %s", code, stderr.text.String())
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket of a worker that ended is left")
	}
}
