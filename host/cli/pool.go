// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/host"
)

func poolCommand(home *string) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "pool", Short: "What the machines of strangers that work for the running host are owed, and why", Args: cobra.NoArgs,
		Long: `List the machines that registered with the running host in pool mode. Amounts are in acpc:
  estimated  the submission under way, should it be right
  locked     verified; a proven cheat forfeits it
  due        the machine's, not paid yet
  settling   in a transaction that is not in a block yet
  settled    transferred on chain`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := host.Load(*home)
			if err != nil {
				return err
			}
			at, err := statusAddress(*home, c)
			if err != nil {
				return err
			}
			all := []host.Account{}
			for path := "/pool"; path != ""; {
				page, err := fetch[host.Accounts](cmd.Context(), at, path)
				if err != nil {
					return err
				}
				all = append(all, page.Accounts...)
				if path = ""; page.Next != nil {
					path = "/pool?after=" + page.Next.String()
				}
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(all)
			}
			return printAccounts(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, every field of every account")
	return cmd
}

func printAccounts(w io.Writer, all []host.Account) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no machine has registered yet")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tNODE\tSTRIKES\tESTIMATED\tLOCKED\tDUE\tSETTLING\tSETTLED\tFORFEITED\tREASON")
	for _, a := range all {
		strikes, node := fmt.Sprint(a.Strikes), a.Node
		if a.Banned {
			strikes += " banned"
		}
		if node == "" {
			node = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Device, node, strikes, a.Estimated, a.Locked, a.Due, a.Settling, a.Settled, a.Forfeited, a.Reason)
	}
	return t.Flush()
}
