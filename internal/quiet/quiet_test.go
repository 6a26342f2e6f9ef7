// SPDX-License-Identifier: Apache-2.0

package quiet

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// record is a logger and what it wrote.
func record() (*slog.Logger, func() []string) {
	var b bytes.Buffer
	log := slog.New(New(slog.NewTextHandler(&b,
		&slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})))
	return log, func() []string {
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		b.Reset()
		return lines
	}
}

// A line that repeats is written once a minute, with the number of those between.
func TestARepeatedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := record()
		for range 300 { // five a second for a minute
			log.Error("the disk is full", "path", "/a", "err", errors.New("after 17 bytes"))
			time.Sleep(200 * time.Millisecond)
		}
		log.Error("the disk is full", "path", "/a", "err", errors.New("after 23 bytes"))
		got := lines()
		if len(got) != 2 || strings.Contains(got[0], "repeated") ||
			!strings.Contains(got[1], "repeated=299") ||
			!strings.Contains(got[1], "after 23 bytes") {
			t.Errorf("%q", got)
		}
		time.Sleep(time.Hour)
		log.Error("the disk is full", "path", "/a", "err", errors.New("after 1 bytes"))
		if got := lines(); len(got) != 1 || strings.Contains(got[0], "repeated") {
			t.Errorf("an hour later: %q", got)
		}
	})
}

// What differs in level, message or attributes is another line.
func TestLinesThatDiffer(t *testing.T) {
	log, lines := record()
	log.Info("a")
	log.Warn("a")
	log.Info("b")
	log.Info("b", "node", "x")
	log.Info("b", "node", "y")
	log.Info("b", "epoch", 1)
	log.Info("b", "epoch", 2)
	log.With("node", "x").Info("b", "epoch", 2)
	log.With("node", "x").WithGroup("g").Info("b", "epoch", 2)
	log.Info("c", "for", time.Second, "addr", "10.0.0.1:4711")
	log.Info("c", "for", time.Second, "addr", "10.0.0.2:4711")
	if n := len(lines()); n != 11 {
		t.Errorf("%d lines of 11", n)
	}
	log.Info("c", "for", 2*time.Second, "addr", "10.0.0.1:4712")
	log.With("node", "x").Info("b", "epoch", 2)
	if got := lines(); got[0] != "" {
		t.Errorf("repeated: %q", got)
	}
}

// A flood of different lines does not grow without bound.
func TestRememberedLinesAreBounded(t *testing.T) {
	h := New(slog.DiscardHandler)
	for i := range most + 100 {
		h.seen.take(fmt.Sprint(i))
	}
	if n := len(h.seen.lines); n > most {
		t.Errorf("%d lines are remembered", n)
	}
}
