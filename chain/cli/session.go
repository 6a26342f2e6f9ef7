// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/accounts"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
)

// adjustment is what gas auto multiplies the simulation's by.
const adjustment = "1.5"

// session is one run of a tree.
type session struct {
	tree     string // its name
	encoding app.Encoding
	home     string
	node     string // where the command asks
	ring     *accounts.Ring
	out      sink
	human    bool // the answer is for a person
}

// run executes a command line of the tree with the streams of cmd.
func (s *session) run(root, cmd *cobra.Command, args []string) error {
	if s.tree == "tx" {
		var err error
		if args, err = amounts(args); err != nil {
			return err
		}
	}
	s.out.w = cmd.OutOrStdout()
	root.SetIn(cmd.InOrStdin())
	root.SetOut(&s.out)
	root.SetErr(cmd.ErrOrStderr())
	root.SetArgs(append([]string{s.tree}, args...))
	ran, err := root.ExecuteContextC(cmd.Context())
	if err == nil {
		err = s.finish(ran)
	}
	return errors.Join(s.explain(ran, err), s.out.flush())
}

// prepare fills in what the command line leaves open and gives the SDK's command
// the context it looks for.
func (s *session) prepare(cmd *cobra.Command) error {
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
	for _, choice := range []struct{ flag, value string }{{flags.FlagNode, nodeOf(s.home)},
		{flags.FlagChainID, chainOf(s.home)}} {
		if f := cmd.Flags().Lookup(choice.flag); f != nil && !f.Changed && choice.value != "" {
			if err := cmd.Flags().Set(choice.flag, choice.value); err != nil {
				return fmt.Errorf("--%s %s: %w", choice.flag, choice.value, err)
			}
		}
	}
	if f := cmd.Flags().Lookup(flags.FlagNode); f != nil {
		s.node = f.Value.String()
	}
	if err := errors.Join(pay(cmd, s.home), s.show(cmd)); err != nil {
		return err
	}
	clientCtx := client.Context{}.
		WithCodec(s.encoding.Codec).WithInterfaceRegistry(s.encoding.Registry).WithTxConfig(
		s.encoding.TxConfig).WithLegacyAmino(s.encoding.Amino).
		WithAccountRetriever(authtypes.AccountRetriever{}).WithBroadcastMode(flags.BroadcastSync).
		WithInput(cmd.InOrStdin()).WithOutput(cmd.OutOrStdout()).WithCmdContext(cmd.Context()).
		WithHomeDir(s.home).WithKeyringDir(filepath.Join(s.home, home.Keyring)).WithViper(app.Name)
	if err := s.open(cmd); err != nil {
		return err
	}
	if s.ring != nil {
		clientCtx = clientCtx.WithKeyring(s.ring)
	}
	if clientCtx, err = s.connect(cmd, clientCtx); err != nil {
		return err
	}
	cmd.SetContext(context.WithValue(cmd.Context(), client.ClientContextKey, &client.Context{}))
	return client.SetCmdClientContextHandler(clientCtx, cmd)
}

// open opens the home's keyring for a command that has one. A query in a home without accounts gets
// an empty one; a folder that --keyring-dir names is left to the SDK.
func (s *session) open(cmd *cobra.Command) error {
	f, dir := cmd.Flags().Lookup(flags.FlagKeyringBackend), cmd.Flags().Lookup(flags.FlagKeyringDir)
	if f == nil || dir != nil && dir.Changed {
		return nil
	}
	wish := ""
	if f.Changed {
		wish = f.Value.String()
	}
	if s.tree == "query" && wish == "" && accounts.Backend(s.home) == "" {
		return cmd.Flags().Set(flags.FlagKeyringBackend, keyring.BackendMemory)
	}
	backend, err := accounts.Choose(s.home, wish)
	if err != nil {
		return err
	}
	f.Changed = false // or the SDK would open it once more, by itself
	s.ring, err = accounts.Open(s.home, backend, cmd.InOrStdin(), s.encoding.Codec)
	return err
}

// pay fills in gas and price of a transaction that says nothing about them: what a simulation uses,
// half as much again, at the price that the home's own node takes. Only what a participant owes the
// chain is free.
func pay(cmd *cobra.Command, dir string) error {
	given := func(name string) bool {
		f := cmd.Flags().Lookup(name)
		return f == nil || f.Changed
	}
	if offline := cmd.Flags().Lookup(flags.FlagOffline); offline != nil &&
		offline.Value.String() == "true" {
		return nil
	}
	if !given(flags.FlagGas) {
		if err := cmd.Flags().Set(flags.FlagGas, flags.GasFlagAuto); err != nil {
			return err
		}
		if !given(flags.FlagGasAdjustment) {
			if err := cmd.Flags().Set(flags.FlagGasAdjustment, adjustment); err != nil {
				return err
			}
		}
	}
	if given(flags.FlagFees) || given(flags.FlagGasPrices) {
		return nil
	}
	return cmd.Flags().Set(flags.FlagGasPrices, priceOf(dir))
}

// priceOf is the least gas price that a home's node takes from others; where that is nothing, 1
// acpc, since what pays nothing is not taken.
func priceOf(dir string) string {
	least := "1" + app.Denom
	config, err := home.Load(dir)
	if err != nil {
		return least
	}
	if prices, err := sdk.ParseDecCoins(config.App.MinGasPrices); err == nil &&
		prices.AmountOf(app.Denom).IsPositive() {
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
