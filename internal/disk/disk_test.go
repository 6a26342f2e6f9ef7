// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestThisDisk(t *testing.T) {
	s, err := Of(filepath.Join(t.TempDir(), "not", "there", "yet"))
	if err != nil || s.Total == 0 || s.Free > s.Total {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMark(t *testing.T) {
	const mib, gib, tib = 1 << 20, 1 << 30, 1 << 40
	for _, c := range []struct{ total, want uint64 }{
		{0, 0}, {100 * mib, 5 * mib}, {2 * gib, 2 * gib / 20}, {20 * gib, gib}, {500 * gib, gib},
		{16 * tib, gib},
	} {
		if got := (Space{Total: c.total}).Mark(); got > c.want || got+100 < c.want {
			t.Errorf("of %s: %s, want %s", Size(c.total), Size(got), Size(c.want))
		}
	}
}

// New work ends below the mark and comes back above it, with a distance.
func TestNewWorkEndsBelowTheMarkAndReturnsAboveIt(t *testing.T) {
	const mib = 1 << 20
	now, broken := Space{Free: 500 * mib, Total: 1000 * mib}, error(nil)
	w := NewWatch("/data", func(string) (Space, error) { return now, broken })
	for i, c := range []struct {
		free         uint64
		low, changed bool
		says         string
	}{
		{500, false, false, ""},
		{50, false, false, ""},
		{49, true, true, "/data is nearly full: 49.0 MiB of 1000.0 MiB are free, and 50.0 MiB " +
			"are kept"},
		{0, true, false, "free 62.5 MiB, and it goes on by itself"},
		{55, true, false, "free 7.5 MiB"},
		{63, false, true, ""},
		{55, false, false, ""},
	} {
		now.Free = c.free * mib
		low, changed, err := w.Look()
		if err != nil || low != c.low || changed != c.changed || w.Low() != low ||
			w.Space() != now {
			t.Errorf("step %d: low %t, changed %t, %v", i, low, changed, err)
		}
		if got := w.Reason(); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("step %d: %q", i, got)
		}
		if got := w.Warning("it ends"); (got == "") != (c.says == "") || got != "" &&
			!strings.HasSuffix(got, ": it ends") {
			t.Errorf("step %d: %q", i, got)
		}
	}
	now.Free, broken = 0, errors.ErrUnsupported
	if low, changed, err := w.Look(); low || changed || err == nil {
		t.Errorf("a disk that cannot be measured: %t, %t, %v", low, changed, err)
	}
}
