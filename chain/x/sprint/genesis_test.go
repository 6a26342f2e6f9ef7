// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// atProof is the state of an epoch whose only member has opened what was drawn of its 80 leaves.
func atProof(t *testing.T) sprintv1.GenesisState {
	t.Helper()
	p := LocalnetParams()
	p.Segments = 1
	const who, count = "cpc1member", 80
	var log commit.Log
	for nonce := range uint64(count) {
		log.Append(record.Leaf{Class: transformer.Nano.ID, Node: "gpu-1", Index: nonce,
			Record: record.Record{Norm: nonce, Digest: [32]byte{byte(nonce)}}}.Hash())
	}
	root := log.Root()
	s := sprintv1.EpochState{Epoch: 1,
		Members: []sprintv1.Member{{Participant: who, HostKey: make([]byte, 32),
			ConsensusKey: make([]byte, 32), Weight: 1, Role: sprintv1.RoleHolder, Live: true,
			Leaves: count, Opened: true}},
		Commits: []sprintv1.Commit{{Participant: who, Node: "gpu-1", Segment: 1, Count: count,
			Root: root[:], Signature: make([]byte, 64)}},
		Verdicts: []sprintv1.VerdictRecord{{Voter: who}},
		Outcomes: []sprintv1.Outcome{{Epoch: 1, Participant: who}},
		Attempts: []sprintv1.Attempts{{Participant: who, Duty: make([]byte, 16), Used: 1}},
	}
	drawn := drawLeaves("", 1, who, seed.Seed{7}, 16, s.Commits)
	o := sprintv1.LogOpening{Node: "gpu-1", Segment: 1}
	for _, nonce := range drawn[0].nonces {
		o.Leaves = append(append(binary.LittleEndian.AppendUint64(o.Leaves, nonce), byte(nonce)),
			make([]byte, 31)...)
	}
	proof, err := commit.Multi(&log, count, drawn[0].nonces)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range proof {
		o.Proof = append(o.Proof, h[:]...)
	}
	s.Openings = []sprintv1.Opening{{Participant: who, Logs: []sprintv1.LogOpening{o}}}
	mix := seed.Seed{7}
	return sprintv1.GenesisState{Params: p, NextParams: p, Epoch: 1, Progress: &sprintv1.Progress{},
		States: []sprintv1.EpochState{s},
		Epochs: []sprintv1.Epoch{{Number: 1, Params: p, Phase: sprintv1.PhaseProof,
			Seed1: make([]byte, 32), Seed2: make([]byte, 32), ChallengeHeight: 50,
			SampleMix: mix[:], Samples: 16,
			Segments: []sprintv1.Segment{{Index: 1, Seed: make([]byte, 32)}}}}}
}

// C20: what is exported is what was imported, and a genesis whose records blocks could not work
// with is refused before there is a block.
func TestGenesisRefusesRecordsThatStopBlocks(t *testing.T) {
	k, ctx, _ := bare(t)
	good := atProof(t)
	if err := k.InitGenesis(ctx, good); err != nil {
		t.Fatal(err)
	}
	out, err := k.ExportGenesis(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&good, out); diff != "" {
		t.Errorf("-imported +exported:\n%s", diff)
	}
	for name, c := range map[string]struct {
		change func(*sprintv1.EpochState)
		want   string
	}{
		"a member twice": {func(s *sprintv1.EpochState) {
			s.Members = append(s.Members, s.Members[0])
		}, "twice"},
		"a commit twice": {func(s *sprintv1.EpochState) {
			s.Commits = append(s.Commits, s.Commits[0])
		}, "twice"},
		"segment 0": {func(s *sprintv1.EpochState) { s.Commits[0].Segment = 0 }, "no such segment"},
		"a segment too far": {func(s *sprintv1.EpochState) {
			s.Commits[0].Segment = 2
		}, "no such segment"},
		"an opening twice": {func(s *sprintv1.EpochState) {
			s.Openings = append(s.Openings, s.Openings[0])
		}, "twice"},
		"a verdict twice": {func(s *sprintv1.EpochState) {
			s.Verdicts = append(s.Verdicts, s.Verdicts[0])
		}, "twice"},
		"an outcome twice": {func(s *sprintv1.EpochState) {
			s.Outcomes = append(s.Outcomes, s.Outcomes[0])
		}, "twice"},
		"attempts twice": {func(s *sprintv1.EpochState) {
			s.Attempts = append(s.Attempts, s.Attempts[0])
		}, "twice"},
		"an endless duty": {func(s *sprintv1.EpochState) {
			s.Attempts[0].Duty = make([]byte, 17)
		}, "17 bytes"},
		"a leaf too few": {func(s *sprintv1.EpochState) {
			l := &s.Openings[0].Logs[0]
			l.Leaves = l.Leaves[:15*record.Size]
		}, ErrOpening.Error()},
		"another leaf": {func(s *sprintv1.EpochState) {
			l := &s.Openings[0].Logs[0]
			l.Leaves = bytes.Clone(l.Leaves)
			l.Leaves[9] ^= 1
		}, ErrOpening.Error()},
		"an opening that is not there": {func(s *sprintv1.EpochState) {
			s.Openings = nil
		}, ErrOpening.Error()},
		"an opening by nobody": {func(s *sprintv1.EpochState) {
			s.Members[0].Opened = false
		}, "has none"},
		"another log": {func(s *sprintv1.EpochState) {
			s.Openings[0].Logs[0].Node = "gpu-2"
		}, ErrOpening.Error()},
		"the state twice": {nil, "twice"},
	} {
		g := atProof(t)
		if c.change == nil {
			g.States = append(g.States, g.States[0])
		} else {
			c.change(&g.States[0])
		}
		fresh, ctx, _ := bare(t)
		if err := fresh.InitGenesis(ctx, g); err == nil || !strings.Contains(err.Error(), c.want) ||
			errors.Is(err, ErrOpening) != (c.want == ErrOpening.Error()) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
