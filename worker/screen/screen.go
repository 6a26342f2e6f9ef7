// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"io"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/assaynet/assay/worker"
)

// Control is what the keys do.
type Control struct {
	Pause, Resume func()
	Quit          func()
}

// Run shows what get gives, twice a second, until ctx ends, which is no error.
// The last one stays on the terminal. Input is read for keys, output written to,
// both a terminal; environ is the program's, which says what the terminal can.
func Run(ctx context.Context, get func() worker.Status, control Control, in io.Reader, out io.Writer, environ []string) error {
	p := tea.NewProgram(&model{get: get, control: control, width: 80}, tea.WithInput(in), tea.WithOutput(out),
		tea.WithEnvironment(environ), tea.WithoutSignalHandler(), tea.WithFPS(10))
	defer context.AfterFunc(ctx, func() { p.Send(over{}) })()
	_, err := p.Run()
	return err
}

// over says that the worker has ended.
type over struct{}

// tick asks for the status again.
type tick time.Time

func next() tea.Cmd { return tea.Tick(time.Second/2, func(t time.Time) tea.Msg { return tick(t) }) }

type model struct {
	get     func() worker.Status
	control Control
	width   int
	over    bool
}

func (m *model) Init() tea.Cmd { return next() }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width = msg.Width
	case tick:
		return m, next()
	case over:
		m.over = true
		return m, tea.Quit
	case tea.KeyPressMsg:
		switch msg.String() {
		case "p":
			m.control.Pause()
		case "r":
			m.control.Resume()
		case "q", "ctrl+c":
			m.control.Quit() // ends the worker, and then ctx
		}
	}
	return m, nil
}

func (m *model) View() tea.View {
	s := m.get()
	if m.over { // the last picture stays: nothing computes below it
		s = stopped(s)
	}
	return tea.NewView(Render(s, m.width, time.Now()) + "\n")
}

// stopped is a status as its worker leaves it.
func stopped(s worker.Status) worker.Status {
	s.State, s.Reason, s.Until, s.Next, s.Connected = "stopped", "", "", "", false
	s.Devices = slices.Clone(s.Devices)
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.State != "disabled" {
			d.State, d.Reason, d.Until = "stopped", "", ""
		}
	}
	return s
}
