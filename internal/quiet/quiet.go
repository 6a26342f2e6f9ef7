// SPDX-License-Identifier: Apache-2.0

// Package quiet keeps a log readable while something fails again and again: a line that was written
// within the last minute is not written again, and the next one says how many were left out.
//
// Two lines are the same if level, message and attributes are. What changes from one time to the
// next without a meaning does not count: durations, times, the numbers in an error's text, and a
// peer's port.
package quiet

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	// Every is how often one line is written at most.
	Every = time.Minute
	// most bounds the lines that are remembered. Beyond it the oldest are forgotten.
	most = 4096
)

// Handler passes records on to another handler. It is safe for concurrent use.
type Handler struct {
	next   slog.Handler
	prefix string // of the attributes that With added
	seen   *seen
}

type seen struct {
	now func() time.Time

	mu    sync.Mutex
	lines map[string]*line
}

type line struct {
	at         time.Time
	suppressed int
}

// New wraps a handler.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, seen: &seen{now: time.Now, lines: map[string]*line{}}}
}

// Enabled asks the handler behind.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes a record on, unless the same was passed on within the last minute.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	suppressed, write := h.seen.take(h.key(r))
	if !write {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeated", suppressed))
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs and WithGroup make the attributes part of what tells lines apart.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	prefix := h.prefix
	for _, a := range attrs {
		prefix += attr(a)
	}
	return &Handler{next: h.next.WithAttrs(attrs), prefix: prefix, seen: h.seen}
}

// WithGroup is of [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{next: h.next.WithGroup(name), prefix: h.prefix + "\x00" + name, seen: h.seen}
}

func (h *Handler) key(r slog.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\x00%s\x00%s", r.Level, r.Message, h.prefix)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(attr(a))
		return true
	})
	return b.String()
}

// attr is what of an attribute counts.
func attr(a slog.Attr) string {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindDuration, slog.KindTime:
		return "\x00" + a.Key
	}
	text := v.String()
	if at, err := netip.ParseAddrPort(text); err == nil {
		text = at.Addr().String()
	}
	if err, ok := v.Any().(error); ok {
		text = withoutNumbers(err.Error())
	}
	return "\x00" + a.Key + "=" + text
}

func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// take reports whether a line is to be written, and how many like it were not since.
func (s *seen) take(key string) (suppressed int, write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	l := s.lines[key]
	if l != nil && now.Sub(l.at) < Every {
		l.suppressed++
		return 0, false
	}
	if l == nil {
		s.forget(now)
		l = new(line)
		s.lines[key] = l
	}
	suppressed = l.suppressed
	l.at, l.suppressed = now, 0
	return suppressed, true
}

// forget makes room: lines that may be written again without a word, and of too many the oldest.
func (s *seen) forget(now time.Time) {
	if len(s.lines) < most {
		return
	}
	var oldest string
	for key, l := range s.lines {
		if l.suppressed == 0 && now.Sub(l.at) >= Every {
			delete(s.lines, key)
		} else if oldest == "" || l.at.Before(s.lines[oldest].at) {
			oldest = key
		}
	}
	if len(s.lines) >= most {
		delete(s.lines, oldest)
	}
}
