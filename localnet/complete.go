// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/localnet/crew"
)

// words completes what kill and heal take: a participant of the network that the command is about,
// or of all that run in the temporary folder, then a kind of process. No files.
func words(home *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion,
		cobra.ShellCompDirective) {
		var list []cobra.Completion
		switch len(args) {
		case 0:
			homes := []string{*home}
			if *home == "" {
				homes = crew.Running(cmd.Context(), os.TempDir(), tempPrefix)
			}
			for _, h := range homes {
				for _, name := range names(h) {
					if !slices.Contains(list, name) { // of two networks
						list = append(list, name)
					}
				}
			}
		case 1:
			list = []cobra.Completion{string(Node), string(Host), string(Worker)}
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// names are the participants of the network in a folder; none where there is no network.
func names(home string) (list []string) {
	n := &Network{Home: home}
	if err := n.read(); err != nil {
		return nil
	}
	for _, m := range n.Members {
		list = append(list, m.Name)
	}
	return list
}
