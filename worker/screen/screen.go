// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/assaynet/assay/internal/terminal"
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
func Run(ctx context.Context, get func() worker.Status, control Control, in io.Reader,
	out io.Writer, environ []string) error {
	return terminal.Run(ctx, terminal.Screen{
		Draw: func(width, _ int) []string { return Render(get(), width, time.Now()) },
		// nothing computes below it
		Last:   func(width int) []string { return Render(stopped(get()), width, time.Now()) },
		Footer: faint.Render(Keys),
		Keys: map[string]func(){"p": control.Pause, "r": control.Resume, "q": control.Quit,
			"ctrl+c": control.Quit},
	}, in, out, environ)
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
