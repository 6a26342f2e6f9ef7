// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/query"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Contested reports whether a judgement is about something: a wrong leaf, or one that somebody
// called wrong. What the chain looked at of its own accord and found right fills no folder.
func Contested(j courtv1.Judgement) bool { return j.Mismatch || j.NamedBy != "" }

// ContestedIn lists the contested judgements of an epoch.
func ContestedIn(ctx context.Context, court courtv1.QueryClient, epoch uint64) ([]courtv1.Judgement,
	error) {
	var all []courtv1.Judgement
	err := Pages(1000, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := court.Judgements(ctx,
			&courtv1.QueryJudgementsRequest{Epoch: epoch, Pagination: page})
		if err != nil {
			return nil, err
		}
		for _, j := range res.Judgements {
			if Contested(j) {
				all = append(all, j)
			}
		}
		return res.Pagination, nil
	})
	return all, err
}

// Evidence builds the offline evidence of one judgement from what the chain holds, for as long as
// it has the epoch's commits and openings.
func Evidence(ctx context.Context, chain sprintv1.QueryClient, chainID string, e sprintv1.Epoch,
	j courtv1.Judgement) (evidence.File, error) {
	l := j.Leaf
	f := evidence.File{Version: evidence.Version, Claim: evidence.Honest, Chain: chainID,
		Epoch: e.Number, Class: e.Params.Class,
		Seed1:       hex.EncodeToString(e.Seed1),
		SegmentSeed: hex.EncodeToString(e.Segments[l.Segment-1].Seed),
		Participant: l.Participant, Node: l.Node, Segment: l.Segment, Nonce: l.Nonce,
		Note: fmt.Sprintf("judged by the chain at block %d", j.Height)}
	if j.Mismatch {
		f.Claim = evidence.Forged
	}
	c, err := chain.CommitPath(ctx, &sprintv1.QueryCommitPathRequest{Epoch: e.Number,
		Participant: l.Participant, Node: l.Node, Segment: l.Segment})
	if err != nil {
		return f, err
	}
	archive, err := chain.Archive(ctx, &sprintv1.QueryArchiveRequest{Epoch: e.Number})
	if err != nil {
		return f, err
	}
	f.Count, f.Root, f.Signature, f.HostKey = c.Count, hex.EncodeToString(c.Root),
		hex.EncodeToString(c.Signature), hex.EncodeToString(c.HostKey)
	f.Archive = &evidence.Archive{Root: hex.EncodeToString(archive.Archive.Root),
		Commits: c.Commits, Index: c.Index}
	for _, hash := range c.Path {
		f.Archive.Path = append(f.Archive.Path, hex.EncodeToString(hash))
	}
	samples, err := chain.Samples(ctx, &sprintv1.QuerySamplesRequest{Epoch: e.Number,
		Participant: l.Participant})
	if err != nil {
		return f, err
	}
	opening, err := chain.Opening(ctx, &sprintv1.QueryOpeningRequest{Epoch: e.Number,
		Participant: l.Participant})
	if err != nil {
		return f, err
	}
	return withPath(f, l, samples.Leaves, opening.Opening)
}

// withPath cuts one leaf's inclusion path out of the multiproof of its log.
func withPath(f evidence.File, leaf courtv1.LeafRef, samples []courtv1.LeafRef,
	o sprintv1.Opening) (evidence.File, error) {
	class, err := transformer.ByName(f.Class)
	if err != nil {
		return f, err
	}
	var nonces []uint64
	which := -1
	for _, s := range samples {
		if s.Node == leaf.Node && s.Segment == leaf.Segment {
			if s.Nonce == leaf.Nonce {
				which = len(nonces)
			}
			nonces = append(nonces, s.Nonce)
		}
	}
	for _, log := range o.Logs {
		if log.Node != leaf.Node || log.Segment != leaf.Segment || which < 0 {
			continue
		}
		leaves := make([]commit.Hash, len(nonces))
		for i, nonce := range nonces {
			opened := record.At(log.Leaves, i)
			leaves[i] = record.Leaf{Class: class.ID, Node: leaf.Node, Index: nonce,
				Record: opened}.Hash()
			if i == which {
				f.Norm, f.Digest = opened.Norm, hex.EncodeToString(opened.Digest[:])
			}
		}
		hashes := make([]commit.Hash, len(log.Proof)/32)
		for i := range hashes {
			hashes[i] = commit.Hash(log.Proof[32*i:])
		}
		path, err := commit.ExtractInclusion(f.Count, nonces, leaves, hashes, which)
		if err != nil {
			return f, err
		}
		f.Path = []string{}
		for _, hash := range path {
			f.Path = append(f.Path, hex.EncodeToString(hash[:]))
		}
		return f, nil
	}
	return f, fmt.Errorf("leaf %d of node %s, segment %d, is not among those opened", leaf.Nonce,
		leaf.Node, leaf.Segment)
}
