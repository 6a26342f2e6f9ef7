// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	cmtservice "github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/localnet"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// acknowledged is what a member's host has on disk for a segment, as its status says: every leaf of
// it was acknowledged to the worker, or is about to be.
func (n *net) acknowledged(i int, epoch uint64) uint64 {
	n.t.Helper()
	s, err := n.Members[i].Status(n.ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	if s.Epoch != epoch {
		return 0
	}
	return s.Leaves[localnet.NodeID]
}

func (n *net) kill(i int, role localnet.Role) { n.t.Helper(); n.Kill(i, role) }

func (n *net) restart(i int, role localnet.Role) {
	n.t.Helper()
	if err := n.StartProcess(i, role); err != nil {
		n.t.Fatal(err)
	}
}

// committed returns what a member's commits of an epoch count, by segment.
func (n *net) committed(i int, epoch uint64) map[uint32]uint64 {
	n.t.Helper()
	q, err := n.Sprint(0)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := q.Commits(n.ctx, &sprintv1.QueryCommitsRequest{Epoch: epoch,
		Participant: n.Members[i].Address})
	if err != nil {
		n.t.Fatal(err)
	}
	counts := map[uint32]uint64{}
	for _, c := range res.Commits {
		counts[c.Segment] = c.Count
	}
	return counts
}

// Killed processes of an honest network, one after the other: each costs at most its owner's time.
func TestKilledProcessesComeBack(t *testing.T) {
	n := start(t, localnet.Options{Cheat: adversary.None})
	segment := func(epoch uint64, s uint32) {
		n.until(0, fmt.Sprintf("segment %d of epoch %d", s, epoch),
			func(now *sprintv1.QueryCurrentResponse) bool {
				return now.Epoch.Number > epoch || now.Epoch.Number == epoch &&
					len(now.Epoch.Segments) >= int(s) &&
					now.Height >= now.Epoch.Segments[s-1].Start+2
			})
	}

	// epoch 1: a host within a segment, a worker within the next
	segment(1, 1)
	if err := localnet.Until(n.ctx, "acknowledged leaves", func() (bool,
		error) {
		return n.acknowledged(1, 1) > 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	before := n.acknowledged(1, 1)
	n.kill(1, localnet.Host)
	n.restart(1, localnet.Host)
	segment(1, 2)
	n.kill(2, localnet.Worker)
	n.restart(2, localnet.Worker)
	for i := range 4 {
		n.credited(1, i)
	}
	if got := n.committed(1, 1)[1]; got < before {
		t.Errorf("%d leaves were acknowledged before the host was killed, %d were committed "+
			"after its return", before, got)
	}
	if got := n.committed(2, 1)[2]; got == 0 {
		t.Error("the replaced worker's segment was not committed")
	}

	// epoch 2: a validator for the rest of an epoch; three of four go on, it catches up. On a busy
	// machine one of them may have computed so much more that it holds a third of the power,
	// without which no chain goes on: not that one.
	weakest, powers := 1, n.outcomes(1)
	for i := 2; i < 4; i++ { // the first is asked what happens
		if powers[n.Members[i].Address].PowerAfter < powers[n.Members[weakest].Address].PowerAfter {
			weakest = i
		}
	}
	segment(2, 1)
	n.kill(weakest, localnet.Node)
	down := n.until(0, "six blocks without the validator", heightPassed(n, 6))
	n.restart(weakest, localnet.Node)
	n.until(weakest, "the validator to catch up",
		func(now *sprintv1.QueryCurrentResponse) bool { return now.Height >= down.Height+2 })
	for i := range 4 {
		if i != weakest {
			n.credited(2, i)
		}
	}

	// epoch 3: a host across the end of a segment: nothing on disk is lost, and that segment counts
	// nothing
	segment(3, 1)
	if err := localnet.Until(n.ctx, "acknowledged leaves", func() (bool,
		error) {
		return n.acknowledged(1, 3) > 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	onDisk := n.acknowledged(1, 3)
	n.kill(1, localnet.Host)
	n.until(0, "the end of the segment's commits", func(now *sprintv1.QueryCurrentResponse) bool {
		return now.Height > now.Epoch.Segments[0].CommitUntil
	})
	n.restart(1, localnet.Host)
	o := n.outcomes(3)[n.Members[1].Address]
	if counts := n.committed(1, 3); counts[1] != 0 {
		t.Errorf("segment 1 was committed with %d leaves after its window", counts[1])
	} else if o.Count != counts[2] {
		t.Errorf("count %d, committed %v", o.Count, counts)
	}
	n.kill(1, localnet.Host) // its store has one owner at a time
	store, err := leaflog.Open(filepath.Join(n.Members[1].Home, "data", "leaves"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	log, err := store.Log(leaflog.Key{Epoch: 3, Node: localnet.NodeID, Segment: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if log.Size() < onDisk {
		t.Errorf("%d leaves were acknowledged, %d are on disk", onDisk, log.Size())
	}
}

// heightPassed is true once the chain has made n more blocks than at its first call.
func heightPassed(_ *net, blocks int64) func(*sprintv1.QueryCurrentResponse) bool {
	first := int64(0)
	return func(now *sprintv1.QueryCurrentResponse) bool {
		if first == 0 {
			first = now.Height
		}
		return now.Height >= first+blocks
	}
}

// A network that was stopped goes on from its folder.
func TestAStoppedNetworkResumes(t *testing.T) {
	home := filepath.Join(t.TempDir(), "net")
	n := start(t, localnet.Options{Home: home, Participants: 1, Cheat: adversary.None})
	first := n.until(0, "a few blocks", heightPassed(n, 5))
	n.Stop()
	n = start(t, localnet.Options{Home: home})
	if len(n.Members) != 1 {
		t.Fatalf("%d members after the resumption, want 1", len(n.Members))
	}
	n.until(0, "more blocks", func(now *sprintv1.QueryCurrentResponse) bool {
		return now.Height > first.Height+2
	})
	conn, err := n.Conn(0)
	if err != nil {
		t.Fatal(err)
	}
	// blocks decode for every client, the beacon's transaction included
	if _, err := cmtservice.NewServiceClient(conn).GetLatestBlock(n.ctx,
		&cmtservice.GetLatestBlockRequest{}); err != nil {
		t.Error(err)
	}
	if o := n.outcomes(1)[n.Members[0].Address]; o.Result != sprintv1.ResultCredited ||
		o.ChainSamples == 0 {
		t.Errorf("a lone participant is judged by the chain, and credited; got %v (%s)",
			o.Result, o.Reason)
	}
}
