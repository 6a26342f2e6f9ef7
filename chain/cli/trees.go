// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cosmossdk.io/client/v2/autocli"
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/client/rpc"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/server"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/internal/commands"
)

// plant is a tree of the SDK's commands that is built when it is needed: it takes an app and a
// description of all services, which no other command should have to wait for.
type plant struct {
	use, short string
	aliases    []string
	build      func(*app.App) (*cobra.Command, error)
}

func plants() []plant {
	return []plant{
		{"keys", "Manage the accounts of a home's keyring", nil, keysCommand},
		{"tx", "Make, sign and send transactions", nil, txCommand},
		{"query", "Ask a node about the chain", []string{"q"}, queryCommand},
		{"comet", "Ask a node about itself: its status, height and peers", nil, cometCommand},
	}
}

// Trees builds all of them below a root, for the manual.
func Trees(root string) (all []*cobra.Command, err error) {
	for _, p := range plants() {
		tree, _, err := p.grow(root)
		if err != nil {
			return nil, err
		}
		all = append(all, tree)
	}
	return all, nil
}

// grow builds the tree below a root of the name given, without which its help would not show the
// program's.
func (p plant) grow(name string) (root *cobra.Command, s *session, err error) {
	bare, err := app.Bare()
	if err != nil {
		return nil, nil, err
	}
	tree, err := p.build(bare)
	if err != nil {
		return nil, nil, err
	}
	s = &session{encoding: bare.Encoding(), tree: p.use}
	AddHome(tree.PersistentFlags(), &s.home)
	tree.Use, tree.Short, tree.Aliases = p.use, p.short, p.aliases
	tree.PersistentPreRunE = func(sub *cobra.Command, _ []string) error { return s.prepare(sub) }
	root = &cobra.Command{Use: name}
	root.AddCommand(tree)
	empty(tree)
	describe(tree)
	commands.Strict(root)
	commands.Complete(root, completions())
	return root, s, nil
}

// empty removes groups that have no command: modules without transactions.
func empty(c *cobra.Command) {
	for _, sub := range c.Commands() {
		empty(sub)
		if sub.RunE != nil && !sub.HasSubCommands() && !sub.HasLocalFlags() && sub.Args == nil ||
			sub.RunE == nil && sub.Run == nil && !sub.HasSubCommands() {
			c.RemoveCommand(sub)
		}
	}
}

// describe puts what holds here in place of what the SDK says of its flags.
func describe(tree *cobra.Command) {
	texts := map[string]struct{ usage, value string }{
		flags.FlagKeyringBackend: {"where accounts are kept: file, os, or test (unprotected); " +
			"the home's own by default", ""},
		flags.FlagNode:    {"the node to ask, its RPC address; the home's own by default", ""},
		flags.FlagChainID: {"the chain's id; that of the home's genesis by default", ""},
		flags.FlagFees: {"fee to pay, such as 0.01cpc; by default what the gas costs at the " +
			"node's price", ""},
		flags.FlagGasPrices: {"price of a unit of gas, such as 1000000000acpc; by default " +
			"the least that the home's node takes", ""},
		flags.FlagGas: {"gas limit, or auto: what a simulation uses, half as much again",
			flags.GasFlagAuto},
		flags.FlagGasAdjustment: {"what auto multiplies the simulation's gas by", adjustment},
	}
	commands.Walk(tree, func(c *cobra.Command) {
		for name, text := range texts {
			if f := c.Flags().Lookup(name); f != nil {
				f.Usage, f.DefValue = text.usage, text.value
			}
		}
		if f := c.Flags().Lookup(flags.FlagOutput); f != nil && broadcasts(c) {
			f.DefValue = flags.OutputFormatText
		}
	})
}

// command is the tree's place among the program's commands.
func (p plant) command() *cobra.Command {
	return &cobra.Command{
		Use: p.use, Aliases: p.aliases, Short: p.short, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, s, err := p.grow(cmd.Root().Name())
			if err != nil {
				return err
			}
			return s.run(root, cmd, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string,
			cobra.ShellCompDirective) {
			root, _, err := p.grow(cmd.Root().Name())
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return commands.Ask(root, append(append([]string{p.use}, args...), start))
		},
	}
}

func keysCommand(*app.App) (*cobra.Command, error) {
	cmd := keys.Commands()
	cmd.Long = ""
	return cmd, nil
}

func cometCommand(*app.App) (*cobra.Command, error) {
	cmd := &cobra.Command{}
	cmd.AddCommand(server.StatusCommand())
	return cmd, nil
}

func txCommand(a *app.App) (*cobra.Command, error) {
	cmd := &cobra.Command{Use: "tx"}
	cmd.AddCommand(authcli.GetSignCommand(), authcli.GetSignBatchCommand(),
		authcli.GetMultiSignCommand(),
		authcli.GetValidateSignaturesCommand(), authcli.GetBroadcastCommand(),
		authcli.GetEncodeCommand(), authcli.GetDecodeCommand(), authcli.GetSimulateCmd())
	cmd.PersistentFlags().String(flags.FlagChainID, "", "")
	cmd.PersistentFlags().Duration(flagWait, waitTime, "how long to wait for the block that the "+
		"transaction is in; 0: not at all")
	return cmd, enhance(a, cmd)
}

func queryCommand(a *app.App) (*cobra.Command, error) {
	cmd := &cobra.Command{Use: "query"}
	cmd.AddCommand(server.QueryBlockCmd(), server.QueryBlocksCmd(), server.QueryBlockResultsCmd(),
		authcli.QueryTxCmd(), authcli.QueryTxsByEventsCmd(), rpc.WaitTxCmd())
	return cmd, enhance(a, cmd)
}

// enhance adds what the modules' services offer. It wants a root with both
// trees, so the one that is not asked for is a stub.
func enhance(a *app.App, cmd *cobra.Command) error {
	root := &cobra.Command{Use: app.Name}
	root.AddCommand(cmd)
	modules := a.Modules()
	if cmd.Name() == "query" {
		root.AddCommand(&cobra.Command{Use: "tx"})
		modules["comet"] = cmtservice.NewCometBFTCommands()
	} else {
		root.AddCommand(&cobra.Command{Use: "query"})
	}
	defer root.RemoveCommand(cmd)
	encoding := a.Encoding()
	return autocli.AppOptions{
		Modules:               modules,
		AddressCodec:          app.Addresses(),
		ValidatorAddressCodec: addresscodec.NewBech32Codec(app.Prefix + "valoper"),
		ConsensusAddressCodec: addresscodec.NewBech32Codec(app.Prefix + "valcons"),
		ClientCtx: client.Context{}.WithCodec(encoding.Codec).WithInterfaceRegistry(
			encoding.Registry),
	}.EnhanceRootCommand(root)
}
