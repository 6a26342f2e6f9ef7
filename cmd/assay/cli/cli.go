// SPDX-License-Identifier: Apache-2.0

// Package cli is the assay program's command line: the chain's commands, the host's, local
// networks, evidence. It is a package so that tests of whole networks can be their own executable;
// cmd/assay only calls Run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/adversary"
	chaincli "github.com/assaynet/assay/chain/cli"
	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host"
	hostcli "github.com/assaynet/assay/host/cli"
	"github.com/assaynet/assay/internal/commands"
	"github.com/assaynet/assay/localnet"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/verify"
	"github.com/assaynet/assay/verify/explain"
	workercli "github.com/assaynet/assay/worker/cli"
)

// Run executes one command line and returns the exit code: 0, 1 when it failed, or what the failure
// asks for, as `assay verify -h` and `assay node -h` say.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root, _ := newRoot(stderr)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if len(args) > 0 && args[0] == "worker" {
		fmt.Fprintln(stderr, "assay: a machine works with assay-worker, a program of its own: go "+
			"build ./cmd/assay-worker, then assay-worker --help")
		return 1
	}
	ran, err := root.ExecuteContextC(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(stderr, "assay: %v\n", commands.Explain(ran, err))
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// newRoot builds the program's commands, and names flags of which nobody said what completes them.
func newRoot(stderr io.Writer) (root *cobra.Command, unnamed []string) {
	root = &cobra.Command{
		Use:           "assay",
		Short:         "A proof-of-compute network: verified work becomes voting power",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	// Nodes and hosts judge with the fast engine, and what it disputes the definition decides
	// (work.Judge). Evidence that a person checks is checked by the definition.
	fast := func(ctx context.Context) work.Engine { return bestEngine(ctx, stderr) }
	local := localnet.Command()
	local.AddCommand(workerCommand())
	root.AddCommand(local, initCommand(), hostcli.New(fast, cheatHost),
		verify.New(work.Reference()), explain.New(), versionCommand(), manualCommand())
	root.AddCommand(chaincli.Commands(fast)...)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	unnamed = commands.Complete(root, completions())
	commands.Strict(root)
	return root, unnamed
}

// bestEngine is the processor's fast engine. Where it fails its self-test the reference computes,
// and stderr says so.
func bestEngine(ctx context.Context, stderr io.Writer) work.Engine {
	engine, err := cpu.New(ctx)
	if err != nil {
		fmt.Fprintf(stderr, "assay: %v\n", err)
	}
	return engine
}

// cheatHost bends a host as --cheat asks; honest by default.
func cheatHost(cheat string) (*host.Tamper, error) {
	switch cheat {
	case adversary.None:
		return nil, nil
	case adversary.Forge, adversary.Skip, adversary.Reuse: // its worker does it, and it looks away
		return &host.Tamper{Blind: true}, nil
	case adversary.Withhold:
		return &host.Tamper{Open: adversary.WithholdOpening}, nil
	case adversary.Vote:
		return &host.Tamper{Verdict: adversary.VoteFail}, nil
	}
	return nil, fmt.Errorf("--cheat %q: choose %s or %s", cheat,
		strings.Join(adversary.Names(), ", "), adversary.None)
}

// exitCode ends the program with a code after the message was printed.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// workerCommand offers the worker's own command line to a local network, which then needs one
// executable. It stays out of the help: a machine runs assay-worker, which is small.
func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			command := workercli.Command{Name: "assay-worker", Backends: device.Backends()}
			if len(args) >= 2 && args[0] == "--cheat" {
				var err error
				if command.Engine, err = cheatWorker(bestEngine(cmd.Context(), cmd.ErrOrStderr()),
					args[1]); err != nil {
					return err
				}
				args = args[2:]
			}
			if code := command.Run(cmd.Context(), args, cmd.InOrStdin(), cmd.OutOrStdout(),
				cmd.ErrOrStderr()); code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
}

// cheatWorker reads what localnet passes: cheat:chain:participant:node:victim:its node.
func cheatWorker(honest work.Engine, spec string) (work.Engine, error) {
	f := strings.Split(spec, ":")
	if len(f) != 6 {
		return nil, fmt.Errorf("--cheat %q: want cheat:chain:participant:node:victim:node", spec)
	}
	if err := adversary.Valid(f[0]); err != nil {
		return nil, err
	}
	return adversary.Engine(honest, f[0], adversary.Who{Chain: f[1], Participant: f[2], Node: f[3]},
		adversary.Who{Chain: f[1], Participant: f[4], Node: f[5]}), nil
}
