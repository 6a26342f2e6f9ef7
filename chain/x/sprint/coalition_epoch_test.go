// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"math"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// play is what a name does in an epoch. The zero value is honest, and computes all it can.
type play struct {
	away bool // does not report ready
	idle bool // reports ready and commits nothing
	// commits so many, of so many of its side, new or old as it is, who may commit; nil: what it
	// computes
	leaves func(mates int) uint64
	closed bool // does not open its leaves
	// as a judge
	silent   bool // reveals no verdict
	unopened bool // reveals one and does not open its middle digests
	// says this of a target; nil or VoteUnspecified: what it found
	vote   func(*party) sprintv1.Vote
	judges func(duty, duties int) bool // has time for this duty; nil: for all
}

// sets sees what CometBFT is told, set by set.
type sets func(told map[string]uint64)

// epoch plays one: moves says what each does.
func (w *world) epoch(moves func(number uint64, p *party) play, watch sets) sprintv1.Epoch {
	clear(w.judged)
	w.left = must(w.Params(w.ctx)).JudgeMiopsPerBlock * disputeStretch * uint64(
		DefaultParams().DisputeBlocks) / w.class.MiOps()
	w.block(w.ctx.BlockHeight() + 1)
	for len(must(w.sprint.epoch(w.ctx)).Seed1) == 0 {
		w.block(w.ctx.BlockHeight() + 1)
	}
	e := must(w.sprint.epoch(w.ctx))
	plays := map[string]play{}
	for _, p := range w.parties {
		does := moves(e.Number, p)
		if plays[p.name] = does; !does.away {
			w.ready(e, p)
		}
	}
	e = w.reach(sprintv1.PhaseCompute)
	w.commit(e, plays)
	if e = w.reach(sprintv1.PhaseProof); e.Phase == sprintv1.PhaseProof {
		w.open(e, plays)
	}
	if e = w.reach(sprintv1.PhaseValidate); e.Phase == sprintv1.PhaseValidate {
		w.verdicts(e, plays)
	}
	e = w.reach(sprintv1.PhaseFinalised)
	w.settle(watch)
	return e
}

// block ends one at a height.
func (w *world) block(h int64) {
	w.ctx = w.ctx.WithBlockHeight(h).WithEventManager(sdk.NewEventManager())
	check(w.sprint.EndBlock(w.ctx))
}

// reach goes to the first block of a phase or of one behind it, from one deadline to the next.
func (w *world) reach(phase sprintv1.Phase) sprintv1.Epoch {
	for {
		e := must(w.sprint.epoch(w.ctx))
		if e.Phase >= phase {
			return e
		}
		_, until := Reason(e, w.ctx.BlockHeight())
		w.block(max(w.ctx.BlockHeight()+1, until))
	}
}

// settle ends blocks until nothing changes in CometBFT's set any longer, as long as the next epoch
// takes at least.
func (w *world) settle(watch sets) {
	for range 120 {
		w.ctx = w.ctx.WithBlockHeight(w.ctx.BlockHeight() + 1)
		updates := must(w.credit.EndBlock(w.ctx))
		if len(updates) == 0 {
			return
		}
		for _, u := range updates {
			name := w.byKey[string(u.PubKey.GetEd25519())].name
			if w.told[name] = uint64(u.Power); u.Power == 0 {
				delete(w.told, name)
			}
		}
		watch(w.told)
	}
}

// ready writes what MsgReady writes.
func (w *world) ready(e sprintv1.Epoch, p *party) {
	m, err := w.sprint.announced(w.ctx, e, p.record)
	if err != nil {
		return // jailed, or the lottery's pause
	}
	check(w.Mark(w.ctx, p.name, func(r *registryv1.Participant) { r.HeartbeatEpoch = e.Number }))
	if m.Role == sprintv1.RoleNewcomer {
		m.Locked = must(w.sprint.lockForLottery(w.ctx, p.name))
	}
	m.Live = true
	check(w.sprint.setMember(w.ctx, e.Number, m))
}

// commit writes what MsgCommit writes, in one log each, within what the participant may commit in
// all segments.
func (w *world) commit(e sprintv1.Epoch, plays map[string]play) {
	in, mates := map[string]sprintv1.Member{}, map[[2]bool]int{}
	for _, p := range w.parties {
		if m, ok := w.member(e, p.name); ok && allowed(m) && !plays[p.name].away &&
			!plays[p.name].idle {
			in[p.name] = m
			mates[[2]bool{p.coal, p.born > 0}]++
		}
	}
	for _, p := range w.parties {
		m, ok := in[p.name]
		if !ok {
			continue
		}
		// no machine is as fast every time
		count := p.leaves * (9_900 + w.rng.Uint64N(201)) / 10_000
		if does := plays[p.name]; does.leaves != nil {
			count = does.leaves(mates[[2]bool{p.coal, p.born > 0}])
		}
		if count = min(count, sprintv1.MayCommit(m.Credited, e.Params.Segments,
			w.class.MiOps())*uint64(e.Params.Segments)); count == 0 {
			continue
		}
		key := logKeyOf(e.Number, &sprintv1.MsgCommit{Participant: p.name, Node: "gpu", Segment: 1})
		check(w.sprint.commits.Set(w.ctx, key, sprintv1.Commit{Participant: p.name, Node: "gpu",
			Segment: 1, Count: count}))
		m.Leaves = count
		check(w.sprint.setMember(w.ctx, e.Number, m))
	}
}

// open writes what MsgOpen writes, without the leaves: the court knows them.
func (w *world) open(e sprintv1.Epoch, plays map[string]play) {
	for _, p := range w.parties {
		m, ok := w.member(e, p.name)
		if !ok || !isTarget(e, m) || plays[p.name].closed {
			continue
		}
		m.Opened = true
		check(w.sprint.setMember(w.ctx, e.Number, m))
		check(w.sprint.note(w.ctx, func(p *sprintv1.Progress) { p.HoldersOpened++ }))
	}
}

// verdicts writes what the verdicts' messages write, and puts what they name before the court.
func (w *world) verdicts(e sprintv1.Epoch, plays map[string]play) {
	a := must(w.sprint.assembly(w.ctx, e, ofSprint))
	refs := make([][]courtv1.LeafRef, len(a.targets))
	wrong := make([]bool, len(a.targets)) // some of its drawn leaves are
	for t, target := range a.targets {
		if w.byName[target.name].wrong > 0 {
			refs[t] = w.drawn(e, target.name)
			wrong[t] = slices.ContainsFunc(refs[t],
				func(l courtv1.LeafRef) bool { return w.forged(e.Number, l) })
		}
	}
	type claim struct {
		voter string
		leaf  courtv1.LeafRef
	}
	var claims []claim
	for v, voter := range a.voters {
		duties := a.duties[v]
		if len(duties) == 0 || plays[voter.name].silent {
			continue
		}
		does, r := plays[voter.name],
			sprintv1.VerdictRecord{Voter: voter.name, RevealHeight: w.ctx.BlockHeight(),
				Body: &sprintv1.VerdictBody{}}
		for d, owed := range duties {
			t := owed.target
			target, vote := w.byName[a.targets[t].name], sprintv1.VoteUnspecified
			if does.vote != nil {
				vote = does.vote(target)
			}
			if does.judges != nil && !does.judges(d, len(duties)) {
				vote = sprintv1.VoteAbstain
			}
			switch vote {
			case sprintv1.VoteUnspecified:
				vote = sprintv1.VotePass
				if !wrong[t] {
					break
				}
				named := map[string]uint64{}
				for _, at := range a.positions(v, t) {
					if leaf := refs[t][at]; named[leaf.Node] < sprintv1.NamesPerNode &&
						w.forged(e.Number, leaf) {
						named[leaf.Node]++
						claims = append(claims, claim{voter.name, leaf})
					}
				}
				if !passes(ruleOf(e.Params), refs[t], named) {
					vote = sprintv1.VoteFail
				}
			case sprintv1.VoteFail:
				// a false one names leaves, and the first that is judged refutes it
				claims = append(claims,
					claim{voter.name, w.drawn(e, target.name)[a.positions(v, t)[0]]})
			}
			r.Body.Votes = append(r.Body.Votes, byte(vote))
			if vote != sprintv1.VoteAbstain {
				r.Leaves++ // how many it is matters to nobody here
			}
		}
		if !does.unopened {
			r.OpenHeight = w.ctx.BlockHeight()
		}
		check(w.sprint.of[ofSprint].verdicts.Set(w.ctx, memberKeyOf(e.Number, voter.name), r))
		w.middles(e, voter.name, a, v, r)
	}
	refuted := map[string]bool{}
	for _, c := range claims {
		if refuted[c.voter] {
			continue
		}
		check(w.File(w.ctx, courtv1.Claim{Epoch: e.Number, Leaf: c.leaf, Claimant: c.voter,
			Source: courtv1.SourceVerdict}))
		refuted[c.voter] = !w.judged[c.leaf].Mismatch
	}
}

// middles has everybody dispute the drawn middle digests that a voter's hardware got wrong.
func (w *world) middles(e sprintv1.Epoch, name string, a *assembly, v int,
	r sprintv1.VerdictRecord) {
	p := w.byName[name]
	if p.wrong == 0 || r.Leaves == 0 || r.OpenHeight == 0 {
		return
	}
	for at := range uint32(middleChecks) {
		if w.random("middle", e.Number, name, at) < p.wrong {
			check(w.sprint.wrongMiddle(w.ctx, e.Number, name, at,
				courtv1.LeafRef{Participant: a.targets[a.duties[v][0].target].name,
					Node: "gpu", Segment: 1}, ""))
		}
	}
}

// drawn lists a target's drawn leaves.
func (w *world) drawn(e sprintv1.Epoch, name string) []courtv1.LeafRef {
	m, _ := w.member(e, name)
	return leafRefs(name, must(w.sprint.sampled(w.ctx, e, ofSprint, claimOf(e, m))))
}

// lots are n parts of a whole: equal ones, or as unequal as incomes are, four fifths of all with
// the richest fifth.
func lots(n int, equal bool, whole uint64) []uint64 {
	sizes, sum := make([]float64, n), 0.0
	for i := range sizes {
		if sizes[i] = 1; !equal { // Pareto's law at 1.16, by quantiles
			sizes[i] = math.Pow((float64(i)+.5)/float64(n), -1/1.16)
		}
		sum += sizes[i]
	}
	parts := make([]uint64, n)
	for i := range parts {
		parts[i] = uint64(sizes[i] / sum * float64(whole))
	}
	return parts
}
