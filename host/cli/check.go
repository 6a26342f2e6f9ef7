// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/store"
)

func checkCommand(home *string) *cobra.Command {
	repair, asJSON := false, false
	cmd := &cobra.Command{
		Use: "check", Short: "Look at all files of a host that does not run, and repair what " +
			"does not open", Args: cobra.NoArgs,
		Long: `Look at all files of a host that does not run: checksums, counts, and whether the accounts of the ledger add up.
--repair makes a new file of what can be read of one that does not open; the old one stays beside it. An account that is
set aside, because its records are damaged or its sums do not add up, is made again from its entries and transfers.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := host.Load(*home); err != nil {
				return err
			}
			list, err := host.Check(*home, repair)
			if errors.Is(err, store.ErrInUse) || errors.Is(err, leaflog.ErrInUse) {
				return fmt.Errorf("a host runs on %s: stop it first", *home)
			} else if err != nil {
				return err
			}
			bad := 0
			for _, c := range list {
				if !c.Sound {
					bad++
				}
			}
			out := cmd.OutOrStdout()
			if asJSON {
				if err := printJSON(out, list); err != nil {
					return err
				}
			} else {
				for _, c := range list {
					state := "sound"
					if !c.Sound {
						state = "DAMAGED"
					}
					fmt.Fprintf(out, "%-9s %-8s %s (%d bytes): %s\n", c.What, state,
						c.Path, c.Bytes, c.Found)
					if c.Next != "" {
						fmt.Fprintf(out, "%-18s %s\n", "", c.Next)
					}
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d are damaged", bad, len(list))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "make new files of what can be read")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
