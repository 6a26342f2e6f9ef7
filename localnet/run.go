// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/poc/audit"
)

// Command returns `assay localnet`.
func Command() *cobra.Command {
	o := Options{}
	epochs := uint64(0)
	cmd := &cobra.Command{
		Use:   "localnet",
		Short: "Run a whole network on this machine: chain, hosts, workers, and a cheat",
		Long: `Run a whole network on this machine, epoch after epoch until Ctrl-C: for each participant a validator, a host and
a worker, each a process of its own. The last participant cheats, so that you see it caught.

Everything lies in one folder, printed at the start; the same command with --home goes on from there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return Run(cmd.Context(), o, epochs, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Home, "home", "", "the network's folder; a new one below the temporary folder by default")
	f.IntVar(&o.Participants, "participants", 4, "how many take part, 1 to 16")
	f.StringVar(&o.Cheat, "cheat", adversary.Forge, "what the last participant does: "+strings.Join(adversary.Names(), ", ")+", or none")
	f.BoolVar(&o.Pool, "pool", false, "the first participant's host offers challenges to any machine, and pays for them")
	f.Uint64Var(&epochs, "epochs", 0, "end after this many finalised epochs; 0: go on until Ctrl-C")
	return cmd
}

// Run starts a network and gives an account of it until ctx ends or epochs are finalised.
func Run(ctx context.Context, o Options, epochs uint64, out io.Writer) (err error) {
	a := newAccount(out)
	begun := time.Now()
	a.progress("setup", "keys, genesis and configurations", begun)
	n, err := New(o)
	if err != nil {
		return err
	}
	defer n.Stop()
	a.line("assay localnet: %s on this machine%s", count(len(n.Members), "participant"), cheatText(n))
	a.line("  data    %s", n.Home)
	a.line("  resume  %s localnet --home %s", program(), n.Home)
	if err := n.Start(ctx); err != nil {
		return interrupted(ctx, a, n, err)
	}
	first := n.Members[0]
	a.line("  chain   %s   REST http://%s   RPC http://%s   gRPC %s", n.Chain, first.API, first.RPC, first.GRPC)
	a.line("  faucet  %s   key %q in the keyring of %s", n.Faucet, FaucetKey, first.Home)
	a.line("  join    %s init join --genesis %s --peers %s", program(), filepath.Join(first.Home, "config", "genesis.json"), first.Peer)
	if c, err := host.Load(first.Home); err != nil {
		return err
	} else if c.Pool != nil && c.Pool.Enabled { // a resumed network's too
		url, err := first.URL()
		if err != nil {
			return err
		}
		a.line("  pool    %s start --host '%s' --payout %s --home FOLDER", workerProgram(), url, n.Faucet)
	}
	a.line("  status  %s host status --home %s", program(), first.Home)
	a.line("")
	if err := n.account(ctx, a, epochs); err != nil {
		return interrupted(ctx, a, n, err)
	}
	a.line("done: %s in %s; data in %s", count(int(epochs), "epoch"), time.Since(begun).Round(time.Second), n.Home)
	return nil
}

// interrupted turns Ctrl-C into a clean end.
func interrupted(ctx context.Context, a *account, n *Network, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	a.line("stopping; go on with: %s localnet --home %s", program(), n.Home)
	return nil
}

// program is what a person types to run this program again.
func program() string {
	if exe, err := os.Executable(); err == nil && strings.Contains(exe, "go-build") {
		return "go run ./cmd/assay"
	}
	return os.Args[0]
}

// workerProgram is what a person types to run a machine's worker: the one beside this program, where there is one.
func workerProgram() string {
	if strings.HasPrefix(program(), "go run") {
		return "go run ./cmd/assay-worker"
	}
	dir, _ := filepath.Split(os.Args[0])
	if _, err := os.Stat(dir + "assay-worker"); dir == "" || err != nil {
		return "assay-worker"
	}
	return dir + "assay-worker"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func cheatText(n *Network) string {
	for _, m := range n.Members {
		if m.Cheat != adversary.None {
			return fmt.Sprintf(", %s cheats (%s)", m.Name, m.Cheat)
		}
	}
	return ", all honest"
}

// account follows the chain and prints what happens, until enough epochs are final.
func (n *Network) account(ctx context.Context, a *account, epochs uint64) error {
	q, err := n.Sprint(0)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	reported, finished, known := uint64(0), uint64(0), false
	lastSeen := time.Now()
	for {
		if err := n.Check(); err != nil {
			return err
		}
		now, err := q.Current(ctx, &sprintv1.QueryCurrentRequest{})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			a.progress("waiting", fmt.Sprintf("the chain does not answer for %s: %v", time.Since(lastSeen).Round(time.Second), err), time.Now())
		default:
			lastSeen = time.Now()
			if !known { // a resumed network reports from here on
				known, reported = true, now.Epoch.Number-min(now.Epoch.Number, 1)
			}
			for e := reported + 1; e < now.Epoch.Number || e == now.Epoch.Number && now.Epoch.Phase == sprintv1.PhaseFinalised; e++ {
				if err := n.report(ctx, a, q, e); err != nil {
					return err
				}
				reported = e
				finished++
			}
			if epochs > 0 && finished >= epochs {
				return nil
			}
			if now.Epoch.Number > 0 {
				if now.Epoch.Number != a.epoch {
					a.epoch = now.Epoch.Number
					a.line("epoch %d", a.epoch)
				}
				leaves, committed, opened, verdicts := n.counts(ctx, q, *now)
				a.progress(now.Epoch.Phase.Word(), describe(*now, leaves, committed, opened, verdicts), time.Now())
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// counts gathers figures for the running phase; what cannot be had is left at zero.
func (n *Network) counts(ctx context.Context, q sprintv1.QueryClient, now sprintv1.QueryCurrentResponse) (leaves uint64, committed, opened, verdicts int) {
	switch now.Epoch.Phase {
	case sprintv1.PhaseCompute, sprintv1.PhaseWrapUp:
		for _, m := range n.Members {
			if s, err := m.Status(ctx); err == nil && s.Epoch == now.Epoch.Number {
				for _, size := range s.Leaves {
					leaves += size
				}
			}
		}
		if res, err := q.Commits(ctx, &sprintv1.QueryCommitsRequest{Epoch: now.Epoch.Number}); err == nil {
			committed = len(res.Commits)
		}
	case sprintv1.PhaseProof:
		for _, m := range n.Members {
			if _, err := q.Opening(ctx, &sprintv1.QueryOpeningRequest{Epoch: now.Epoch.Number, Participant: m.Address}); err == nil {
				opened++
			}
		}
	case sprintv1.PhaseValidate:
		if res, err := q.Verdicts(ctx, &sprintv1.QueryVerdictsRequest{Epoch: now.Epoch.Number}); err == nil {
			for _, r := range res.Records {
				if len(r.Hash) > 0 {
					verdicts++
				}
			}
		}
	}
	return leaves, committed, opened, verdicts
}

// report prints an epoch's table and where the evidence lies.
func (n *Network) report(ctx context.Context, a *account, q sprintv1.QueryClient, number uint64) error {
	e, err := q.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: number})
	if err != nil {
		return fmt.Errorf("localnet: record of epoch %d: %w", number, err)
	}
	res, err := q.Outcomes(ctx, &sprintv1.QueryOutcomesRequest{Epoch: number})
	if err != nil {
		return fmt.Errorf("localnet: outcomes of epoch %d: %w", number, err)
	}
	order := map[string]int{}
	for i, m := range n.Members {
		order[m.Address] = i
	}
	sort.SliceStable(res.Outcomes, func(i, j int) bool { return order[res.Outcomes[i].Participant] < order[res.Outcomes[j].Participant] })
	a.table(e.Epoch, res.Outcomes, n.label)
	if number == 1 && !e.Epoch.Void {
		n200 := int(e.Epoch.Samples)
		a.line("  a share forged of 1 %% / 2 %% / 5 %% is rejected with %s / %s / %s (%d of many leaves drawn, 3 wrong ones reject)",
			chance(n200, 10), chance(n200, 20), chance(n200, 50), n200)
	}
	files, err := n.evidence(ctx, number)
	if err != nil {
		return err
	}
	for _, f := range files {
		trust, err := n.Trust(ctx, 0, f)
		if err != nil {
			return err
		}
		a.line("  evidence: %s verify %s %s", program(), strings.Join(trust, " "), f)
	}
	a.line("")
	return nil
}

// chance is the probability that a share of per mille forged leaves of a large log is rejected.
func chance(samples, perMille int) string {
	const total = 1_000_000
	q := audit.Detection(total, uint64(total/1000*perMille), samples, 3)
	tenths := uint64(q) / (1 << 54) * 1000 / 1024
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}

func (n *Network) label(participant, moniker string) string {
	for _, m := range n.Members {
		if m.Address == participant {
			if m.Cheat != adversary.None {
				return m.Name + " (" + m.Cheat + ")"
			}
			return m.Name
		}
	}
	return moniker
}

// evidence collects, once per epoch, one file for each participant that was proven wrong, or wrongly accused.
// Hosts write theirs when the epoch is final; give them a moment.
func (n *Network) evidence(ctx context.Context, epoch uint64) ([]string, error) {
	q, err := n.Court(0)
	if err != nil {
		return nil, err
	}
	contested, err := host.ContestedIn(ctx, q, epoch)
	if err != nil {
		return nil, fmt.Errorf("localnet: judgements of epoch %d: %w", epoch, err)
	}
	var files []string
	seen := map[string]bool{}
	for _, j := range contested {
		key := fmt.Sprint(j.Leaf.Participant, j.Mismatch)
		if seen[key] {
			continue
		}
		seen[key] = true
		path, err := n.awaitEvidence(ctx, host.EvidenceFile(epoch, j))
		if err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}

func (n *Network) awaitEvidence(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	found := ""
	err := Until(ctx, "evidence "+name, func() (bool, error) {
		for _, m := range n.Members {
			path := filepath.Join(m.Home, host.EvidenceName, name)
			if _, err := os.Stat(path); err == nil {
				found = path
				return true, nil
			}
		}
		return false, nil
	})
	return found, err
}
