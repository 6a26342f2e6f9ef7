// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWindow(t *testing.T) {
	lines := []string{"one", "two", "three", "four"}
	for _, c := range []struct {
		name               string
		width, height, top int
		want               []string
	}{
		{"room to spare", 10, 6, 0, []string{"one", "two", "three", "four", "", "q quit"}},
		{"exactly", 10, 5, 0, []string{"one", "two", "three", "four", "q quit"}},
		{"cut", 60, 3, 0, []string{"one", "two", "lines 1-2 of 4, arrows scroll  q quit"}},
		{"scrolled", 60, 3, 2, []string{"three", "four", "lines 3-4 of 4, arrows scroll  q quit"}},
		{"narrow", 4, 5, 0, []string{"one", "two", "thr…", "four", "q q…"}},
		{"one line", 60, 1, 0, []string{"lines 1-0 of 4, arrows scroll  q quit"}},
	} {
		if d := cmp.Diff(c.want, Window(lines, "q quit", c.width, c.height, c.top)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// However often keys are pressed, what is shown is a part of the picture.
func TestScroll(t *testing.T) {
	m := &model{Screen: Screen{Draw: func(int,
		int) []string {
		return strings.Split(strings.Repeat("x", 9), "")
	}}, width: 40, height: 5}
	for _, key := range []string{"up", "down", "down", "pgdown", "pgdown", "pgdown", "down",
		"pgup", "home", "up"} {
		m.key(key)
		m.View()
		if m.top < 0 || m.top > 5 {
			t.Fatalf("after %s line %d is the first", key, m.top)
		}
	}
}
