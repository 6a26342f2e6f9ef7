// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/screen"
	"github.com/assaynet/assay/host/settle"
)

func paymentsCommand(home *string) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "payments", Short: "What the running host has paid, what is next, and what stops it",
		Args: cobra.NoArgs,
		Long: `What the running host has paid, what is next, and what stops it. The chain is the truth about what was paid: where
the ledger does not know of a transaction of the paying account, because it was put back from a backup or because
something else used that account, nothing more is paid, and this shows what the blocks hold. "resolve" enters it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, _, err := payments(cmd.Context(), *home)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), p)
			}
			paymentsTable(cmd.OutOrStdout(), p)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(resolveCommand(home))
	return cmd
}

func payments(ctx context.Context, home string) (p host.Payments, at string, err error) {
	if at, err = statusAddress(home); err != nil {
		return p, "", err
	}
	p, err = fetch[host.Payments](ctx, at, "/payments")
	return p, at, err
}

func resolveCommand(home *string) *cobra.Command {
	yes, paid, unpaid := false, false, false
	cmd := &cobra.Command{
		Use: "resolve", Short: "Bring a ledger that is stopped in step with the chain",
		Args: cobra.NoArgs,
		Long: `Bring a ledger that is stopped in step with the chain. Settlements of this ledger that the blocks hold count as paid,
also for what its machines are credited later; other transactions of the account are passed over. Of a settlement that waits for blocks which no node has any longer, --paid
or --unpaid says what became of its transaction: paid counts, unpaid is due again.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, at, err := payments(cmd.Context(), *home)
			if err != nil {
				return err
			}
			plan := p.Status.Plan
			switch {
			case plan == nil:
				return fmt.Errorf("there is nothing to resolve: payment is %s; %s", p.Status.Doing,
					cmp.Or(p.Status.Reason, "ledger and chain agree"))
			case !plan.Ready:
				return fmt.Errorf("the blocks are still being read, up to %d of %d; ask again in "+
					"a moment", plan.Read, plan.To)
			}
			planTable(cmd.OutOrStdout(), plan)
			became := ""
			switch {
			case paid:
				became = settle.Paid
			case unpaid:
				became = settle.Unpaid
			case plan.Open != 0:
				return fmt.Errorf("nothing is changed; say --%s or --%s",
					settle.Paid, settle.Unpaid)
			}
			if !yes && !confirmed(cmd.InOrStdin(), cmd.OutOrStdout()) {
				return errors.New("nothing is changed; say yes, or give --yes")
			}
			if _, err := send(cmd.Context(), http.MethodPost, at,
				"/payments/resolve?plan="+url.QueryEscape(plan.Digest)+"&became="+
					became); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "agreed; the next block brings the ledger in step, "+
				"and payment goes on")
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&paid, settle.Paid, false, "the open settlement's transaction is in a "+
		"block, and paid")
	cmd.Flags().BoolVar(&unpaid, settle.Unpaid, false, "the open settlement's transaction is in "+
		"no block, or failed there")
	cmd.MarkFlagsMutuallyExclusive(settle.Paid, settle.Unpaid)
	return cmd
}

func confirmed(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "enter this into the ledger and go on paying? [yes/no] ")
	line, _ := bufio.NewReader(in).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), "yes")
}

func paymentsTable(out io.Writer, p host.Payments) {
	st := p.Status
	fmt.Fprintf(out, "payment   %s", st.Doing)
	if st.Reason != "" {
		fmt.Fprintf(out, ": %s", st.Reason)
	}
	fmt.Fprintln(out)
	if st.Account != "" {
		fmt.Fprintf(out, "account   %s, holds %s\n", st.Account, screen.Coins(st.Balance.String()))
	}
	if st.Ledger != "" {
		fmt.Fprintf(out, "ledger    %s, next settlement %d\n", st.Ledger, st.Next)
	}
	if len(p.Waiting) > 0 {
		fmt.Fprintf(out, "\nnext to be paid (%d at most are shown)\n", len(p.Waiting))
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, w := range p.Waiting {
			fmt.Fprintf(t, "  %s\t%s\t%.12s...\n", screen.Coins(w.Amount.String()),
				w.Payout, w.Device)
		}
		_ = t.Flush()
	}
	if len(p.Settlements) > 0 {
		fmt.Fprintln(out, "\nlatest settlements")
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, s := range p.Settlements {
			state := "waits for a block"
			switch {
			case s.Given != "":
				state = "given up: " + s.Given
			case s.Height > 0:
				state = fmt.Sprintf("block %d", s.Height)
			}
			fmt.Fprintf(t, "  %d\t%d machines\t%s\t%.16s...\n", s.Number,
				len(s.Payments), state, s.Hash)
		}
		_ = t.Flush()
	}
	for key, why := range p.Aside {
		fmt.Fprintf(out, "\nset aside: %s: %s; stop the host and run: assay host check --repair\n",
			key, why)
	}
	if st.Plan != nil {
		fmt.Fprintln(out)
		planTable(out, st.Plan)
	}
}

func planTable(out io.Writer, p *settle.Plan) {
	if p.Open != 0 {
		fmt.Fprintf(out, "%s.\nElse look transaction %s up where those blocks are still known, "+
			"and say what became of it:\n  assay host payments resolve --%s     it is in a "+
			"block: its machines are paid\n  assay host payments resolve --%s   it is in none, "+
			"or failed: they are due again\n", p.Why, p.Hash, settle.Paid, settle.Unpaid)
		return
	}
	fmt.Fprintf(out, "%s.\nThe ledger wants transaction %d of the account next, the chain %d.\n",
		p.Why, p.Expected, p.Sequence)
	if !p.Ready {
		fmt.Fprintf(out, "Blocks are being read: %d of %d.\n", p.Read-p.From+1, p.To-p.From+1)
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range p.Found {
		what := f.Note
		if f.Number > 0 {
			what = fmt.Sprintf("settlement %d of this ledger: %d machines are paid by it",
				f.Number, len(f.To))
		}
		fmt.Fprintf(t, "  transaction %d\tblock %d\t%s\n", f.Sequence, f.Height, what)
	}
	_ = t.Flush()
	if p.Missing != "" {
		fmt.Fprintf(out, "Not all is known: %s. What is not found is passed over, and what it "+
			"paid may be paid again.\n", p.Missing)
	}
	fmt.Fprintln(out, "To enter this and go on paying: assay host payments resolve")
}
