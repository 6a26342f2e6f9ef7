// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"context"
	"crypto/ed25519"
	"maps"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/host/fleet"
)

// Fleet tells which machines are connected, and has their proofs.
type Fleet interface {
	Status() []fleet.WorkerStatus
	NodeProof(node string) (key ed25519.PublicKey, proof []byte, ok bool)
}

// Queue takes wishes for transactions, by name.
type Queue interface {
	Want(id string, until int64, msgs ...sdk.Msg)
	Done(id string) bool
	Failed(id string) bool
}

// Binder keeps the list of nodes on chain in step with the machines that work. It belongs to one
// goroutine.
type Binder struct {
	machines    *Machines
	fleet       Fleet
	queue       Queue
	registry    registryv1.QueryClient
	participant string

	bound map[string]registryv1.Node // what the chain had last
	wish  string                     // the last one for another list
}

// NewBinder binds the machines of a participant.
func NewBinder(m *Machines, f Fleet, q Queue, registry registryv1.QueryClient,
	participant string) *Binder {
	return &Binder{machines: m, fleet: f, queue: q, registry: registry, participant: participant,
		bound: map[string]registryv1.Node{}}
}

// Step registers machines that are connected but not on chain yet: its owner's together, and each
// stranger by itself, because the chain refuses the whole list for one key that another participant
// has. One wish is under way at a time, since each replaces the list. Nobody's proof is waited for.
func (b *Binder) Step(ctx context.Context, height int64) error {
	if b.wish != "" && !b.queue.Done(b.wish) && !b.queue.Failed(b.wish) {
		return nil
	}
	missing := map[string]registryv1.Node{}
	own := "nodes"
	for _, w := range b.fleet.Status() {
		if _, ok := b.bound[w.Node]; !w.Connected || ok {
			continue
		}
		key, proof, ok := b.fleet.NodeProof(w.Node)
		if !ok {
			continue // asked for; it comes
		}
		missing[w.Node] = registryv1.Node{Id: w.Node, Key: key, Proof: proof}
		if !b.machines.Stranger(w.Node) {
			own += "/" + w.Node
		}
	}
	if len(missing) == 0 {
		return nil
	}
	res, err := b.registry.Participant(ctx,
		&registryv1.QueryParticipantRequest{Address: b.participant})
	if err != nil {
		return nil // not registered: the status says so, and `assay host register` mends it
	}
	b.bound = map[string]registryv1.Node{}
	for _, n := range res.Participant.Nodes {
		b.bound[n.Id] = n
		delete(missing, n.Id)
	}
	var fresh []registryv1.Node
	id := ""
	for _, node := range slices.Sorted(maps.Keys(missing)) {
		if !b.machines.Stranger(node) {
			id, fresh = own, append(fresh, missing[node])
		}
	}
	if id == "" || b.queue.Failed(id) {
		id, fresh = "", nil
		for _, node := range slices.Sorted(maps.Keys(missing)) {
			if one := "nodes/" + node; b.machines.Stranger(node) && !b.queue.Failed(one) {
				id, fresh = one, []registryv1.Node{missing[node]}
				break
			}
		}
	}
	if id == "" {
		return nil
	}
	// Machines of the pool come and go, and the chain has room for so many.
	nodes := res.Participant.Nodes
	full := len(nodes)+len(fresh) > b.machines.Room()
	nodes = slices.DeleteFunc(nodes, func(n registryv1.Node) bool {
		return b.machines.Gone(n.Id, full)
	})
	b.wish = id
	b.queue.Want(id, height+50, &registryv1.MsgSetNodes{Address: b.participant,
		Nodes: append(nodes, fresh...)})
	return nil
}
