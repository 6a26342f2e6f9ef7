// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/types/query"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Contested reports whether a judgement is about something: a wrong leaf, or one that somebody called wrong. What the
// chain looked at of its own accord and found right fills no folder.
func Contested(j courtv1.Judgement) bool { return j.Mismatch || j.NamedBy != "" }

// ContestedIn lists the contested judgements of an epoch.
func ContestedIn(ctx context.Context, court courtv1.QueryClient, epoch uint64) ([]courtv1.Judgement, error) {
	var all []courtv1.Judgement
	err := Pages(1000, func(page *query.PageRequest) (*query.PageResponse, error) {
		res, err := court.Judgements(ctx, &courtv1.QueryJudgementsRequest{Epoch: epoch, Pagination: page})
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

// writeEvidence stores, for every contested leaf that the chain judged in an epoch, a file that proves the judgement
// offline.
func (h *Host) writeEvidence(ctx context.Context, e sprintv1.Epoch) error {
	if h.evidence[e.Number] {
		return nil
	}
	contested, err := ContestedIn(ctx, h.court, e.Number)
	if err != nil {
		return fmt.Errorf("asking for the judgements of epoch %d: %w", e.Number, err)
	}
	var state *evidence.State
	if len(contested) > 0 {
		if state, err = StateProof(ctx, h.conn, e.Number); err != nil { // the files hold without it, against a node
			h.log.Warn("evidence is written without a proof of the chain's state: assay verify will need --node", "epoch", e.Number, "err", err)
		}
	}
	if len(h.written) > 0 && h.evidenceOf != e.Number {
		h.written = nil
	}
	h.evidenceOf = e.Number
	all := true
	for _, j := range contested { // each file stands alone
		path := filepath.Join(h.o.Home, EvidenceName, EvidenceFile(e.Number, j))
		if h.written[path] {
			continue
		}
		what := Fault{Epoch: e.Number, What: "evidence on a leaf of " + j.Leaf.Participant, Node: j.Leaf.Node, Segment: j.Leaf.Segment}
		if !h.attempt(what, func() error { return h.writeOne(ctx, e, j, state, path) }) {
			all = false // again at the next block
			continue
		}
		if h.written == nil {
			h.written = map[string]bool{}
		}
		h.written[path] = true
	}
	h.evidence[e.Number] = all
	return nil
}

// writeOne stores the evidence of one judgement.
func (h *Host) writeOne(ctx context.Context, e sprintv1.Epoch, j courtv1.Judgement, state *evidence.State, path string) error {
	f, err := Evidence(ctx, h.sprint, h.config.Chain, e, j)
	if err != nil {
		return fmt.Errorf("evidence on leaf %d of node %s of %s: %w", j.Leaf.Nonce, j.Leaf.Node, j.Leaf.Participant, err)
	}
	f.State = state
	raw, err := f.Marshal()
	if err != nil {
		return err
	}
	if err := replaceFile(path, raw, 0o644); err != nil {
		return err
	}
	h.log.Info("evidence written", "epoch", e.Number, "participant", j.Leaf.Participant, "leaf", j.Leaf.Nonce, "path", path)
	return nil
}

// replaceFile writes a file durably. Its folder is made, for those who may read the file.
func replaceFile(path string, raw []byte, mode os.FileMode) error {
	if err := durable.MkdirAll(filepath.Dir(path), mode|mode&0o444>>2); err != nil {
		return err
	}
	return durable.WriteFile(path, raw, mode)
}

// EvidenceFile names the file of one judgement.
func EvidenceFile(epoch uint64, j courtv1.Judgement) string {
	claim := evidence.Honest
	if j.Mismatch {
		claim = evidence.Forged
	}
	return fmt.Sprintf("epoch-%d-%s-%s-segment-%d-leaf-%d-%s.json", epoch, j.Leaf.Participant, j.Leaf.Node, j.Leaf.Segment, j.Leaf.Nonce, claim)
}

// Evidence builds the offline evidence of one judgement from what the chain holds, for as long as it has the epoch's
// commits and openings.
func Evidence(ctx context.Context, chain sprintv1.QueryClient, chainID string, e sprintv1.Epoch, j courtv1.Judgement) (evidence.File, error) {
	l := j.Leaf
	f := evidence.File{Version: evidence.Version, Claim: evidence.Honest, Chain: chainID, Epoch: e.Number, Class: e.Params.Class,
		Seed1: hex.EncodeToString(e.Seed1), SegmentSeed: hex.EncodeToString(e.Segments[l.Segment-1].Seed),
		Participant: l.Participant, Node: l.Node, Segment: l.Segment, Nonce: l.Nonce,
		Note: fmt.Sprintf("judged by the chain at block %d", j.Height)}
	if j.Mismatch {
		f.Claim = evidence.Forged
	}
	c, err := chain.CommitPath(ctx, &sprintv1.QueryCommitPathRequest{Epoch: e.Number, Participant: l.Participant, Node: l.Node, Segment: l.Segment})
	if err != nil {
		return f, err
	}
	archive, err := chain.Archive(ctx, &sprintv1.QueryArchiveRequest{Epoch: e.Number})
	if err != nil {
		return f, err
	}
	f.Count, f.Root, f.Signature, f.HostKey = c.Count, hex.EncodeToString(c.Root), hex.EncodeToString(c.Signature), hex.EncodeToString(c.HostKey)
	f.Archive = &evidence.Archive{Root: hex.EncodeToString(archive.Archive.Root), Commits: c.Commits, Index: c.Index}
	for _, hash := range c.Path {
		f.Archive.Path = append(f.Archive.Path, hex.EncodeToString(hash))
	}
	samples, err := chain.Samples(ctx, &sprintv1.QuerySamplesRequest{Epoch: e.Number, Participant: l.Participant})
	if err != nil {
		return f, err
	}
	opening, err := chain.Opening(ctx, &sprintv1.QueryOpeningRequest{Epoch: e.Number, Participant: l.Participant})
	if err != nil {
		return f, err
	}
	return withPath(f, l, samples.Leaves, opening.Opening)
}

// withPath cuts one leaf's inclusion path out of the multiproof of its log.
func withPath(f evidence.File, leaf courtv1.LeafRef, samples []courtv1.LeafRef, o sprintv1.Opening) (evidence.File, error) {
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
			leaves[i] = commit.Leaf{Class: class.ID, Node: leaf.Node, Index: nonce, Record: opened}.Hash()
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
	return f, fmt.Errorf("leaf %d of node %s, segment %d, is not among those opened", leaf.Nonce, leaf.Node, leaf.Segment)
}
