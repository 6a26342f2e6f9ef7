// SPDX-License-Identifier: Apache-2.0

// Package terminal shows a program's picture of itself on a terminal: text that is drawn again
// twice a second, a line of keys below it, and nothing of an earlier picture beside it.
//
// The picture has the terminal's second screen to itself, so it may grow and shrink, and the window
// with it, and what was on the terminal before is there again at the end. What does not fit is
// scrolled. The last picture stays on the terminal, below what was there.
//
// Colours in the text are shown as far as the terminal can; NO_COLOR and a dumb terminal take them
// away. The package knows nothing of what it shows.
package terminal

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// Screen is what is shown, and what keys do. All functions are called by one goroutine.
type Screen struct {
	// Draw returns the lines of the picture for a width in columns, 20 or more, and a height in
	// lines, 1 or more. Longer lines are cut, and what is below the height is reached by scrolling.
	Draw func(width, height int) []string
	// Footer is the last line of the window: the keys.
	Footer string
	// Last returns the picture that stays, once the program has ended. Optional: Draw, with a
	// height of a page.
	Last func(width int) []string
	// Keys by name: "p", "ctrl+c". The arrows and page keys scroll.
	Keys map[string]func()
}

// Usable reports whether f is a terminal that a picture can be shown on, and its width. A terminal
// without a size (0 x 0, as some consoles have it) is none: log lines are right there.
func Usable(f *os.File, environ []string) (width int, ok bool) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 0, false
	}
	for _, v := range environ {
		if v == "TERM=dumb" {
			return width, false
		}
	}
	return width, true
}

// Run shows a screen until ctx ends, which is no error. Input is read for keys, output written to,
// both a terminal; environ is the program's, which says what the terminal can.
func Run(ctx context.Context, s Screen, in io.Reader, out io.Writer, environ []string) error {
	m := &model{Screen: s, width: 80, height: 24, size: func() (int, int) { return 0, 0 }}
	if f, ok := out.(*os.File); ok {
		m.size = func() (width, height int) {
			width, height, _ = term.GetSize(int(f.Fd())) // a terminal that is gone has none
			return width, height
		}
	}
	p := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ),
		tea.WithoutSignalHandler(), tea.WithFPS(10))
	defer context.AfterFunc(ctx, func() { p.Send(over{}) })()
	_, err := p.Run()
	last := s.Last
	if last == nil {
		last = func(width int) []string { return s.Draw(width, page) }
	}
	var text strings.Builder
	for _, line := range last(max(m.width, least)) {
		text.WriteString(cut(line, m.width) + "\n")
	}
	if _, werr := io.WriteString(colorprofile.NewWriter(out, environ), text.String()); err == nil {
		err = werr
	}
	return err
}

const (
	// least is the smallest width for which anything is drawn.
	least = 20
	// page is the height of what stays on a terminal, which scrolls by itself.
	page = 40
	// every is how often the picture is drawn, and repaint after how many drawings all of it is
	// written again: what another program wrote over it, or the terminal lost, is gone within five
	// seconds.
	every   = time.Second / 2
	repaint = 10
)

// over says that the program has ended.
type over struct{}

// tick draws again.
type tick time.Time

func next() tea.Cmd { return tea.Tick(every, func(t time.Time) tea.Msg { return tick(t) }) }

type model struct {
	Screen
	width, height int
	size          func() (width, height int) // of the terminal now; 0 where nobody knows
	top           int                        // first line that is shown
	drawn         int                        // ticks since the program began
}

func (m *model) Init() tea.Cmd { return next() }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 { // else: the size before it is the best guess
			m.width, m.height = msg.Width, msg.Height
		}
	case tick:
		// A window that changes between the first picture and bubbletea's listening for it, or
		// whose signal is lost on the way, would be drawn on in its old size for ever.
		if width, height := m.size(); width > 0 && height > 0 &&
			(width != m.width || height != m.height) {
			return m, tea.Batch(next(), func() tea.Msg {
				return tea.WindowSizeMsg{Width: width, Height: height}
			})
		}
		if m.drawn++; m.drawn%repaint == 0 {
			return m, tea.Batch(next(), tea.ClearScreen)
		}
		return m, next()
	case over:
		return m, tea.Quit
	case tea.KeyPressMsg:
		m.key(msg.String())
	}
	return m, nil
}

func (m *model) key(name string) {
	page := max(1, m.height-2)
	switch name {
	case "up":
		m.top--
	case "down":
		m.top++
	case "pgup":
		m.top -= page
	case "pgdown":
		m.top += page
	case "home":
		m.top = 0
	}
	if do := m.Keys[name]; do != nil {
		do()
	}
}

func (m *model) View() tea.View {
	lines := m.Draw(max(m.width, least), max(m.height-1, 1))
	m.top = max(0, min(m.top, len(lines)-(m.height-1)))
	v := tea.NewView(strings.Join(Window(lines, m.Footer, m.width, m.height, m.top), "\n"))
	v.AltScreen = true
	return v
}

// Window is the part of a picture that a window of height lines shows from line top on, with the
// footer as its last line. Where lines are left out the footer says so.
func Window(lines []string, footer string, width, height, top int) []string {
	room := max(0, height-1)
	if left := len(lines) - room; left > 0 {
		footer = fmt.Sprintf("lines %d-%d of %d, arrows scroll  %s", top+1,
			top+room, len(lines), footer)
		lines = lines[top : top+room]
	}
	shown := make([]string, 0, height)
	for _, line := range lines {
		shown = append(shown, cut(line, width))
	}
	for len(shown) < room {
		shown = append(shown, "")
	}
	return append(shown, cut(footer, width))
}

// cut shortens a line to a width in columns, with a sign that it did.
func cut(line string, width int) string {
	if lipgloss.Width(line) <= width {
		return line
	}
	return lipgloss.NewStyle().MaxWidth(max(width-1, 0)).Render(line) + "…"
}
