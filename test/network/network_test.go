// SPDX-License-Identifier: Apache-2.0

// Package network tests whole networks: every node, host and worker is a process of its own, and a
// kill is SIGKILL. The test binary is also the executable of the children, and both programs where
// it is run by their names, so one link serves all.
package network

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/internal/pipe"
	"github.com/assaynet/assay/localnet"
	workercli "github.com/assaynet/assay/worker/cli"
)

func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	// a child of localnet: the first argument is a command, never a test flag
	child := len(os.Args) > 1 && os.Args[1][0] != '-'
	if name != "assay" && name != "assay-worker" && !child {
		os.Exit(m.Run())
	}
	pipe.Survive()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if name == "assay-worker" {
		program := workercli.Command{Name: name, Backends: device.Backends()}
		os.Exit(program.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// quick are windows of a few seconds and 32 samples.
func quick() *sprintv1.Params {
	p := sprint.LocalnetParams()
	p.Samples, p.Segments, p.SegmentBlocks = 32, 2, 10
	p.PrepareBlocks, p.ProofBlocks, p.ValidateBlocks, p.RevealBlocks,
		p.DisputeBlocks = 20, 20, 60, 20, 3
	p.EpochBlocks = 0 // the next one at once
	return &p
}

// long skips a test that is not for every change: the package has to end within ten minutes.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("ASSAY_LONG") == "" {
		t.Skip("ASSAY_LONG=1 runs it: make networks")
	}
}

// net is a running network under test.
type net struct {
	*localnet.Network
	t   testing.TB
	ctx context.Context
}

// start runs a network of every process for at most four minutes.
func start(t testing.TB, o localnet.Options) *net {
	t.Helper()
	return launch(t, o, 4*time.Minute, (*localnet.Network).Start)
}

// launch runs a network until the test ends, which it has to within the limit; its logs are printed
// if it fails.
func launch(t testing.TB, o localnet.Options, limit time.Duration,
	run func(*localnet.Network, context.Context) error) *net {
	t.Helper()
	if o.Home == "" {
		o.Home = filepath.Join(t.TempDir(), "net")
	}
	if o.Participants == 0 {
		o.Participants = 4
	}
	if o.Params == nil {
		o.Params = quick()
	}
	if o.Stream == nil {
		off := stream.DefaultParams()
		o.Stream = &off
	}
	if o.BlockTime == 0 {
		o.BlockTime = 250 * time.Millisecond
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit,
		fmt.Errorf("%s took more than %s", t.Name(), limit))
	t.Cleanup(cancel)
	n, err := localnet.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Stop()
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(n.Home, "p*", "*.log"))
			for _, path := range logs {
				t.Logf("%s:\n%s", path, localnet.Tail(path, 25))
			}
		}
	})
	if err := run(n, ctx); err != nil {
		t.Fatal(err)
	}
	return &net{n, t, ctx}
}

// until waits for a condition on the chain as member i sees it.
func (n *net) until(i int, what string,
	check func(now *sprintv1.QueryCurrentResponse) bool) *sprintv1.QueryCurrentResponse {
	n.t.Helper()
	q, err := n.Sprint(i)
	if err != nil {
		n.t.Fatal(err)
	}
	var now *sprintv1.QueryCurrentResponse
	err = localnet.Until(n.ctx, what, func() (bool, error) {
		if err := n.Check(); err != nil {
			n.t.Fatal(err)
		}
		res, err := q.Current(n.ctx, &sprintv1.QueryCurrentRequest{})
		if err != nil {
			return false, err
		}
		now = res
		return check(res), nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return now
}

// outcomes waits for an epoch to be final and returns its outcomes by address.
func (n *net) outcomes(epoch uint64) map[string]sprintv1.Outcome {
	n.t.Helper()
	n.until(0, fmt.Sprintf("the end of epoch %d", epoch),
		func(now *sprintv1.QueryCurrentResponse) bool {
			return now.Epoch.Number > epoch || now.Epoch.Number == epoch &&
				now.Epoch.FinalisedHeight > 0
		})
	q, err := n.Sprint(0)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := q.Outcomes(n.ctx, &sprintv1.QueryOutcomesRequest{Epoch: epoch})
	if err != nil {
		n.t.Fatal(err)
	}
	all := map[string]sprintv1.Outcome{}
	for _, o := range res.Outcomes {
		all[o.Participant] = o
	}
	return all
}

// credited demands that a member was credited in an epoch for exactly what it had committed.
func (n *net) credited(epoch uint64, i int) sprintv1.Outcome {
	n.t.Helper()
	o := n.outcomes(epoch)[n.Members[i].Address]
	if o.Result != sprintv1.ResultCredited || o.Credited == 0 {
		n.t.Errorf("epoch %d, %s: %v (%s), %d of %d units credited", epoch, n.Members[i].Name,
			o.Result, o.Reason, o.Credited, o.Count)
	}
	return o
}
