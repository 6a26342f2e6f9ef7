// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"slices"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// prepare has the workers build the model and reports readiness with a fresh heartbeat.
func (sp *Sprint) prepare(ctx context.Context, now sprintv1.QueryCurrentResponse,
	class transformer.Class, me *sprintv1.Member) error {
	e := now.Epoch
	if len(e.Seed1) == 0 {
		sp.c.Board.Say(now, "waiting", now.Reason)
		return sp.idle(now)
	}
	all := sp.c.Fleet.Status()
	nodes := preparing(all, me.Nodes, sp.c.Machines.Stranger)
	if err := sp.c.Fleet.SetGoals(nodes, fleet.Goal{Kind: fleet.Prepare, Epoch: e.Number,
		Class: class, Seed1: seed.From(e.Seed1),
		Reason: "build the model", Until: fmt.Sprintf("block %d", e.PrepareUntil)},
		late(e.Number)); err != nil {
		return err
	}
	if me.Live {
		sp.c.Board.Say(now, "ready", now.Reason)
		return nil
	}
	counted, load := counted(all, nodes, sp.c.Machines.Stranger), uint64(0)
	for _, w := range counted {
		load = max(load, w.LoadMS)
	}
	connected, ready := len(counted), 0
	for _, node := range sp.c.Fleet.Ready(e.Number) {
		if _, ok := counted[node]; ok {
			ready++
		}
	}
	switch {
	case connected == 0 && slices.ContainsFunc(all,
		func(w fleet.WorkerStatus) bool { return w.Connected }):
		sp.c.Board.Say(now, "waiting for workers", fmt.Sprintf("all workers that are connected "+
			"take part from epoch %d on", e.Number+1))
		return nil
	case connected == 0:
		sp.c.Board.Say(now, "waiting for workers", "no worker is connected; start one with: "+
			"assay-worker start --host "+sp.c.Fleet.URL())
		return nil
	case ready < connected && (ready == 0 || now.Height < e.PrepareUntil-voter.MarginBlocks):
		// one slow worker does not cost the epoch
		sp.c.Board.Say(now, "preparing",
			fmt.Sprintf("%d of %d workers have built the model", ready, connected))
		return nil
	}
	id := fmt.Sprintf("ready/%d", e.Number)
	if sp.c.Queue.Done(id) {
		return nil
	}
	beat, err := sp.c.Local.Heartbeat(ctx,
		&registryv1.HeartbeatRequest{Participant: sp.c.Participant, Epoch: e.Number})
	if err != nil {
		return fmt.Errorf("asking the node at %s for a heartbeat (it must be this participant's "+
			"own validator): %w", sp.c.Node, err)
	}
	sp.c.Board.Say(now, "reporting ready", "")
	sp.c.Queue.Want(id, e.PrepareUntil+10, &sprintv1.MsgReady{Participant: sp.c.Participant,
		Epoch: e.Number, LoadMs: load, Height: beat.Height, Signature: beat.Signature})
	return nil
}

// preparing are the nodes that build the model: those whose leaves the chain takes in this epoch,
// and the owner's that came too late for it, since this host votes by what they compute. A stranger
// that came too late goes on with its loops.
func preparing(all []fleet.WorkerStatus, members []string,
	stranger func(node string) bool) []string {
	nodes := slices.Clone(members)
	for _, w := range all {
		if w.Connected && !stranger(w.Node) {
			nodes = append(nodes, w.Node)
		}
	}
	return nodes
}

// late is the goal of nodes that were bound after an epoch had begun: the chain takes no commitment
// of theirs.
func late(epoch uint64) fleet.Goal {
	return fleet.Goal{Kind: fleet.Idle, Until: fmt.Sprintf("epoch %d", epoch+1),
		Reason: fmt.Sprintf("takes part from epoch %d on: epoch %d began before the chain knew "+
			"this machine", epoch+1, epoch)}
}

// counted are the workers by which this host is ready, of the nodes that prepare and are connected:
// its owner's, and the pool's only where there are no others, because a stranger may take its time
// to no end.
func counted(all []fleet.WorkerStatus, nodes []string,
	stranger func(node string) bool) map[string]fleet.WorkerStatus {
	own, connected := map[string]fleet.WorkerStatus{}, map[string]fleet.WorkerStatus{}
	for _, w := range all {
		if !w.Connected || !slices.Contains(nodes, w.Node) {
			continue
		}
		connected[w.Node] = w
		if !stranger(w.Node) {
			own[w.Node] = w
		}
	}
	if len(own) > 0 {
		return own
	}
	return connected
}
