// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// disputeStretch is how many times its length the dispute window grows to while the chain judges.
const disputeStretch = 4

// votingRules are those by which votes are capped: a cap of a quarter, and nobody lifted above 6/5
// of its weight.
func votingRules() credit.Rules {
	r := credit.DefaultRules()
	r.TotalPower = 1 << 40 // fine enough that no voter rounds to nothing
	return r
}

// eligible voters: live, with weight at the epoch's start, not jailed. Rising by address as the
// roster is.
func eligible(m sprintv1.Member) bool { return m.Live && m.Weight > 0 && !m.Jailed }

// assembly draws the committees of an epoch whose mix is known, or remembers them.
func (k *Keeper) assembly(ctx context.Context, e sprintv1.Epoch, s subject) (*assembly, error) {
	mix := s.mix(e.Round.Mix)
	return remember(&k.drawn, e.Number, func(m *cache) map[seed.Seed]*assembly {
		return m.assemblies
	}, mix, func() (*assembly, error) {
		class, err := transformer.ByName(e.Params.Class)
		if err != nil {
			return nil, err
		}
		roster, err := k.roster(ctx, e.Number)
		if err != nil {
			return nil, err
		}
		claims, err := k.claims(ctx, e, s)
		if err != nil {
			return nil, err
		}
		var voters []voter
		var targets []target
		for _, m := range roster {
			if eligible(m) {
				voters = append(voters, voter{m.Participant, m.Weight,
					ownPart(ownLeaves(m.Credited, class), e, s)})
			}
		}
		for _, c := range claims {
			if c.Opened {
				targets = append(targets, target{c.Participant, drawnOf(e, s, c)})
			}
		}
		return assemble(chainID(ctx), e.Number, mix, int(e.Params.Slots), int(e.Replicas),
			e.Round.Everyone, capped(voters, votingRules()), targets), nil
	})
}

// docket is what fell to a voter to judge. What a duty's leaves are is read when it is asked for:
// for most of what a message needs it is enough to know how many there are.
type docket struct {
	k    *Keeper
	e    sprintv1.Epoch
	s    subject
	a    *assembly
	v    int // the voter's position among the voters
	owed []owed
}

// docketOf is empty when nothing fell to a voter.
func (k *Keeper) docketOf(ctx context.Context, e sprintv1.Epoch, s subject,
	name string) (docket, error) {
	d := docket{k: k, e: e, s: s}
	if len(e.Round.Mix) == 0 {
		return d, nil
	}
	var err error
	if d.a, err = k.assembly(ctx, e, s); err != nil {
		return d, err
	}
	if v, ok := d.a.find(name); ok {
		d.v, d.owed = v, d.a.duties[v]
	}
	return d, nil
}

// duty is one of them with its leaves, and all leaves that were drawn of its target.
func (d docket) duty(ctx context.Context, i int) (duty sprintv1.Duty,
	drawn []courtv1.LeafRef, err error) {
	t := d.owed[i].target
	target := d.a.targets[t].name
	m, err := d.k.members.Get(ctx, memberKeyOf(d.e.Number, target))
	// whose machines are gone may have left a stream
	if err != nil && !(d.s == ofStream && errors.Is(err, collections.ErrNotFound)) {
		return duty, nil, err
	}
	c, err := d.k.claim(ctx, d.e, d.s, target)
	if err != nil {
		return duty, nil, err
	}
	logs, err := d.k.sampled(ctx, d.e, d.s, c)
	if err != nil {
		return duty, nil, err
	}
	drawn = leafRefs(target, logs)
	duty = sprintv1.Duty{Target: target, Weight: m.Weight}
	for _, j := range d.a.positions(d.v, t) {
		duty.Leaves = append(duty.Leaves, drawn[j])
	}
	return duty, drawn, nil
}

// judges: a vote that says something of the leaves.
func judges(vote byte) bool {
	return sprintv1.Vote(vote) == sprintv1.VotePass || sprintv1.Vote(vote) == sprintv1.VoteFail
}

// rerun counts the leaves of the duties that a verdict judges: those under its root of middle
// digests.
func rerun(owed []owed, votes []byte) (n int) {
	for i := range votes {
		if judges(votes[i]) {
			n += int(owed[i].leaves)
		}
	}
	return n
}

// leavesAt are some of the leaves that a verdict judges, by their positions under its root, which
// rise.
func (d docket) leavesAt(ctx context.Context, votes []byte, positions []uint64) ([]courtv1.LeafRef,
	error) {
	out := make([]courtv1.LeafRef, 0, len(positions))
	base := uint64(0)
	for i := 0; i < len(votes) && len(out) < len(positions); i++ {
		if !judges(votes[i]) {
			continue
		}
		end := base + uint64(d.owed[i].leaves)
		if positions[len(out)] < end {
			duty, _, err := d.duty(ctx, i)
			if err != nil {
				return nil, err
			}
			for len(out) < len(positions) && positions[len(out)] < end {
				out = append(out, duty.Leaves[positions[len(out)]-base])
			}
		}
		base = end
	}
	return out, nil
}

// checks returns which of a verdict's middle digests its voter opens, rising.
func checks(chain string, e sprintv1.Epoch, s subject, r sprintv1.VerdictRecord) []uint64 {
	if len(e.Round.CheckMix) == 0 || r.RevealHeight == 0 {
		return nil
	}
	return audit.Draw(seed.Check(chain, e.Number, r.Voter, s.mix(e.Round.CheckMix)),
		uint64(r.Leaves), middleChecks)
}

// opinions is what every voter of an assembly said, and who is out of both sides.
func (k *Keeper) opinions(ctx context.Context, e sprintv1.Epoch, s subject,
	a *assembly) (said []opinion, records []sprintv1.VerdictRecord, err error) {
	said, records = make([]opinion, len(a.voters)), make([]sprintv1.VerdictRecord, len(a.voters))
	for v := range a.voters {
		m, err := k.members.Get(ctx, memberKeyOf(e.Number, a.voters[v].name))
		if err != nil {
			return nil, nil, err
		}
		said[v].out = convicted(m) || len(m.WrongMiddles) > 0
		r, err := k.of[s].verdicts.Get(ctx, memberKeyOf(e.Number, a.voters[v].name))
		if errors.Is(err, collections.ErrNotFound) {
			continue // nothing fell to it
		} else if err != nil {
			return nil, nil, err
		}
		records[v] = r
		if r.Body != nil {
			said[v].votes = r.Body.Votes
		}
		if unopened(e, r) {
			said[v].out, said[v].votes = true, nil
		}
	}
	return said, records, nil
}

// unopened: the middle digests that the beacon drew of a verdict were not opened in time.
func unopened(e sprintv1.Epoch, r sprintv1.VerdictRecord) bool {
	return r.Leaves > 0 && r.OpenHeight == 0 && e.Round.CheckUntil > 0 && e.Round.DisputeStart > 0
}

// wrongOf counts a target's proven mismatches, node by node in the order of its logs, among those
// of its drawn leaves that a filter takes.
func wrongOf(participant string, drawn []drawnLog, wrong []courtv1.Judgement,
	takes func(courtv1.LeafRef) bool) []audit.Node {
	bad := map[courtv1.LeafRef]bool{}
	for _, j := range wrong {
		if j.Mismatch {
			bad[j.Leaf] = true
		}
	}
	var nodes []audit.Node
	for _, d := range drawn {
		if n := len(nodes); n == 0 || nodes[n-1].ID != d.commit.Node {
			nodes = append(nodes, audit.Node{ID: d.commit.Node})
		}
		node := &nodes[len(nodes)-1]
		for _, nonce := range d.nonces {
			leaf := courtv1.LeafRef{Participant: participant, Node: d.commit.Node,
				Segment: d.commit.Segment, Nonce: nonce}
			if takes != nil && !takes(leaf) {
				continue
			}
			node.Drawn++
			if bad[leaf] {
				node.Wrong++
			}
		}
	}
	return nodes
}

// unjudgedClaim is one that its committee neither passed nor proved wrong.
type unjudgedClaim struct {
	s     subject
	claim sprintv1.Claim
}

// appeal puts before the court those who opened and whom their committee neither passed nor proved
// wrong: drawn leaves of each, newcomers first, as many as the court has time for. It says whether
// there were new ones.
func (k *Keeper) appeal(ctx context.Context, e sprintv1.Epoch) (more bool, err error) {
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return false, err
	}
	if class.MiOps() > e.Params.WholeUnitMiops {
		return false, nil
	}
	var all []unjudgedClaim
	var holders []unjudgedClaim
	for _, s := range judged(e) {
		of, err := k.work(ctx, e, s)
		if err != nil {
			return false, err
		}
		// the court's room is counted in units of this epoch's class
		if of.Params.Class != e.Params.Class {
			continue
		}
		without, with, err := k.left(ctx, e, s)
		if err != nil {
			return false, err
		}
		all, holders = append(all, without...), append(holders, with...)
	}
	if all = append(all, holders...); len(all) == 0 {
		return false, nil
	}
	p, err := k.court.Params(ctx)
	if err != nil {
		return false, err
	}
	room := int(p.JudgeMiopsPerBlock * disputeStretch * uint64(
		e.Params.DisputeBlocks) / class.MiOps() / leastSamples)
	// the court has no time for more; the rest keeps what an unjudged holder keeps
	all = all[:min(len(all), max(1, room))]
	n := chainSamples(p.JudgeMiopsPerBlock, uint64(e.Params.DisputeBlocks), class, uint64(len(all)))
	orders := make([][]courtv1.LeafRef, len(all))
	for i, u := range all {
		drawn, err := k.sampled(ctx, e, u.s, u.claim)
		if err != nil {
			return false, err
		}
		refs := leafRefs(u.claim.Participant, drawn)
		u.claim.ChainSamples = uint32(min(n, uint64(len(refs))))
		if err := k.setClaim(ctx, e, u.s, u.claim); err != nil {
			return false, err
		}
		orders[i] = recheckOrder(chainID(ctx), e, u.s, u.claim, refs)
	}
	// the least that decides for everyone first, then the rest
	for _, part := range []struct{ from, to int }{{0, leastSamples}, {leastSamples, int(n)}} {
		for _, order := range orders {
			for i := part.from; i < min(part.to, len(order)); i++ {
				if err := k.file(ctx, e, courtv1.Claim{Leaf: order[i],
					Source: courtv1.SourceChain}); err != nil {
					return false, err
				}
			}
		}
	}
	return true, nil
}

// left lists the claims on a subject that were opened and neither passed nor proven wrong: of those
// without weight, and of holders.
func (k *Keeper) left(ctx context.Context, e sprintv1.Epoch, s subject) (without,
	with []unjudgedClaim, err error) {
	a, err := k.assembly(ctx, e, s)
	if err != nil {
		return nil, nil, err
	}
	said, _, err := k.opinions(ctx, e, s, a)
	if err != nil {
		return nil, nil, err
	}
	for t, result := range a.count(said) {
		if result.passed() {
			continue
		}
		name := a.targets[t].name
		c, err := k.claim(ctx, e, s, name)
		if err != nil {
			return nil, nil, err
		}
		if guilty, err := k.guilty(ctx, e.Number, name); err != nil {
			return nil, nil, err
		} else if c.ChainSamples > 0 || guilty {
			continue
		}
		wrong, err := k.court.Judgements(ctx, s.epoch(e.Number), name)
		if err != nil {
			return nil, nil, err
		}
		drawn, err := k.sampled(ctx, e, s, c)
		if err != nil {
			return nil, nil, err
		}
		if _, _, _, pass := ruleOf(e.Params).Judge(wrongOf(name, drawn, wrong, nil)); !pass {
			continue // proven wrong
		}
		m, err := k.members.Get(ctx, memberKeyOf(e.Number, name))
		if err != nil && !errors.Is(err, collections.ErrNotFound) {
			return nil, nil, err
		}
		if m.Weight == 0 {
			without = append(without, unjudgedClaim{s, c})
		} else {
			with = append(with, unjudgedClaim{s, c})
		}
	}
	return without, with, nil
}

// file puts a claim on a leaf before the court, which an epoch hears.
func (k *Keeper) file(ctx context.Context, e sprintv1.Epoch, c courtv1.Claim) error {
	c.Epoch, c.HeardIn = subjectOf(c.Leaf).epoch(e.Number), e.Number
	return k.court.File(ctx, c)
}

// recheckOrder lists the leaves of a claim that the chain recomputes, in the order in which it
// does.
func recheckOrder(chain string, e sprintv1.Epoch, s subject, c sprintv1.Claim,
	refs []courtv1.LeafRef) []courtv1.LeafRef {
	out := make([]courtv1.LeafRef, 0, c.ChainSamples)
	for _, at := range audit.Shuffle(seed.Recheck(chain, e.Number, c.Participant,
		s.mix(e.Round.Mix)), len(refs)) {
		if len(out) == int(c.ChainSamples) {
			break
		}
		out = append(out, refs[at])
	}
	return out
}

// rechecked returns which of a claim's leaves the chain wanted to recompute and did.
func (k *Keeper) rechecked(ctx context.Context, e sprintv1.Epoch, s subject, c sprintv1.Claim,
	drawn []drawnLog) (map[courtv1.LeafRef]bool, error) {
	judged := map[courtv1.LeafRef]bool{}
	for _, leaf := range recheckOrder(chainID(ctx), e, s, c, leafRefs(c.Participant, drawn)) {
		if _, ok, err := k.court.Judgement(ctx, s.epoch(e.Number), leaf); err != nil {
			return nil, err
		} else if ok {
			judged[leaf] = true
		}
	}
	return judged, nil
}

// enough: so many recomputed leaves of a claim decide.
func enough(c sprintv1.Claim, judged int) bool {
	return judged >= min(leastSamples, int(c.ChainSamples)) && judged > 0
}

// heard reports whether the court is done with all claims of members, and with enough leaves of
// everybody that the chain judges.
func (k *Keeper) heard(ctx context.Context, e sprintv1.Epoch) (bool, error) {
	waits, err := k.court.Pending(ctx)
	if err != nil || !waits {
		return !waits, err
	}
	if members, err := k.court.PendingOfMembers(ctx); err != nil || members {
		return false, err
	}
	for _, s := range judged(e) {
		claims, err := k.claims(ctx, e, s)
		if err != nil {
			return false, err
		}
		for _, c := range claims {
			if c.ChainSamples == 0 {
				continue
			}
			if guilty, err := k.guilty(ctx, e.Number, c.Participant); err != nil {
				return false, err
			} else if guilty {
				continue
			}
			drawn, err := k.sampled(ctx, e, s, c)
			if err != nil {
				return false, err
			}
			judged, err := k.rechecked(ctx, e, s, c, drawn)
			if err != nil || !enough(c, len(judged)) {
				return false, err
			}
		}
	}
	return true, nil
}
