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
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cosmossdk.io/log/v2"
	logslog "cosmossdk.io/log/v2/slog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/logs"
	"github.com/assaynet/assay/poc/work"
)

// Commands are the chain's commands. fast finds the engine that a node judges leaves with before it
// asks the definition.
func Commands(fast func(context.Context) work.Engine) []*cobra.Command {
	all := []*cobra.Command{nodeCommand(fast), exportCommand(), rollbackCommand()}
	for _, p := range plants() {
		all = append(all, p.command())
	}
	return all
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
		Use: "node", Short: "Run a node: a validator, or one that follows the chain",
		Args: cobra.NoArgs,
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
				logger.Error("the engine cannot judge, plain Go does until the next epoch; run: "+
					"assay-worker doctor", "err", err)
			}
			return node.Run(cmd.Context(), node.Options{Home: dir, Engine: judge, Logger: logger})
		},
	}
	AddHome(cmd.Flags(), &dir)
	cmd.Flags().StringVar(&level, "log-level", "info",
		"log level: debug, info, warn, error or none")
	cmd.Flags().StringVar(&format, "log-format", logs.Text, logs.Formats)
	return cmd
}

func newLogger(cmd *cobra.Command, level, format string) (log.Logger, error) {
	if level == "none" {
		return log.NewNopLogger(), nil
	}
	logger, err := logs.New(cmd.ErrOrStderr(), level, format)
	if err != nil {
		return nil, err
	}
	return logslog.NewCustomLogger(logger), nil
}

func exportCommand() *cobra.Command {
	var dir, output string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the state of a stopped node as a genesis that goes on at " +
			"the next height", Args: cobra.NoArgs,
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
		Use: "rollback", Short: "Take the state of a stopped node back by one block, so that it " +
			"runs again", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			height, hash, err := node.Rollback(dir, hard, log.NewNopLogger())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the state stands at height %d with hash %X\n",
				height, hash)
			return nil
		},
	}
	AddHome(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&hard, "hard", false,
		"remove the block, too, and fetch it again from peers")
	return cmd
}
