// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"errors"
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

// Run shows the statuses that arrive until they end or ctx does. The last one
// stays on the terminal. Input is read for keys, output written to, both a
// terminal; environ is the program's, which says what the terminal can.
func Run(ctx context.Context, statuses <-chan worker.Status, control Control, in io.Reader, out io.Writer, environ []string) error {
	p := tea.NewProgram(&model{control: control, width: 80}, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out),
		tea.WithEnvironment(environ), tea.WithoutSignalHandler(), tea.WithFPS(10))
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s, more := <-statuses:
				if !more {
					p.Send(over{})
					return
				}
				p.Send(s)
			case <-ended:
				return
			}
		}
	}()
	_, err := p.Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// over says that no more statuses come.
type over struct{}

// tick redraws what time changes.
type tick time.Time

func next() tea.Cmd { return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tick(t) }) }

type model struct {
	control Control
	status  *worker.Status
	width   int
}

func (m *model) Init() tea.Cmd { return next() }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case worker.Status:
		m.status = &msg
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
			m.control.Quit() // ends the worker, which ends the statuses
		}
	}
	return m, nil
}

func (m *model) View() tea.View {
	if m.status == nil {
		return tea.NewView("assay worker: starting\n")
	}
	return tea.NewView(Render(*m.status, m.width, time.Now()) + "\n")
}
