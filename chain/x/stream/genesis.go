// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"

	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/chain/table"
)

// DefaultGenesis is a chain before its first epoch.
func DefaultGenesis() *streamv1.GenesisState {
	return &streamv1.GenesisState{Params: DefaultParams()}
}

// ValidateGenesis checks a genesis state on its own.
func ValidateGenesis(g streamv1.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	if g.PendingParams != nil {
		if err := ValidateParams(*g.PendingParams); err != nil {
			return fmt.Errorf("pending: %w", err)
		}
	}
	seen := map[string]bool{}
	twice := func(key ...any) bool {
		name := fmt.Sprintf("%q", key)
		was := seen[name]
		seen[name] = true
		return was
	}
	for _, t := range g.Terms {
		if err := ValidateParams(t.Params); err != nil {
			return fmt.Errorf("stream: terms of epoch %d: %w", t.Epoch, err)
		}
		if t.Epoch == 0 || twice("terms", t.Epoch) {
			return fmt.Errorf("stream: terms of epoch %d are of no epoch, or stand twice", t.Epoch)
		}
	}
	for _, s := range g.States {
		// an export lists what it holds by the epochs that there are terms of
		if !seen[fmt.Sprintf("%q", []any{"terms", s.Epoch})] || twice("state", s.Epoch) {
			return fmt.Errorf("stream: state of epoch %d has no terms, or stands twice", s.Epoch)
		}
		if err := validState(s, twice); err != nil {
			return fmt.Errorf("stream: epoch %d: %w", s.Epoch, err)
		}
	}
	return nil
}

// validState checks that every record is of the length that blocks rely on, stands once, and that
// nodes and commits fit.
func validState(s streamv1.EpochState, twice func(...any) bool) error {
	nodes, leaves, commits := map[string]streamv1.Node{}, map[string]uint64{}, map[string]uint32{}
	for _, n := range s.Nodes {
		key := fmt.Sprintf("%q/%q", n.Participant, n.Node)
		if n.Participant == "" || n.Node == "" || n.SprintLeaves == 0 ||
			twice(s.Epoch, "node", key) {
			return fmt.Errorf("node %s has no name or no Sprint, or stands twice", key)
		}
		nodes[key] = n
	}
	for _, c := range s.Commits {
		key := fmt.Sprintf("%q/%q", c.Participant, c.Node)
		n, known := nodes[key]
		if !known || c.Number < 1 || c.Number > n.Number || c.Count < 1 || c.Count >= 1<<32 ||
			len(c.Root) != 32 || len(c.Signature) != 64 || len(c.Seed) != 32 ||
			twice(s.Epoch, "commit", key, c.Number) {
			return fmt.Errorf("log %d of node %s: %d leaves, a root of %d, a signature of %d and "+
				"a seed of %d bytes, or no such node, or it stands twice", c.Number, key, c.Count,
				len(c.Root), len(c.Signature), len(c.Seed))
		}
		leaves[key] += c.Count
		commits[key]++
	}
	for _, n := range s.Nodes { // commits are dropped before the node that they are of
		key := fmt.Sprintf("%q/%q", n.Participant, n.Node)
		if n.Commits < commits[key] || n.Leaves < leaves[key] {
			return fmt.Errorf("node %s has %d commits of %d leaves; its record says %d of %d", key,
				commits[key], leaves[key], n.Commits, n.Leaves)
		}
	}
	for _, sum := range s.Summaries {
		if sum.EpochIndex != s.Epoch || sum.Participant == "" ||
			twice(s.Epoch, "summary", sum.Participant) {
			return fmt.Errorf("summary of %q is of epoch %d, or stands twice", sum.Participant,
				sum.EpochIndex)
		}
	}
	return nil
}

// InitGenesis stores a state.
func (k *Keeper) InitGenesis(ctx context.Context, g streamv1.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if g.PendingParams != nil {
		if err := k.pending.Set(ctx, *g.PendingParams); err != nil {
			return err
		}
	}
	for _, t := range g.Terms {
		if err := k.terms.Set(ctx, t.Epoch, t); err != nil {
			return err
		}
	}
	for _, s := range g.States {
		for _, n := range s.Nodes {
			if err := k.nodes.Set(ctx, collections.Join3(s.Epoch, n.Participant, n.Node),
				n); err != nil {
				return err
			}
		}
		for _, c := range s.Commits {
			if err := k.commits.Set(ctx, collections.Join4(s.Epoch, c.Participant, c.Node,
				c.Number), c); err != nil {
				return err
			}
		}
		for _, sum := range s.Summaries {
			if err := k.summaries.Set(ctx, collections.Join(s.Epoch, sum.Participant),
				sum); err != nil {
				return err
			}
		}
	}
	return nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*streamv1.GenesisState, error) {
	g := &streamv1.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, fmt.Errorf("stream: parameters: %w", err)
	}
	if g.PendingParams, err = table.Optional(ctx, k.pending); err != nil {
		return nil, fmt.Errorf("stream: pending parameters: %w", err)
	}
	if g.Terms, err = table.Values(ctx, k.terms, nil); err != nil {
		return nil, fmt.Errorf("stream: terms: %w", err)
	}
	for _, t := range g.Terms {
		s := streamv1.EpochState{Epoch: t.Epoch}
		if s.Nodes, err = table.Values(ctx, k.nodes,
			collections.NewPrefixedTripleRange[uint64, string, string](t.Epoch)); err != nil {
			return nil, err
		}
		if s.Commits, err = table.Values(ctx, k.commits,
			collections.NewPrefixedQuadRange[uint64, string, string, uint32](t.Epoch)); err != nil {
			return nil, err
		}
		if s.Summaries, err = table.Values(ctx, k.summaries,
			collections.NewPrefixedPairRange[uint64, string](t.Epoch)); err != nil {
			return nil, err
		}
		if len(s.Nodes)+len(s.Commits)+len(s.Summaries) > 0 {
			g.States = append(g.States, s)
		}
	}
	return g, nil
}
