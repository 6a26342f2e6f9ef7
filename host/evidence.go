// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"fmt"
	"path/filepath"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/poc/evidence"
)

// writeEvidence stores, for every contested leaf that the chain judged in an epoch, a file that proves the judgement
// offline.
func (h *Host) writeEvidence(ctx context.Context, e sprintv1.Epoch) error {
	if h.evidence[e.Number] {
		return nil
	}
	contested, err := client.ContestedIn(ctx, h.court, e.Number)
	if err != nil {
		return fmt.Errorf("asking for the judgements of epoch %d: %w", e.Number, err)
	}
	var state *evidence.State
	if len(contested) > 0 {
		if state, err = client.StateProof(ctx, h.conn, e.Number); err != nil { // the files hold without it, against a node
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
		if !h.board.Attempt(what, func() error { return h.writeOne(ctx, e, j, state, path) }) {
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
	f, err := client.Evidence(ctx, h.sprint, h.config.Chain, e, j)
	if err != nil {
		return fmt.Errorf("evidence on leaf %d of node %s of %s: %w", j.Leaf.Nonce, j.Leaf.Node, j.Leaf.Participant, err)
	}
	f.State = state
	raw, err := f.Marshal()
	if err != nil {
		return err
	}
	if err := durable.Replace(path, raw, 0o644); err != nil {
		return err
	}
	h.log.Info("evidence written", "epoch", e.Number, "participant", j.Leaf.Participant, "leaf", j.Leaf.Nonce, "path", path)
	return nil
}

// EvidenceFile names the file of one judgement.
func EvidenceFile(epoch uint64, j courtv1.Judgement) string {
	claim := evidence.Honest
	if j.Mismatch {
		claim = evidence.Forged
	}
	return fmt.Sprintf("epoch-%d-%s-%s-segment-%d-leaf-%d-%s.json", epoch, j.Leaf.Participant, j.Leaf.Node, j.Leaf.Segment, j.Leaf.Nonce, claim)
}
