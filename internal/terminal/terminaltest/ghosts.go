// SPDX-License-Identifier: Apache-2.0

//go:build unix

package terminaltest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Show is a program that shows one picture after the other.
type Show struct {
	// Start starts it in a terminal of a size, with a variable in its environment. It shows picture
	// 0.
	Start func(t *testing.T, columns, rows int, environ string) *Terminal
	// Next has it show the next picture.
	Next func(term *Terminal)
	// Wrong says what is not right with what a window of a size shows, while picture n is to be
	// seen.
	Wrong func(shown string, n, columns, rows int) string
	// Colour is an escape code that some pictures have where there is colour.
	Colour string
	// End ends it after picture n, and checks what stays.
	End func(t *testing.T, term *Terminal, n int)
}

// NoGhostLines holds a show against what it has to show while its pictures and the window change
// their heights: in three sizes, with and without colour, for five pictures each, or with
// ASSAY_LONG=1 for ten minutes each.
func NoGhostLines(t *testing.T, show Show) {
	for _, size := range [][2]int{{100, 40}, {80, 24}, {60, 20}} {
		for _, environ := range []string{"COLORTERM=truecolor", "NO_COLOR=1"} {
			t.Run(fmt.Sprintf("%dx%d %s", size[0], size[1], environ), func(t *testing.T) {
				t.Parallel()
				show.run(t, size[0], size[1], environ)
			})
		}
	}
}

func (show Show) run(t *testing.T, columns, rows int, environ string) {
	steps, until := 5, time.Time{}
	if os.Getenv("ASSAY_LONG") != "" {
		steps, until = 1<<30, time.Now().Add(10*time.Minute)
	}
	rng := rand.New(rand.NewPCG(uint64(columns), uint64(len(environ))))
	term := show.Start(t, columns, rows, environ)
	wide, high, n := columns, rows, 0
	check := func() {
		t.Helper()
		term.Until(func(shown string) string { return show.Wrong(shown, n, wide, high) })
	}
	for ; n < steps && (until.IsZero() || time.Now().Before(until)); n++ {
		check()
		switch rng.IntN(4) {
		case 0: // another window first
			wide, high = columns-rng.IntN(columns/2), 1+rng.IntN(2*rows)
			term.Resize(wide, high)
			check()
		case 1: // and one at the same time
			wide, high = columns, rows
			term.Resize(wide, high)
		}
		show.Next(term)
	}
	check()
	if coloured := strings.Contains(term.Raw(),
		show.Colour); coloured == (environ == "NO_COLOR=1") {
		t.Errorf("with %s: colour %v", environ, coloured)
	}
	show.End(t, term, n)
	t.Logf("%d pictures", n)
}

// Differs says what a screen shows that is not in the lines it has to show, or what is missing.
func Differs(shown string, want []string) string {
	got := strings.Split(strings.ReplaceAll(shown, "\r", ""), "\n")
	for len(got) < len(want) {
		got = append(got, "")
	}
	for i := range got {
		line := ""
		if i < len(want) {
			line = strings.TrimRight(ansi.Strip(want[i]), " ")
		}
		if strings.TrimRight(ansi.Strip(got[i]), " ") != line {
			return fmt.Sprintf("line %d is %q, want %q", i, got[i], line)
		}
	}
	return ""
}
