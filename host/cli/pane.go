// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/assaynet/assay/internal/logfile"
)

// paneLines is how many warnings the screen has at most.
const paneLines = 5

// pane keeps the last warnings and errors of a log for the screen. It is safe for concurrent use.
type pane struct {
	file *logfile.File // nil where the log is elsewhere

	mu   sync.Mutex
	last []string // oldest first
}

// lines are what the screen shows, oldest first.
func (p *pane) lines() []string {
	p.mu.Lock()
	lines := slices.Clone(p.last)
	p.mu.Unlock()
	if p.file != nil && p.file.Err() != nil {
		lines = append(lines, "the log is not written: "+p.file.Err().Error())
	}
	return lines
}

func (p *pane) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = append(p.last, line)
	p.last = p.last[max(0, len(p.last)-paneLines):]
}

// broken says that there is no log.
func (p *pane) broken(err error) {
	p.keep("no log is written until the host is started again: " + err.Error())
}

// handler passes records on, and keeps those that a person should see.
func (p *pane) handler(next slog.Handler) slog.Handler { return &keeper{Handler: next, pane: p} }

type keeper struct {
	slog.Handler
	pane  *pane
	attrs string
}

// Enabled is of [slog.Handler]: what the screen shows does not depend on the log's level.
func (k *keeper) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || k.Handler.Enabled(ctx, level)
}

// Handle is of [slog.Handler].
func (k *keeper) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		text := fmt.Sprintf("%s %s %s%s", r.Time.UTC().Format("15:04:05 UTC"),
			r.Level, r.Message, k.attrs)
		r.Attrs(func(a slog.Attr) bool {
			text += attr(a)
			return true
		})
		k.pane.keep(text)
	}
	if !k.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return k.Handler.Handle(ctx, r)
}

// attr is an attribute for people; an empty one says nothing.
func attr(a slog.Attr) string {
	v := a.Value.Resolve().String()
	switch {
	case v == "" || v == "0":
		return ""
	case a.Key == "err" || a.Key == "reason":
		return "; " + v
	}
	return fmt.Sprintf("; %s %s", a.Key, v)
}

// WithAttrs is of [slog.Handler].
func (k *keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := &keeper{Handler: k.Handler.WithAttrs(attrs), pane: k.pane, attrs: k.attrs}
	for _, a := range attrs {
		c.attrs += attr(a)
	}
	return c
}

// WithGroup is of [slog.Handler].
func (k *keeper) WithGroup(name string) slog.Handler {
	return &keeper{Handler: k.Handler.WithGroup(name), pane: k.pane, attrs: k.attrs}
}
