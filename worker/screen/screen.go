// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"io"
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
}

func (m *model) Init() tea.Cmd { return next() }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width = msg.Width
	case tick:
		return m, next()
	case over:
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
	return tea.NewView(Render(m.get(), m.width, time.Now()) + "\n")
}
