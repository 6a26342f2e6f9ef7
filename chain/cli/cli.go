// SPDX-License-Identifier: Apache-2.0

// Package cli is the chain's part of the assay program: running a node, its
// state (export, rollback), and the SDK's commands for keys, transactions and
// queries, most of which are made from the modules' services.
//
// Every command works on a home folder (--home, ASSAY_HOME), which also tells it
// the chain id, the node to ask and the keyring. What stands on the command line
// goes first, then ASSAY_<FLAG> in the environment, then the folder.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/log/v2"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/client/rpc"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"github.com/cosmos/cosmos-sdk/server"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/work"
)

// Commands are the chain's commands. fast finds the engine that a node judges leaves with before it asks the definition.
func Commands(fast func(context.Context) work.Engine) []*cobra.Command {
	return []*cobra.Command{
		nodeCommand(fast), exportCommand(), rollbackCommand(),
		later("keys", "Manage the accounts of a home's keyring", keysCommand),
		later("tx", "Make, sign and send transactions", txCommand),
		later("query", "Ask a node about the chain", queryCommand, "q"),
		later("comet", "Ask a node about itself: its status, height and peers", cometCommand),
	}
}

// DefaultHome is the folder that commands work on when none is named.
func DefaultHome() string {
	if dir := os.Getenv("ASSAY_HOME"); dir != "" {
		return dir
	}
	if user, err := os.UserHomeDir(); err == nil {
		return filepath.Join(user, ".assay")
	}
	return ".assay"
}

// AddHome adds the flag that names the folder.
func AddHome(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, flags.FlagHome, DefaultHome(), "the participant's or node's folder")
}

func nodeCommand(fast func(context.Context) work.Engine) *cobra.Command {
	var dir, level, format string
	cmd := &cobra.Command{
		Use: "node", Short: "Run a node: a validator, or one that follows the chain", Args: cobra.NoArgs,
		Long: `Run a node of the chain from a home folder, as made by assay init participant and assay init join, until it is
told to stop. It validates when its keys are registered and its participant has voting power, and follows otherwise.
Ports, peers and everything else stand in config/config.toml and config/app.toml of the folder.

A node that cannot go on ends by itself and says why, and what to do. Its exit codes:
` + strings.TrimSuffix(node.Codes(), "\n"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := newLogger(cmd, level, format)
			if err != nil {
				return err
			}
			judge := work.NewJudge(fast(cmd.Context()))
			judge.Failed = func(err error) {
				logger.Error("the engine cannot judge, plain Go does until the next epoch; run: assay-worker doctor", "err", err)
			}
			return node.Run(cmd.Context(), node.Options{Home: dir, Engine: judge, Logger: logger})
		},
	}
	AddHome(cmd.Flags(), &dir)
	cmd.Flags().StringVar(&level, "log-level", "info", "log level: debug, info, warn, error or none")
	cmd.Flags().StringVar(&format, "log-format", "text", "text or json")
	return cmd
}

func newLogger(cmd *cobra.Command, level, format string) (log.Logger, error) {
	if level == "none" {
		return log.NewNopLogger(), nil
	}
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--log-level %q: choose debug, info, warn, error or none", level)
	}
	// Colours are for people, not for files.
	terminal := false
	if f, ok := cmd.ErrOrStderr().(*os.File); ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	options := []log.Option{log.LevelOption(parsed), log.ColorOption(terminal)}
	switch format {
	case "text":
	case "json":
		options = append(options, log.OutputJSONOption())
	default:
		return nil, fmt.Errorf("--log-format %q: choose text or json", format)
	}
	return log.NewLogger(cmd.ErrOrStderr(), options...), nil
}

func exportCommand() *cobra.Command {
	var dir, output string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the state of a stopped node as a genesis that goes on at the next height", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := node.Export(dir, log.NewNopLogger())
			if err != nil {
				return err
			}
			text, err := genesis.Encode(g)
			if err != nil {
				return err
			}
			if output == "" {
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			return durable.WriteFile(output, text, 0o644)
		},
	}
	AddHome(cmd.Flags(), &dir)
	cmd.Flags().StringVar(&output, "output", "", "file to write; standard output by default")
	return cmd
}

func rollbackCommand() *cobra.Command {
	var dir string
	var hard bool
	cmd := &cobra.Command{
		Use: "rollback", Short: "Take the state of a stopped node back by one block, so that it runs again", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			height, hash, err := node.Rollback(dir, hard, log.NewNopLogger())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the state stands at height %d with hash %X\n", height, hash)
			return nil
		},
	}
	AddHome(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&hard, "hard", false, "remove the block, too, and fetch it again from peers")
	return cmd
}

// later is a command whose tree is built when it runs: it takes an app and a
// description of all services, which no other command should have to wait for.
func later(use, short string, build func(*app.App) (*cobra.Command, error), aliases ...string) *cobra.Command {
	return &cobra.Command{
		Use: use, Aliases: aliases, Short: short, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			bare, err := app.Bare()
			if err != nil {
				return err
			}
			tree, err := build(bare)
			if err != nil {
				return err
			}
			var dir string
			AddHome(tree.PersistentFlags(), &dir)
			tree.Use, tree.Short = use, short
			tree.SilenceUsage, tree.SilenceErrors = true, true
			tree.PersistentPreRunE = func(sub *cobra.Command, _ []string) error { return prepare(sub, bare.Encoding(), dir) }
			// The tree's help has to show the program's name before its own.
			root := &cobra.Command{Use: cmd.Root().Name(), SilenceUsage: true, SilenceErrors: true}
			root.AddCommand(tree)
			root.SetIn(cmd.InOrStdin())
			root.SetOut(cmd.OutOrStdout())
			root.SetErr(cmd.ErrOrStderr())
			root.SetArgs(append([]string{use}, args...))
			return root.ExecuteContext(cmd.Context())
		},
	}
}

func keysCommand(*app.App) (*cobra.Command, error) { return keys.Commands(), nil }

func cometCommand(*app.App) (*cobra.Command, error) {
	cmd := &cobra.Command{}
	cmd.AddCommand(server.StatusCommand())
	return cmd, nil
}

func txCommand(a *app.App) (*cobra.Command, error) {
	cmd := &cobra.Command{Use: "tx"}
	cmd.AddCommand(authcli.GetSignCommand(), authcli.GetSignBatchCommand(), authcli.GetMultiSignCommand(),
		authcli.GetValidateSignaturesCommand(), authcli.GetBroadcastCommand(),
		authcli.GetEncodeCommand(), authcli.GetDecodeCommand(), authcli.GetSimulateCmd())
	cmd.PersistentFlags().String(flags.FlagChainID, "", "the chain's id; that of the folder's genesis by default")
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
		ClientCtx:             client.Context{}.WithCodec(encoding.Codec).WithInterfaceRegistry(encoding.Registry),
	}.EnhanceRootCommand(root)
}

// prepare fills in what the command line leaves open and gives the SDK's command
// the context it looks for.
func prepare(cmd *cobra.Command, encoding app.Encoding, dir string) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, set := os.LookupEnv("ASSAY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")))
		if set && !f.Changed && f.Name != flags.FlagHome && err == nil {
			err = cmd.Flags().Set(f.Name, value)
		}
	})
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	rings := filepath.Join(dir, home.Keyring)
	for _, choice := range []struct{ flag, value string }{
		{flags.FlagNode, nodeOf(dir)},
		{flags.FlagChainID, chainOf(dir)},
		{flags.FlagKeyringBackend, backendOf(rings, cmd)},
	} {
		if f := cmd.Flags().Lookup(choice.flag); f != nil && !f.Changed && choice.value != "" {
			if err := cmd.Flags().Set(choice.flag, choice.value); err != nil {
				return fmt.Errorf("--%s %s: %w", choice.flag, choice.value, err)
			}
		}
	}
	if err := pay(cmd, dir); err != nil {
		return err
	}
	clientCtx := client.Context{}.
		WithCodec(encoding.Codec).WithInterfaceRegistry(encoding.Registry).WithTxConfig(encoding.TxConfig).WithLegacyAmino(encoding.Amino).
		WithAccountRetriever(authtypes.AccountRetriever{}).WithBroadcastMode(flags.BroadcastSync).
		WithInput(cmd.InOrStdin()).WithOutput(cmd.OutOrStdout()).WithCmdContext(cmd.Context()).
		WithHomeDir(dir).WithKeyringDir(rings).WithViper(app.Name)
	cmd.SetContext(context.WithValue(cmd.Context(), client.ClientContextKey, &client.Context{}))
	return client.SetCmdClientContextHandler(clientCtx, cmd)
}

// pay fills in gas and price of a transaction that says nothing about them: what a simulation uses, half as much again,
// at the price that the home's own node takes. Only what a participant owes the chain is free.
func pay(cmd *cobra.Command, dir string) error {
	given := func(name string) bool {
		f := cmd.Flags().Lookup(name)
		return f == nil || f.Changed
	}
	if offline := cmd.Flags().Lookup(flags.FlagOffline); offline != nil && offline.Value.String() == "true" {
		return nil
	}
	if !given(flags.FlagGas) {
		if err := errors.Join(cmd.Flags().Set(flags.FlagGas, flags.GasFlagAuto), cmd.Flags().Set(flags.FlagGasAdjustment, "1.5")); err != nil {
			return err
		}
	}
	if given(flags.FlagFees) || given(flags.FlagGasPrices) {
		return nil
	}
	return cmd.Flags().Set(flags.FlagGasPrices, priceOf(dir))
}

// priceOf is the least gas price that a home's node takes from others; where that is nothing, 1 acpc, since what pays
// nothing is not taken.
func priceOf(dir string) string {
	least := "1" + app.Denom
	config, err := home.Load(dir)
	if err != nil {
		return least
	}
	if prices, err := sdk.ParseDecCoins(config.App.MinGasPrices); err == nil && prices.AmountOf(app.Denom).IsPositive() {
		return config.App.MinGasPrices
	}
	return least
}

// nodeOf is the RPC address of a home's own node; empty without one.
func nodeOf(dir string) string {
	config, err := home.Load(dir)
	if err != nil {
		return ""
	}
	return config.Comet.RPC.ListenAddress
}

// chainOf is the chain id of a home's genesis; empty without one.
func chainOf(dir string) string {
	text, err := os.Open(filepath.Join(dir, home.Genesis))
	if err != nil {
		return ""
	}
	defer text.Close()
	chain, err := genutiltypes.ParseChainIDFromGenesis(text)
	if err != nil {
		return ""
	}
	return chain
}

// backendOf is the keyring that a home has. A query that finds none gets one in
// memory rather than open the operating system's.
func backendOf(rings string, cmd *cobra.Command) string {
	for _, backend := range []string{keyring.BackendTest, keyring.BackendFile} {
		if info, err := os.Stat(filepath.Join(rings, "keyring-"+backend)); err == nil && info.IsDir() {
			return backend
		}
	}
	if strings.HasPrefix(cmd.CommandPath(), app.Name+" query") {
		return keyring.BackendMemory
	}
	return ""
}
