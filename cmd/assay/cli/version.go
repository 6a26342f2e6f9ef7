// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	chaincli "github.com/assaynet/assay/chain/cli"
	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/internal/build"
	"github.com/assaynet/assay/internal/commands"
	"github.com/assaynet/assay/internal/durable"
)

// versionCommand says which program this is.
func versionCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "version", Short: "Print version, commit and toolchain of this program, and the " +
			"version of its chain", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, chain := build.Read(), node.Describe()
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(struct {
					build.Info
					Chain node.Description `json:"chain"`
				}{info, chain})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "version   %s\ncommit    %s\ngo        %s, "+
				"%s\nchain     %s, upgrade %s; cosmos-sdk %s, cometbft %s\n",
				info.Version, info.Commit, info.Go, info.System, chain.App, chain.Upgrade,
				chain.SDK, chain.CometBFT)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// manualCommand writes the manual's pages; make man calls it.
func manualCommand() *cobra.Command {
	return &cobra.Command{
		Use: "manual FOLDER", Short: "Write a manual page for every command into a folder",
		Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			trees, err := chaincli.Trees(root.Name())
			if err != nil {
				return err
			}
			pages := commands.Manual(root)
			for _, tree := range trees {
				own := commands.Manual(tree)
				delete(own, root.Name()+".1")
				maps.Copy(pages, own)
			}
			if err := durable.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(pages)) {
				if err := durable.WriteFile(filepath.Join(args[0], name), []byte(pages[name]),
					0o644); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pages in %s: man -l %s\n", len(pages),
				args[0], filepath.Join(args[0], "assay.1"))
			return err
		},
	}
}
