// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/logfile"
)

// The screen has the last warnings and errors whatever the log's level is, and the log has what its
// level asks for.
func TestPane(t *testing.T) {
	for level, inLog := range map[slog.Level]int{slog.LevelDebug: 20, slog.LevelInfo: 19,
		slog.LevelError: 9} {
		p, log := new(pane), new(bytes.Buffer)
		l := slog.New(p.handler(slog.NewTextHandler(log,
			&slog.HandlerOptions{Level: level}))).With("node", "w1")
		l.Debug("a detail")
		l.Info("news")
		for i := range 9 {
			l.Warn("it waits", "err", fmt.Errorf("reason %d", i), "segment", 0)
			l.Error("it failed", "number", i)
		}
		lines := p.lines()
		if len(lines) != paneLines ||
			!strings.HasSuffix(lines[paneLines-1], " ERROR it failed; node w1; number 8") ||
			!strings.HasSuffix(lines[paneLines-2], " WARN it waits; node w1; reason 8") {
			t.Errorf("%q", lines)
		}
		if n := strings.Count(log.String(), "\n"); n != inLog {
			t.Errorf("at %s the log has %d lines, want %d", level, n, inLog)
		}
	}
}

// A log that cannot be written is said where the operator looks, for as long as it is so.
func TestALogThatFailsIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.log")
	f, err := logfile.Open(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{file: f}
	l := slog.New(p.handler(slog.NewTextHandler(f, nil)))
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	l.Info("lost")
	if lines := p.lines(); len(lines) != 1 ||
		!strings.Contains(lines[0], "the log is not written") || !strings.Contains(lines[0], path) {
		t.Errorf("%q", lines)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.Info("there")
	if lines := p.lines(); len(lines) != 0 {
		t.Errorf("%q", lines)
	}
}
