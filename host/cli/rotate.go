// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/logs"
)

func rotateCommand(home *string) *cobra.Command {
	r := host.Rotation{}
	var keys []string
	cmd := &cobra.Command{
		Use: "rotate-keys", Short: "Replace the consensus and VRF keys of the participant's node",
		Args: cobra.NoArgs,
		Long: `Replace the consensus and VRF keys of the participant's node. The running node makes new ones in
config/rotation-N and data/rotation-N of its home, and this command registers them in a
transaction of the operator. They change with the begin of the epoch after the next one; the
validator's seat is handed over when that epoch ends. The node holds old and new keys and changes
by itself; nothing has to be restarted.

Given again, it goes on where it was interrupted, and says when an open rotation acts. The next
rotation can follow four epochs after the last one acted.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := load(*home)
			if err != nil {
				return err
			}
			for _, key := range keys {
				switch key {
				case "consensus":
					r.Consensus = true
				case "vrf":
					r.VRF = true
				default:
					return fmt.Errorf("--keys: %q is none of consensus and vrf", key)
				}
			}
			if !r.Consensus && !r.VRF {
				return errors.New("--keys names no key; name consensus, vrf or both")
			}
			r.Home, r.Stdin = *home, cmd.InOrStdin()
			if r.Logger, err = logs.New(cmd.ErrOrStderr(), "info", logs.Text); err != nil {
				return err
			}
			from, now, err := host.RotateKeys(cmd.Context(), c, r)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "new keys of %s take over when epoch %d begins (this "+
				"is epoch %d), and the validator's seat follows when that epoch is settled\n"+
				"back up config/rotation-* of the node's home now; keep the old key files until "+
				"the seat is handed over, and never copy data/rotation-* to a second node\n",
				c.Participant, from, now)
			return nil
		},
	}
	cmd.Flags().StringVar(&r.Operator, "from", "operator", "the participant's own key in the "+
		"keyring")
	cmd.Flags().StringSliceVar(&keys, "keys", []string{"consensus", "vrf"},
		"which keys to replace: consensus, vrf")
	cmd.Flags().StringVar(&r.Fees, "fees", "", "fee of the transaction, such as 0.01cpc; by "+
		"default at the node's price")
	return cmd
}
