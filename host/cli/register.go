// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/logs"
)

func registerCommand(home *string) *cobra.Command {
	r := host.Registration{}
	var limit time.Duration
	cmd := &cobra.Command{
		Use: "register", Short: "Register the participant on chain and grant its hot key the " +
			"protocol messages", Args: cobra.NoArgs,
		Long: `Register the participant on chain, with the keys of its own running node and of this host, and grant the hot
key the protocol messages. The operator's account needs a balance for the fee and for the
deposit that a registration locks; see assay query registry params.

It waits, and says for what, until the node runs and has the whole chain, and the account holds coins; Ctrl-C ends it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, key, err := load(*home)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, limit,
					fmt.Errorf("--timeout %s is over", limit))
				defer cancel()
			}
			line := newLine(cmd.ErrOrStderr())
			r.Home, r.HostKey, r.Stdin = *home, key, cmd.InOrStdin()
			if r.Logger, err = logs.New(cmd.ErrOrStderr(), "info", logs.Text); err != nil {
				return err
			}
			r.Waiting = line.show
			err = host.Register(ctx, c, r)
			line.end()
			if cmd.Context().Err() != nil {
				return fmt.Errorf("stopped: %s is not registered, and nothing is lost; the same "+
					"command goes on", c.Participant)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is registered and takes part from the next epoch "+
				"on; its deposit comes back after assay tx registry leave\n", c.Participant)
			return nil
		},
	}
	cmd.Flags().StringVar(&r.Operator, "from", "operator", "the participant's own key in the "+
		"keyring")
	cmd.Flags().StringVar(&r.Moniker, "moniker", "", "a name for people")
	cmd.Flags().StringVar(&r.Fees, "fees", "", "fee of the transaction, such as 0.01cpc; by "+
		"default at the node's price")
	cmd.Flags().DurationVar(&limit, "timeout", 0, "give up waiting after this time, such as 10m; "+
		"0: never")
	_ = cmd.MarkFlagRequired("moniker")
	return cmd
}

// line is one line that is written over on a terminal; elsewhere each text has its own.
type line struct {
	w     io.Writer
	live  bool
	shown bool
}

func newLine(w io.Writer) *line {
	f, ok := w.(*os.File)
	return &line{w: w, live: ok && term.IsTerminal(int(f.Fd()))}
}

func (l *line) show(text string) {
	if text == "" {
		l.end()
		return
	}
	if !l.live {
		fmt.Fprintln(l.w, text)
		return
	}
	if f, ok := l.w.(*os.File); ok { // a line that wraps is not written over
		if width, _, err := term.GetSize(int(f.Fd())); err == nil &&
			len(text) >= width && width > 2 {
			text = text[:width-2] + "…"
		}
	}
	fmt.Fprintf(l.w, "\r\x1b[K%s", text)
	l.shown = true
}

// end leaves the terminal at the begin of a free line.
func (l *line) end() {
	if l.shown {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.shown = false
	}
}
