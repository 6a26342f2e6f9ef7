// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/adversary"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/localnet/crew"
	"github.com/assaynet/assay/poc/audit"
)

// Command returns `assay localnet`.
func Command() *cobra.Command {
	o, home, restart := Options{}, "", ""
	epochs := uint64(0)
	cmd := &cobra.Command{
		Use:   "localnet",
		Short: "Run a whole network on this machine: chain, hosts, workers, and a cheat",
		Long: `Run a whole network on this machine, epoch after epoch until Ctrl-C: for each participant a validator, a host and
a worker, each a process of its own. The last participant cheats, so that you see it caught.

Everything lies in one folder, printed at the start; the same command with --home goes on from there.

A process that ends is said and started again after 5 s, after a minute at most if it ends again and again. To see what
others do without it, from another terminal: assay localnet kill p2 node, and assay localnet heal.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if restart != "yes" && restart != "no" {
				return fmt.Errorf("localnet: --restart %q: choose yes or no", restart)
			}
			o.Home, o.Stay = home, restart == "no"
			for _, flag := range []string{"participants", "cheat", "pool"} {
				if cmd.Flags().Changed(flag) {
					o.Asked = append(o.Asked, flag)
				}
			}
			return Run(cmd.Context(), o, epochs, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	cmd.PersistentFlags().StringVar(&home, "home", "", "the network's folder; a new one below "+
		"the temporary folder by default")
	f.IntVar(&o.Participants, "participants", 4, "how many take part, 1 to 16")
	f.StringVar(&o.Cheat, "cheat", adversary.Forge,
		"what the last participant does: "+strings.Join(adversary.Names(), ", ")+", or none")
	f.BoolVar(&o.Pool, "pool", false, "the first participant's host offers challenges to any "+
		"machine, and pays for them")
	f.Uint64Var(&epochs, "epochs", 0, "end after this many finalised epochs; 0: go on until Ctrl-C")
	f.StringVar(&restart, "restart", "yes", "start processes again that end by themselves: yes "+
		"or no")
	cmd.AddCommand(
		order(&home, "kill", "WHO [PROCESS]", "Kill a process of the running network, or all of "+
			"a participant; it stays down until heal", 1),
		order(&home, "heal", "[WHO [PROCESS]]", "Start what is down in the running network: all "+
			"of it, or one participant or process", 0))
	return cmd
}

// order is a command that has the network which runs do something.
func order(home *string, do, args, short string, least int) *cobra.Command {
	return &cobra.Command{
		Use: do + " " + args, Short: short, Args: cobra.RangeArgs(least, 2),
		ValidArgsFunction: words(home),
		Long: short + ".\n\nWHO is p1, p2, ...; PROCESS is node, host or worker. Without --home " +
			"it is the network that runs in the temporary folder.",
		RunE: func(cmd *cobra.Command, args []string) error {
			where, err := running(cmd.Context(), *home)
			if err != nil {
				return err
			}
			lines, err := crew.Ask(cmd.Context(), where, do, args)
			for _, line := range lines {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return err
		},
	}
}

// running is the folder of the network that a command is about.
func running(ctx context.Context, home string) (string, error) {
	if home != "" {
		return filepath.Abs(home)
	}
	homes := crew.Running(ctx, os.TempDir(), tempPrefix)
	switch len(homes) {
	case 0:
		return "", fmt.Errorf("localnet: %w in the temporary folder: name the network's folder "+
			"with --home", crew.ErrNotRunning)
	case 1:
		return homes[0], nil
	}
	return "", fmt.Errorf("localnet: %d networks run: name one's folder with --home: %s",
		len(homes), strings.Join(homes, ", "))
}

// Run starts a network and gives an account of it until ctx ends, epochs are finalised or no
// process is left.
func Run(ctx context.Context, o Options, epochs uint64, out io.Writer) (err error) {
	a := newAccount(out)
	begun := time.Now()
	a.progress("setup", "keys, genesis and configurations", begun)
	n, err := New(o)
	if err != nil {
		a.clear()
		return err
	}
	defer n.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // no command starts anything while the network stops
	a.line("%s", a.strong(fmt.Sprintf("assay localnet: %s on this machine%s",
		count(len(n.Members), "participant"), cheatText(n))))
	for _, note := range notes(len(n.Members), o) {
		a.line("  note    %s", note)
	}
	a.line("  data    %s", n.Home)
	a.line("  resume  %s localnet --home %s", program(), n.Home)
	if err := n.begin(ctx, a); err != nil {
		return interrupted(ctx, a, n, err)
	}
	if err := n.introduce(a); err != nil {
		return err
	}
	if err := n.account(ctx, a, epochs); err != nil {
		return interrupted(ctx, a, n, err)
	}
	a.line("done: %s in %s; data in %s", count(int(epochs), "epoch"),
		time.Since(begun).Round(time.Second), n.Home)
	return nil
}

// introduce prints where the network can be reached.
func (n *Network) introduce(a *account) error {
	first := n.Members[0]
	a.line("  chain   %s", n.Chain)
	a.line("  reach   REST http://%s  RPC http://%s  gRPC %s", first.API, first.RPC, first.GRPC)
	a.line("  faucet  %s, key %q in the keyring of %s", n.Faucet, FaucetKey, first.Home)
	a.line("  join    %s init join --genesis %s --peers %s", program(),
		filepath.Join(first.Home, "config", "genesis.json"), first.Peer)
	if pool, err := n.pools(); err != nil {
		return err
	} else if pool { // a resumed network's too
		url, err := first.URL()
		if err != nil {
			return err
		}
		a.line("  pool    %s start --host '%s' --payout %s --home FOLDER",
			workerProgram(), url, n.Faucet)
	}
	a.line("  status  %s host status --home %s", program(), first.Home)
	a.line("  kill    %s localnet kill --home %s %s node; heal starts it again", program(), n.Home,
		n.Members[len(n.Members)-1].Name)
	a.line("")
	return nil
}

// notes say what of the wishes a network of this size cannot show.
func notes(members int, o Options) (list []string) {
	switch {
	case members == 1 && slices.Contains(o.Asked, "cheat") && o.Cheat != adversary.None:
		list = append(list, fmt.Sprintf("--cheat %s with 1 participant: the only one is honest; "+
			"take 2 or more", o.Cheat))
	case members > 1 && members < spare:
		list = append(list, fmt.Sprintf("with %d participants the chain may stand still while "+
			"one node is down; with %d it goes on", members, spare))
	}
	return list
}

// spare is how many equal validators there have to be so that one can be down.
const spare = 4

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

// workerProgram is what a person types to run a machine's worker: the one beside this program,
// where there is one.
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

// counts gathers figures for the running phase; what cannot be had is left at zero.
func (n *Network) counts(ctx context.Context, q sprintv1.QueryClient,
	now sprintv1.QueryCurrentResponse) (leaves uint64, committed, opened, verdicts int) {
	switch now.Epoch.Phase {
	case sprintv1.PhaseCompute, sprintv1.PhaseWrapUp:
		for _, m := range n.Members {
			if s, err := m.Status(ctx); err == nil && s.Epoch == now.Epoch.Number {
				for _, size := range s.Leaves {
					leaves += size
				}
			}
		}
		if res, err := q.Commits(ctx,
			&sprintv1.QueryCommitsRequest{Epoch: now.Epoch.Number}); err == nil {
			committed = len(res.Commits)
		}
	case sprintv1.PhaseProof:
		opened = n.opened(ctx, q, now.Epoch.Number)
	case sprintv1.PhaseValidate:
		if res, err := q.Verdicts(ctx,
			&sprintv1.QueryVerdictsRequest{Epoch: now.Epoch.Number}); err == nil {
			verdicts = hashed(res.Records)
		}
	}
	return leaves, committed, opened, verdicts
}

// opened counts the participants that opened their drawn leaves.
func (n *Network) opened(ctx context.Context, q sprintv1.QueryClient, epoch uint64) (count int) {
	for _, m := range n.Members {
		if _, err := q.Opening(ctx,
			&sprintv1.QueryOpeningRequest{Epoch: epoch, Participant: m.Address}); err == nil {
			count++
		}
	}
	return count
}

// hashed counts the members that committed to a verdict.
func hashed(records []sprintv1.VerdictRecord) (count int) {
	for _, r := range records {
		if len(r.Hash) > 0 {
			count++
		}
	}
	return count
}

// report prints an epoch's table and where the evidence lies, as member i's node has it. After an
// error nothing is printed.
func (n *Network) report(ctx context.Context, a *account, i int, number uint64) error {
	q, err := n.Sprint(i)
	if err != nil {
		return err
	}
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
	sort.SliceStable(res.Outcomes, func(i, j int) bool {
		return order[res.Outcomes[i].Participant] < order[res.Outcomes[j].Participant]
	})
	a.table(e.Epoch, res.Outcomes, n.label)
	if e.Epoch.Streams > 0 {
		if err := n.streams(ctx, a, q, e.Epoch); err != nil {
			return err
		}
	}
	if number == 1 && !e.Epoch.Void {
		drawn := int(e.Epoch.Samples)
		a.line("  a share forged of 1 %% / 2 %% / 5 %% is rejected with %s / %s / %s",
			chance(drawn, 10), chance(drawn, 20), chance(drawn, 50))
		a.line("  (%d of many leaves drawn, 3 wrong ones reject)", drawn)
	}
	files, err := n.evidence(ctx, a, i, number)
	if err != nil && ctx.Err() == nil {
		a.line("  evidence: %v", err)
	}
	for _, f := range files {
		trust, err := n.Trust(ctx, i, f)
		if err != nil {
			trust = []string{"--node", n.Members[i].GRPC}
		}
		a.line("  evidence: %s verify %s %s", program(), strings.Join(trust, " "), f)
	}
	a.line("")
	return nil
}

// streams prints what the streams of the epoch before added to the weights.
func (n *Network) streams(ctx context.Context, a *account, q sprintv1.QueryClient,
	e sprintv1.Epoch) error {
	res, err := q.Outcomes(ctx, &sprintv1.QueryOutcomesRequest{Epoch: e.Number, Stream: true})
	if err != nil {
		return fmt.Errorf("localnet: streams that epoch %d judged: %w", e.Number, err)
	}
	sort.SliceStable(res.Outcomes, func(i, j int) bool {
		return res.Outcomes[i].Moniker < res.Outcomes[j].Moniker
	})
	for _, o := range res.Outcomes {
		a.wrapped("  ", fmt.Sprintf("%s between Sprints: %s leaves, %d of %d drawn ones "+
			"wrong, %s; %s of its weight", n.label(o.Participant, o.Moniker), thousands(o.Count),
			o.Mismatches, o.Samples, ResultName(o.Result), thousands(o.WeightAfter)))
	}
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

// evidence collects, once per epoch, one file for each participant that was proven wrong, or
// wrongly accused. Hosts write theirs when the epoch is final; give them a moment.
func (n *Network) evidence(ctx context.Context, a *account, i int, epoch uint64) ([]string, error) {
	conn, err := n.Conn(i)
	if err != nil {
		return nil, err
	}
	q := courtv1.NewQueryClient(conn)
	contested, err := client.ContestedIn(ctx, q, epoch)
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
		name := sprint.EvidenceFile(epoch, j)
		path, err := n.awaitEvidence(ctx, a, name)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		} else if err != nil { // whose host is down
			a.line("  %s is not written yet: look in the participants' folders for %s",
				name, host.EvidenceName)
			continue
		}
		files = append(files, path)
	}
	return files, nil
}

func (n *Network) awaitEvidence(ctx context.Context, a *account, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	found := ""
	err := Until(ctx, "evidence "+name, func() (bool, error) {
		if err := n.tend(a); err != nil {
			return true, err
		}
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
