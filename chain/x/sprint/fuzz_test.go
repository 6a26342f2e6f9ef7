// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// fuzzDuties are two targets, one with two nodes.
func fuzzDuties() []sprintv1.Duty {
	var duties []sprintv1.Duty
	for _, target := range []string{"cpc1a", "cpc1b"} {
		d := sprintv1.Duty{Target: target}
		for _, node := range []string{"gpu-1", "gpu-2"} {
			for nonce := range uint64(6) {
				d.Leaves = append(d.Leaves, sprintv1.LeafRef{Participant: target, Node: node, Segment: 1, Nonce: nonce * 3})
			}
		}
		duties = append(duties, d)
	}
	return duties
}

// FuzzVerdictBody: no bytes make the check panic, and what it lets through is a verdict on exactly those drawn, with
// names that the chain can judge.
func FuzzVerdictBody(f *testing.F) {
	duties := fuzzDuties()
	honest := sprintv1.VerdictBody{}
	for _, d := range duties {
		honest.Verdicts = append(honest.Verdicts, sprintv1.TargetVerdict{Target: d.Target, Vote: sprintv1.VotePass, Middles: make([]byte, 8*len(d.Leaves))})
	}
	add := func(b sprintv1.VerdictBody) {
		raw, err := b.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	add(honest)
	add(sprintv1.VerdictBody{Verdicts: []sprintv1.TargetVerdict{{Target: "cpc1a", Vote: sprintv1.VoteAbstain}, {Target: "cpc1b", Vote: sprintv1.VoteAbstain}}})
	accusing := honest
	accusing.Verdicts = slices.Clone(honest.Verdicts)
	accusing.Verdicts[1].Vote = sprintv1.VoteFail
	for _, l := range duties[1].Leaves[2:6] {
		accusing.Verdicts[1].Mismatches = append(accusing.Verdicts[1].Mismatches, sprintv1.Mismatch{Node: l.Node, Segment: l.Segment, Nonce: l.Nonce, Digest: make([]byte, 32)})
	}
	add(accusing)
	f.Add([]byte{0x0a, 0xff, 0xff})
	if err := checkVerdict(accusing, duties); err != nil {
		f.Fatalf("the set-up: %v", err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var body sprintv1.VerdictBody
		if body.Unmarshal(raw) != nil || checkVerdict(body, duties) != nil {
			return
		}
		for i, v := range body.Verdicts {
			d := duties[i]
			named := map[string]int{}
			seen := map[sprintv1.LeafRef]bool{}
			for _, m := range v.Mismatches {
				ref := sprintv1.LeafRef{Participant: d.Target, Node: m.Node, Segment: m.Segment, Nonce: m.Nonce}
				if named[m.Node]++; named[m.Node] > namesPerNode || seen[ref] || !slices.Contains(d.Leaves, ref) || len(m.Digest) != 32 {
					t.Fatalf("accepted name %v of %v", ref, v)
				}
				seen[ref] = true
			}
			abstains := v.Vote == sprintv1.VoteAbstain
			switch {
			case v.Target != d.Target:
				t.Fatalf("accepted a verdict on %s in the place of %s", v.Target, d.Target)
			case abstains && len(v.Middles)+len(v.Mismatches) > 0, !abstains && len(v.Middles) != 8*len(d.Leaves):
				t.Fatalf("accepted %d bytes of middles with vote %s", len(v.Middles), v.Vote)
			case v.Vote == sprintv1.VoteFail && len(v.Mismatches) == 0, v.Vote < sprintv1.VotePass || v.Vote > sprintv1.VoteAbstain:
				t.Fatalf("accepted vote %s with %d names", v.Vote, len(v.Mismatches))
			}
		}
	})
}

// FuzzOpening: no bytes make the check panic, and the only opening it lets through is the honest one: leaves and
// multiproof follow from the root and the draw.
func FuzzOpening(f *testing.F) {
	logs := []sprintv1.Commit{{Node: "gpu-1", Segment: 1, Count: 37}, {Node: "gpu-1", Segment: 2, Count: 1}, {Node: "gpu-2", Segment: 1, Count: 64}}
	trees := make([]commit.Log, len(logs))
	for i := range logs {
		for nonce := range logs[i].Count {
			trees[i].Append(commit.Leaf{Class: transformer.Nano.ID, Node: logs[i].Node, Index: nonce, Norm: nonce, Digest: [32]byte{byte(i), byte(nonce)}}.Hash())
		}
		root := trees[i].Root()
		logs[i].Root = root[:]
	}
	drawn := drawLeaves("chain", 1, "cpc1a", seed.Seed{1}, 20, logs)
	honest := sprintv1.MsgOpen{}
	for _, d := range drawn {
		i := slices.IndexFunc(logs, func(c sprintv1.Commit) bool { return c.Node == d.commit.Node && c.Segment == d.commit.Segment })
		o := sprintv1.LogOpening{Node: d.commit.Node, Segment: d.commit.Segment}
		for _, nonce := range d.nonces {
			o.Leaves = binary.LittleEndian.AppendUint64(o.Leaves, nonce)
			o.Leaves = append(o.Leaves, byte(i), byte(nonce))
			o.Leaves = append(o.Leaves, make([]byte, 30)...)
		}
		proof, err := commit.Multi(&trees[i], d.commit.Count, d.nonces)
		if err != nil {
			f.Fatal(err)
		}
		for _, h := range proof {
			o.Proof = append(o.Proof, h[:]...)
		}
		honest.Logs = append(honest.Logs, o)
	}
	if err := verifyOpening(transformer.Nano, drawn, honest.Logs); err != nil {
		f.Fatalf("the set-up: %v", err)
	}
	raw, err := honest.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var msg sprintv1.MsgOpen
		if msg.Unmarshal(raw) != nil || verifyOpening(transformer.Nano, drawn, msg.Logs) != nil {
			return
		}
		for i, o := range msg.Logs {
			if h := honest.Logs[i]; o.Node != h.Node || o.Segment != h.Segment || !bytes.Equal(o.Leaves, h.Leaves) || !bytes.Equal(o.Proof, h.Proof) {
				t.Fatalf("a second opening of log %s/%d was accepted", h.Node, h.Segment)
			}
		}
	})
}
