// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

func (n *network) duties(e sprintv1.Epoch, voter string, stream bool) []sprintv1.Duty {
	n.t.Helper()
	var all []sprintv1.Duty
	for page := (*query.PageRequest)(nil); ; {
		res, err := n.query().Duties(context.Background(),
			&sprintv1.QueryDutiesRequest{Epoch: e.Number, Voter: voter, Stream: stream,
				Pagination: page})
		if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, res.Duties...)
		if len(res.Pagination.NextKey) == 0 {
			return all
		}
		page = &query.PageRequest{Key: res.Pagination.NextKey}
	}
}

// opinion is what a voter says of one duty.
type opinion struct {
	target  string
	vote    sprintv1.Vote
	named   []int // positions of leaves said to be wrong, rising
	middles []byte
	leaves  int
}

// judge re-runs what it was drawn for and commits to the verdict.
func (h *host) judge(e sprintv1.Epoch, stream bool) []sdk.Msg {
	if !h.once(about("verdict", stream)) {
		return nil
	}
	duties := h.net.duties(e, h.addr, stream)
	if len(duties) == 0 {
		return nil
	}
	said := h.opinions(e, duties)
	if h.cheat.opinion != nil {
		h.cheat.opinion(said)
	}
	v, round := h.compose(e, said), uint32(1)
	if stream {
		round = 2
	}
	hash := seed.VerdictCommit(chainID, e.Number, round, h.addr, v.salt, v.body)
	if msg := bend(h.cheat.commitVerdict, &sprintv1.MsgCommitVerdict{Participant: h.addr,
		Epoch: e.Number, Hash: hash[:], Stream: stream}); msg != nil {
		h.said[stream] = v
		return []sdk.Msg{msg}
	}
	return nil
}

// compose puts opinions into a verdict.
func (h *host) compose(e sprintv1.Epoch, said []opinion) *verdict {
	v, body := &verdict{salt: seed.Seed(secret(fmt.Sprintf("salt/%d", e.Number), h.name))},
		&sprintv1.VerdictBody{}
	for d, o := range said {
		if o.vote == sprintv1.VoteUnspecified {
			continue
		}
		for len(body.Votes) < d {
			body.Votes = append(body.Votes, 0)
		}
		body.Votes = append(body.Votes, byte(o.vote))
		for _, leaf := range o.named {
			body.Mismatches = append(body.Mismatches,
				sprintv1.Mismatch{Duty: uint32(d), Leaf: uint32(leaf)})
		}
		if o.vote != sprintv1.VoteAbstain {
			v.middles = append(v.middles, o.middles...)
		}
	}
	if len(v.middles) > 0 {
		root := middlesTree(v.middles).Root()
		body.Middles = root[:]
	}
	var err error
	if v.body, err = body.Marshal(); err != nil {
		h.net.t.Fatal(err)
	}
	return v
}

func middlesTree(middles []byte) *commit.Log {
	t := &commit.Log{}
	for ; len(middles) > 0; middles = middles[8:] {
		t.Append(commit.LeafHash(middles[:8]))
	}
	return t
}

// opinions are honest ones on these duties.
func (h *host) opinions(e sprintv1.Epoch, duties []sprintv1.Duty) []opinion {
	var all []opinion
	for _, d := range duties {
		o := opinion{target: d.Target, leaves: len(d.Leaves)}
		shown, drawn := h.net.openedLeaves(e.Number, d.Target, isStream(d.Leaves[0]))
		named := map[string]uint64{}
		for i, ref := range d.Leaves {
			out := h.net.unit(e, ref)
			if !h.cheat.blind {
				h.found[ref] = out
			}
			middle := seed.Middle(chainID, e.Number, h.addr, ref.Participant, ref.Node, ref.Segment,
				ref.Nonce, out.Middle)
			o.middles = append(o.middles, middle[:]...)
			if was := shown[ref]; was.Norm == out.Norm && was.Digest == out.Digest {
				continue
			}
			if named[ref.Node] < 4 && len(o.named) < 6 {
				named[ref.Node]++
				o.named = append(o.named, i)
			}
		}
		o.vote = vote(e.Params, drawn, named)
		all = append(all, o)
	}
	return all
}

// vote leaves out nodes beyond the fault bound and judges what remains.
func vote(p sprintv1.Params, drawn, wrong map[string]uint64) sprintv1.Vote {
	var nodes []audit.Node
	for id, k := range drawn {
		nodes = append(nodes, audit.Node{ID: id, Drawn: k, Wrong: wrong[id]})
	}
	rule := audit.Rule{Fault: audit.Rate{Num: uint64(p.FaultRatePpm), Den: 1_000_000},
		Fail: audit.Rate{Num: 1, Den: p.FailPInverse}}
	if _, _, _, pass := rule.Judge(nodes); pass {
		return sprintv1.VotePass
	}
	return sprintv1.VoteFail
}

// shown is what a participant opened.
type shown struct {
	leaves map[courtv1.LeafRef]transformer.Output
	drawn  map[string]uint64 // by node
}

// openedLeaves pairs a participant's drawn leaves with what it opened for them, and counts them by
// node.
func (n *network) openedLeaves(epoch uint64, target string,
	stream bool) (map[courtv1.LeafRef]transformer.Output, map[string]uint64) {
	n.t.Helper()
	if n.shownIn != epoch {
		n.shownIn, n.shown = epoch, map[string]shown{}
	}
	if s, ok := n.shown[about(target, stream)]; ok {
		return s.leaves, s.drawn
	}
	refs := n.samples(epoch, target, stream)
	res, err := n.query().Opening(context.Background(),
		&sprintv1.QueryOpeningRequest{Epoch: epoch, Participant: target, Stream: stream})
	if err != nil {
		n.t.Fatal(err)
	}
	s := shown{map[courtv1.LeafRef]transformer.Output{}, map[string]uint64{}}
	i := 0
	for _, log := range res.Opening.Logs {
		for b := log.Leaves; len(b) > 0; b, i = b[record.Size:], i+1 {
			s.leaves[refs[i]] = transformer.Output{Record: record.At(b, 0)}
			s.drawn[refs[i].Node]++
		}
	}
	n.shown[about(target, stream)] = s
	return s.leaves, s.drawn
}

func (h *host) reveal(e sprintv1.Epoch, stream bool) []sdk.Msg {
	said := h.said[stream]
	if said == nil || !h.once(about("reveal", stream)) {
		return nil
	}
	msg := bend(h.cheat.reveal, &sprintv1.MsgRevealVerdict{Participant: h.addr, Epoch: e.Number,
		Salt: said.salt.Bytes(), Body: said.body, Stream: stream})
	if msg == nil {
		return nil
	}
	return []sdk.Msg{msg}
}

// openMiddles opens what the beacon drew of its middle digests, once.
func (h *host) openMiddles(e sprintv1.Epoch, stream bool) []sdk.Msg {
	if h.sent[about("middles", stream)] {
		return nil
	}
	msg := h.drawnMiddles(e, stream)
	if msg == nil || !h.once(about("middles", stream)) {
		return nil
	}
	if msg = bend(h.cheat.middles, msg); msg == nil {
		return nil
	}
	return []sdk.Msg{msg}
}

// drawnMiddles is what it opens of its middle digests; nil while none are drawn.
func (h *host) drawnMiddles(e sprintv1.Epoch, stream bool) *sprintv1.MsgOpenMiddles {
	said := h.said[stream]
	if len(e.Round.CheckMix) == 0 || said == nil || len(said.middles) == 0 {
		return nil
	}
	msg := &sprintv1.MsgOpenMiddles{Participant: h.addr, Epoch: e.Number, Stream: stream}
	var positions []uint64
	for _, p := range h.net.checks(e, h.addr, stream).Positions {
		positions = append(positions, uint64(p))
		msg.Middles = append(msg.Middles, said.middles[8*p:8*p+8]...)
	}
	if len(positions) == 0 {
		return nil
	}
	tree := middlesTree(said.middles)
	proof, err := commit.Multi(tree, tree.Size(), positions)
	if err != nil {
		h.net.t.Fatal(err)
	}
	for _, hash := range proof {
		msg.Proof = append(msg.Proof, hash[:]...)
	}
	return msg
}

func (n *network) checks(e sprintv1.Epoch, voter string,
	stream bool) *sprintv1.QueryChecksResponse {
	n.t.Helper()
	res, err := n.query().Checks(context.Background(),
		&sprintv1.QueryChecksRequest{Epoch: e.Number, Voter: voter, Stream: stream})
	if err != nil {
		n.t.Fatal(err)
	}
	return res
}

// dispute asks the chain about every wrong middle digest that others opened.
func (h *host) dispute(e sprintv1.Epoch, stream bool) []sdk.Msg {
	if !h.once(about("dispute", stream)) {
		return nil
	}
	var msgs []sdk.Msg
	for _, record := range h.net.verdictsOf(e.Number, stream) {
		if record.Voter == h.addr || record.OpenHeight == 0 {
			continue
		}
		for i, ref := range h.net.checks(e, record.Voter, stream).Leaves {
			out, known := h.found[ref]
			if !known {
				continue
			}
			want := seed.Middle(chainID, e.Number, record.Voter, ref.Participant, ref.Node,
				ref.Segment, ref.Nonce, out.Middle)
			if [8]byte(record.Opened[8*i:8*i+8]) != want {
				msgs = append(msgs, &sprintv1.MsgDispute{Participant: h.addr, Epoch: e.Number,
					Leaf: ref, Voter: record.Voter})
			}
		}
	}
	return msgs
}

func (n *network) verdictsOf(epoch uint64, stream bool) []sprintv1.VerdictRecord {
	n.t.Helper()
	var all []sprintv1.VerdictRecord
	for page := (*query.PageRequest)(nil); ; {
		res, err := n.query().Verdicts(context.Background(),
			&sprintv1.QueryVerdictsRequest{Epoch: epoch, Stream: stream, Pagination: page})
		if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, res.Records...)
		if len(res.Pagination.NextKey) == 0 {
			return all
		}
		page = &query.PageRequest{Key: res.Pagination.NextKey}
	}
}
