// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/screen"
	"github.com/assaynet/assay/internal/logfile"
	"github.com/assaynet/assay/internal/terminal"
)

// display is the terminal that a command has, if any.
type display struct {
	in, out *os.File
	environ []string
	// log is the terminal too, so log lines need another place.
	log bool
}

// displayOf returns the terminal of a command; not ok where its input or output is none.
func displayOf(cmd *cobra.Command) (d display, ok bool) {
	d.environ = os.Environ()
	usable := func(stream any) (*os.File, bool) {
		f, ok := stream.(*os.File)
		if ok {
			_, ok = terminal.Usable(f, d.environ)
		}
		return f, ok
	}
	var reads, shows bool
	d.in, reads = usable(cmd.InOrStdin())
	d.out, shows = usable(cmd.OutOrStdout())
	_, d.log = usable(cmd.ErrOrStderr())
	return d, reads && shows
}

// onScreen runs a host with its picture on the terminal, until it ends or the operator stops it.
// Its log goes to a file of the home, unless standard error leads elsewhere already.
func (d display) onScreen(ctx context.Context, c host.Config, o host.Options, stderr io.Writer,
	logger func(io.Writer) (*slog.Logger, error)) error {
	p := new(pane)
	to := stderr
	if d.log {
		f, err := logfile.Open(filepath.Join(o.Home, host.LogName), host.LogBytes)
		if err != nil { // a full disk keeps no host from its duties
			to = io.Discard
			p.broken(err)
		} else {
			to, p.file = f, f
		}
	}
	log, err := logger(to)
	if err != nil {
		return err
	}
	o.Logger = slog.New(p.handler(log.Handler()))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	shown, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	var view errgroup.Group
	o.Live = func(status func() host.Status) {
		v := screen.View{Status: status, Warnings: p.lines, Stop: stop, Kept: kept(o.Home)}
		view.Go(func() error {
			defer stop() // a terminal that is gone ends the host
			return screen.Run(shown, v, d.in, d.out, d.environ)
		})
	}
	err = host.Run(ctx, c, o)
	over()
	return errors.Join(err, view.Wait())
}

// kept says what a host that has stopped leaves, and how it goes on.
func kept(home string) string {
	return fmt.Sprintf("leaves, accounts, verdicts and evidence are kept in %s, and assay host "+
		"--home %s goes on with them; until then its duties are not done, and machines wait",
		home, home)
}
