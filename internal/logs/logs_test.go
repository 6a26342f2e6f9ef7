// SPDX-License-Identifier: Apache-2.0

package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"
)

// A line has time with zone and seconds, level, message and keys, in this order, and is one line
// whatever it says.
func TestALineOfText(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	at := time.Date(2026, 11, 29, 3, 5, 53, 999, zone)
	for _, c := range []struct {
		level   slog.Level
		message string
		attrs   []slog.Attr
		want    string
	}{
		{slog.LevelInfo, "the chain goes on", []slog.Attr{slog.Int("height", 46)},
			"2026-11-29T03:05:53+02:00 INFO  the chain goes on  height=46"},
		{slog.LevelError, "it failed", []slog.Attr{slog.Any("err", errors.New("no space: x"))},
			`2026-11-29T03:05:53+02:00 ERROR it failed  err="no space: x"`},
		{slog.LevelWarn, "bare", nil, "2026-11-29T03:05:53+02:00 WARN  bare"},
		{slog.LevelInfo, "keys of the head's names",
			[]slog.Attr{slog.String("msg", "m"), slog.String("level", "l"),
				slog.String("time", "t")}, "2026-11-29T03:05:53+02:00 INFO  keys of the head's " +
				"names  msg=m level=l time=t"},
		{slog.LevelInfo, "two\nlines\x1b[2J", []slog.Attr{slog.String("k", "a\nb")},
			`2026-11-29T03:05:53+02:00 INFO  "two\nlines\x1b[2J"  k="a\nb"`},
	} {
		var b bytes.Buffer
		r := slog.NewRecord(at, c.level, c.message, 0)
		r.AddAttrs(c.attrs...)
		if err := newHandler(&b, slog.LevelInfo).Handle(t.Context(), r); err != nil ||
			b.String() != c.want+"\n" {
			t.Errorf("%q, %v\nwant %q", b.String(), err, c.want)
		}
	}
}

// Both formats keep what slog asks of a handler: groups, keys of With, nothing empty.
func TestKeysAndGroups(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(newHandler(&b, slog.LevelInfo)).With("a", 1).WithGroup("g")
	l.Debug("not this")
	l.Info("this", "b", 2)
	if line := b.String(); !strings.HasSuffix(line, " INFO  this  a=1 g.b=2\n") ||
		strings.Count(line, "\n") != 1 {
		t.Errorf("%q", line)
	}
	b.Reset()
	j, err := New(&b, "info", JSON)
	if err != nil {
		t.Fatal(err)
	}
	results := func() (all []map[string]any) {
		for _, line := range bytes.Split(bytes.TrimSpace(b.Bytes()), []byte("\n")) {
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		return all
	}
	if err := slogtest.TestHandler(j.Handler(), results); err != nil {
		t.Error(err)
	}
}

// Lines of many goroutines do not mix.
func TestLinesStayWhole(t *testing.T) {
	var b bytes.Buffer
	l, err := New(&b, "info", Text)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for range 20 {
				l.With("i", i).Info("line", "same", i)
			}
		})
	}
	all.Wait()
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 400 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		_, keys, _ := strings.Cut(line, "line  i=")
		i, same, ok := strings.Cut(keys, " same=")
		if !ok || i != same {
			t.Errorf("%q", line)
		}
	}
}

// A wrong level or format is refused with the right ones.
func TestWrongWordsAreRefused(t *testing.T) {
	for _, c := range []struct{ level, format string }{{"loud", Text}, {"info", "xml"},
		{"", JSON}, {"info", ""}} {
		if _, err := New(&bytes.Buffer{}, c.level, c.format); err == nil ||
			!strings.Contains(err.Error(), "choose ") {
			t.Errorf("%q, %q: %v", c.level, c.format, err)
		}
	}
}
