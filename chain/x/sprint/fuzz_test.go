// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// fuzzDuties are two targets with two nodes of six leaves each.
func fuzzDuties() []sprintv1.Duty {
	var duties []sprintv1.Duty
	for _, target := range []string{"cpc1a", "cpc1b"} {
		d := sprintv1.Duty{Target: target}
		for _, node := range []string{"gpu-1", "gpu-2"} {
			for nonce := range uint64(6) {
				d.Leaves = append(d.Leaves, courtv1.LeafRef{Participant: target, Node: node,
					Segment: 1, Nonce: nonce * 3})
			}
		}
		duties = append(duties, d)
	}
	return duties
}

// checked holds a verdict against duties whose leaves are all that was drawn of their targets.
func checked(body sprintv1.VerdictBody, duties []sprintv1.Duty) ([]courtv1.LeafRef, error) {
	return checkVerdict(ruleOf(DefaultParams()), body, owes(duties),
		func(i int) (sprintv1.Duty, []courtv1.LeafRef, error) {
			return duties[i], duties[i].Leaves, nil
		})
}

func owes(duties []sprintv1.Duty) (all []owed) {
	for i, d := range duties {
		all = append(all, owed{int32(i), uint16(len(d.Leaves)), 1})
	}
	return all
}

// FuzzVerdictBody: no bytes make the check panic, and what it lets through is a verdict on what
// fell to its voter, with names that the chain can judge, and no fail without names enough to be
// one.
func FuzzVerdictBody(f *testing.F) {
	duties := fuzzDuties()
	pass, fail, abstain := byte(sprintv1.VotePass), byte(sprintv1.VoteFail),
		byte(sprintv1.VoteAbstain)
	accusing := sprintv1.VerdictBody{Votes: []byte{pass, fail}, Middles: make([]byte, 32)}
	for _, leaf := range []uint32{2, 7} {
		accusing.Mismatches = append(accusing.Mismatches, sprintv1.Mismatch{Duty: 1, Leaf: leaf})
	}
	for _, b := range []sprintv1.VerdictBody{{Votes: []byte{pass, pass}, Middles: make([]byte, 32)},
		{Votes: []byte{abstain, abstain}}, {}, accusing} {
		if _, err := checked(b, duties); err != nil {
			f.Fatalf("the set-up: %v", err)
		}
		raw, err := b.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x0a, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var body sprintv1.VerdictBody
		if body.Unmarshal(raw) != nil {
			return
		}
		leaves, err := checked(body, duties)
		if err != nil {
			return
		}
		if len(leaves) != len(body.Mismatches) {
			t.Fatalf("%d names give %d leaves", len(body.Mismatches), len(leaves))
		}
		named := map[string]map[uint32]bool{}
		for _, m := range body.Mismatches {
			if int(m.Duty) >= len(body.Votes) || int(m.Leaf) >= len(duties[m.Duty].Leaves) {
				t.Fatalf("accepted the name %v", m)
			}
			key := fmt.Sprint(m.Duty, duties[m.Duty].Leaves[m.Leaf].Node)
			if named[key] == nil {
				named[key] = map[uint32]bool{}
			}
			if named[key][m.Leaf] || len(named[key]) == sprintv1.NamesPerNode ||
				body.Votes[m.Duty] == abstain || body.Votes[m.Duty] == 0 {
				t.Fatalf("accepted the name %v", m)
			}
			named[key][m.Leaf] = true
			if leaf := duties[m.Duty].Leaves[m.Leaf]; !slices.Contains(leaves, leaf) {
				t.Fatalf("%v is named, and goes to no court", leaf)
			}
		}
		judges := false
		for d, vote := range body.Votes {
			if d >= len(duties) || vote > abstain {
				t.Fatalf("accepted vote %d on duty %d", vote, d)
			}
			if vote == fail && len(named[fmt.Sprint(d, "gpu-1")])+
				len(named[fmt.Sprint(d, "gpu-2")]) < 2 {
				t.Fatalf("accepted a fail that names %v", body.Mismatches)
			}
			judges = judges || vote == pass || vote == fail
		}
		if judges != (len(body.Middles) == 32) {
			t.Fatalf("accepted %d bytes of root, judging: %v", len(body.Middles), judges)
		}
	})
}

// FuzzOpening: no bytes make the check panic, and the only opening it lets through is the honest
// one: leaves and multiproof follow from the root and the draw.
func FuzzOpening(f *testing.F) {
	logs := []sprintv1.Commit{{Node: "gpu-1", Segment: 1, Count: 37},
		{Node: "gpu-1", Segment: 2, Count: 1}, {Node: "gpu-2", Segment: 1, Count: 64}}
	trees := make([]commit.Log, len(logs))
	for i := range logs {
		for nonce := range logs[i].Count {
			trees[i].Append(record.Leaf{Class: transformer.Nano.ID, Node: logs[i].Node,
				Index: nonce, Record: record.Record{Norm: nonce,
					Digest: [32]byte{byte(i), byte(nonce)}}}.Hash())
		}
		root := trees[i].Root()
		logs[i].Root = root[:]
	}
	drawn := drawLeaves("chain", 1, "cpc1a", seed.Seed{1}, 20, logs)
	honest := sprintv1.MsgOpen{}
	for _, d := range drawn {
		i := slices.IndexFunc(logs, func(c sprintv1.Commit) bool {
			return c.Node == d.commit.Node && c.Segment == d.commit.Segment
		})
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
			if h := honest.Logs[i]; o.Node != h.Node || o.Segment != h.Segment ||
				!bytes.Equal(o.Leaves, h.Leaves) || !bytes.Equal(o.Proof, h.Proof) {
				t.Fatalf("a second opening of log %s/%d was accepted", h.Node, h.Segment)
			}
		}
	})
}
