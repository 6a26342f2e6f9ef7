// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/terminal"
)

const (
	// stoppedWord is what a host does that has ended.
	stoppedWord = "stopped"
	// lastMost is how many entries of a list stay on the terminal.
	lastMost = 5
)

// View is what is shown.
type View struct {
	// Status gives the status of any moment.
	Status func() host.Status
	// Warnings gives the last lines of the log that a person should see, oldest first.
	Warnings func() []string
	// Stop is what q and ctrl-C do: the host begins to stop.
	Stop func()
	// Kept says, once the host has stopped, what is kept and how to go on.
	Kept string
}

// Run shows a view, twice a second, until ctx ends, which is no error. The last picture stays on
// the terminal, with what is kept. Input is read for keys, output written to, both a terminal;
// environ is the program's.
func Run(ctx context.Context, v View, in io.Reader, out io.Writer, environ []string) error {
	stopping := false // keys and drawing are one goroutine's
	stop := func() { stopping = true; v.Stop() }
	return terminal.Run(ctx, terminal.Screen{
		Draw: func(width, height int) []string {
			s := v.Status()
			if stopping {
				s.Doing, s.Reason, s.Until = "stopping", "what is being written is finished", 0
			}
			return Render(s, v.Warnings(), width, height, time.Now())
		},
		Last: func(width int) []string {
			return Last(v.Status(), v.Warnings(), v.Kept, width, time.Now())
		},
		Footer: faint.Render(Keys),
		Keys:   map[string]func(){"q": stop, "ctrl+c": stop},
	}, in, out, environ)
}

// Last is the picture of a host that has stopped: nothing is under way below it.
func Last(s host.Status, warnings []string, kept string, width int, now time.Time) []string {
	s.Doing, s.Reason, s.Until, s.Reachable, s.Progress = stoppedWord, "", 0, false, nil
	s.Stream = nil
	s.Workers = slices.Clone(s.Workers)
	for i := range s.Workers {
		w := &s.Workers[i]
		if w.State != "faulted" {
			w.Connected, w.State, w.Rate1m, w.Reason, w.Until = false, "away", 0, "", ""
		}
	}
	if s.Payment != nil && s.Payment.Doing == "paying" {
		p := *s.Payment
		p.Doing, p.Reason = "waiting",
			"the settlement under way is looked for on the chain at the next start"
		s.Payment = &p
	}
	r := &renderer{width: max(width, 20), lines: picture(s, warnings, width, lastMost, now)}
	r.add("")
	r.wrap("", "stopped; "+kept) // the last words, since a long picture has scrolled away
	return r.lines
}
