// SPDX-License-Identifier: Apache-2.0

// Package logs is the one form of the lines that node, host and worker log:
//
//	2026-11-29T01:05:53Z INFO  the chain goes on  height=46
//
// the time with its zone, the level, what happened, and keys with their values. As json each line
// is a document with time, level, msg and the keys.
package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// The formats.
const (
	Text = "text"
	JSON = "json"
)

// Formats lists them for a flag's help.
const Formats = "log format: " + Text + " or " + JSON

// New returns a logger that writes to w what has a level (debug, info, warn or error) or a higher
// one.
func New(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: choose debug, info, warn or error", level)
	}
	switch format {
	case Text:
		return slog.New(newHandler(w, least)), nil
	case JSON:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})), nil
	}
	return nil, fmt.Errorf("log format %q: choose %s or %s", format, Text, JSON)
}

// Line is a line of the text format without keys and without its end.
func Line(at time.Time, level slog.Level, message string) string {
	if strings.ContainsFunc(message, unicode.IsControl) {
		message = strconv.Quote(message)
	}
	return fmt.Sprintf("%s %-5s %s", at.Format("2006-01-02T15:04:05Z07:00"), level, message)
}

// handler writes the text format. Keys and values are slog's own text.
type handler struct {
	keys slog.Handler
	out  *output
}

// output is shared by all handlers of a logger.
type output struct {
	mu   sync.Mutex // guards what follows
	w    io.Writer
	keys bytes.Buffer // of the line that is made
}

func newHandler(w io.Writer, least slog.Level) handler {
	out := &output{w: w}
	return handler{out: out, keys: slog.NewTextHandler(&out.keys,
		&slog.HandlerOptions{Level: least, ReplaceAttr: withoutHead})}
}

// withoutHead drops level and message, which stand before the keys; the time is left out of the
// record. Keys of those names stay.
func withoutHead(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	if _, level := a.Value.Any().(slog.Level); level && a.Key == slog.LevelKey ||
		a.Key == slog.MessageKey && a.Value.String() == "" {
		return slog.Attr{}
	}
	return a
}

// Enabled asks for the least level.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.keys.Enabled(ctx, level)
}

// Handle writes a line.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	line := Line(r.Time, r.Level, r.Message)
	r = r.Clone()
	r.Time, r.Message = time.Time{}, ""
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.keys.Reset()
	if err := h.keys.Handle(ctx, r); err != nil {
		return err
	}
	if keys := bytes.TrimRight(h.out.keys.Bytes(), "\n"); len(keys) > 0 {
		line += "  " + string(keys)
	}
	_, err := io.WriteString(h.out.w, line+"\n")
	return err
}

// WithAttrs and WithGroup are of [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.keys.WithAttrs(attrs), h.out}
}

// WithGroup is of [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.keys.WithGroup(name), h.out}
}
