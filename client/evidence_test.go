// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"testing"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Evidence that is cut out of an opening proves itself offline.
func TestEvidenceFromAnOpeningHolds(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	const count, chain, participant = 20, "chain", "cpc1participant"
	node := seed.Node(chain, participant, "w1", "nano")
	model, err := work.Reference().Transformer(context.Background(), transformer.Nano,
		seed.Seed{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log commit.Log
	var norms []uint64
	var digests [][32]byte
	for i := range uint64(count) {
		var out [1]transformer.Output
		if err := model.Run(out[:], node, seed.Seed{3}, []uint64{i}); err != nil {
			t.Fatal(err)
		}
		if i == 6 {
			out[0].Digest[0] ^= 1
		}
		norms, digests = append(norms, out[0].Norm), append(digests, out[0].Digest)
		log.Append(record.Leaf{Class: 1, Node: "w1", Index: i, Record: out[0].Record}.Hash())
	}
	nonces := []uint64{2, 6, 11, 19}
	path, err := commit.Multi(&log, count, nonces)
	if err != nil {
		t.Fatal(err)
	}
	o := sprintv1.LogOpening{Node: "w1", Segment: 1}
	var samples []courtv1.LeafRef
	for _, i := range nonces {
		samples = append(samples, courtv1.LeafRef{Participant: participant, Node: "w1",
			Segment: 1, Nonce: i})
		o.Leaves = binary.LittleEndian.AppendUint64(o.Leaves, norms[i])
		o.Leaves = append(o.Leaves, digests[i][:]...)
	}
	for _, hash := range path {
		o.Proof = append(o.Proof, hash[:]...)
	}
	root := log.Root()
	st := commit.Statement{Chain: chain, Epoch: 1, Segment: 1, Participant: participant,
		Node: "w1", Class: "nano",
		Seed1: commit.Hash{1}, SegmentSeed: commit.Hash{3}, Root: root, Count: count}
	public := key.Public().(ed25519.PublicKey)
	only := commit.ArchiveLeaf{Participant: participant, Node: "w1", Segment: 1, Root: root,
		Count: count, HostKey: [32]byte(public)}.Hash()
	for _, ref := range samples {
		claim := evidence.Honest
		if ref.Nonce == 6 {
			claim = evidence.Forged
		}
		f := evidence.File{Version: evidence.Version, Claim: claim, Chain: chain, Epoch: 1,
			Class: "nano", Seed1: seed.Seed{1}.String(), SegmentSeed: seed.Seed{3}.String(),
			Participant: participant, Node: "w1", Segment: 1, Nonce: ref.Nonce, Count: count,
			Root:    hex.EncodeToString(root[:]),
			HostKey: hex.EncodeToString(public), Signature: hex.EncodeToString(st.Sign(key)),
			Archive: &evidence.Archive{Root: hex.EncodeToString(only[:]), Commits: 1}}
		f, err := withPath(f, ref, samples, sprintv1.Opening{Logs: []sprintv1.LogOpening{o}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.Verify(f,
			func(c transformer.Class, s seed.Seed) (transformer.Model, error) {
				return work.Reference().Transformer(context.Background(), c, s, nil)
			}); err != nil {
			t.Errorf("leaf %d: %v", ref.Nonce, err)
		}
	}
	if _, err := withPath(evidence.File{Class: "nano"},
		courtv1.LeafRef{Node: "w1", Segment: 1, Nonce: 3}, samples,
		sprintv1.Opening{Logs: []sprintv1.LogOpening{o}}); err == nil {
		t.Error("evidence on a leaf that was not opened")
	}
}
