// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
)

// withNodes adds a participant's machines to its record.
func (k *Keeper) withNodes(ctx context.Context, p *registryv1.Participant) error {
	list, err := k.nodes.Get(ctx, p.Address)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return fmt.Errorf("registry: reading the nodes of %s: %w", p.Address, err)
	}
	p.Nodes, p.PreviousNodes = list.Nodes, list.PreviousNodes
	return nil
}

// store writes a participant's record, store and setNodes together all of it.
func (k *Keeper) store(ctx context.Context, p registryv1.Participant) error {
	p.Nodes, p.PreviousNodes = nil, nil
	if err := k.participants.Set(ctx, p.Address, p); err != nil {
		return fmt.Errorf("registry: writing %s: %w", p.Address, err)
	}
	return nil
}

func (k *Keeper) setNodes(ctx context.Context, p registryv1.Participant) error {
	if len(p.Nodes)+len(p.PreviousNodes) == 0 {
		return k.nodes.Remove(ctx, p.Address)
	}
	return k.nodes.Set(ctx, p.Address,
		registryv1.NodeList{Nodes: p.Nodes, PreviousNodes: p.PreviousNodes})
}

// replaceNodes makes next the participant's list from the epoch after this one
// on, and moves the ownership of the keys.
func (k *Keeper) replaceNodes(ctx context.Context, p registryv1.Participant, next []registryv1.Node,
	epoch uint64) error {
	for _, n := range p.Nodes {
		if err := k.keys.Remove(ctx, n.Key); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
	}
	for _, n := range next {
		if err := k.claim(ctx, n.Key, p.Address, NodeRole(n.Id)); err != nil {
			return err
		}
	}
	if p.NodesEpoch < epoch {
		p.PreviousNodes, p.NodesEpoch = p.Nodes, epoch
	}
	p.Nodes = next
	if err := k.setNodes(ctx, p); err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	return k.store(ctx, p)
}

// unproven lists the nodes that are not, proof included, in a list whose proofs
// were verified before.
func unproven(nodes, known []registryv1.Node) (fresh []registryv1.Node) {
	byID := make(map[string]registryv1.Node, len(known))
	for _, n := range known {
		byID[n.Id] = n
	}
	for _, n := range nodes {
		if old, ok := byID[n.Id]; !ok || !bytes.Equal(n.Key, old.Key) ||
			!bytes.Equal(n.Proof, old.Proof) {
			fresh = append(fresh, n)
		}
	}
	return fresh
}
