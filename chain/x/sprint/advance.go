// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// EndBlock moves the epoch as far as this block takes it.
func (k *Keeper) EndBlock(ctx context.Context) error {
	e, err := k.epoch(ctx)
	if err != nil {
		return err
	}
	if e.Number == 0 || e.Phase >= sprintv1.PhaseFinalised && height(ctx) >= e.NextStart() {
		return k.begin(ctx, e.Number+1)
	}
	if err := k.prune(ctx, e); err != nil {
		return err
	}
	before := e.Phase
	if e.Phase >= sprintv1.PhaseFinalised {
		e.Phase = sprintv1.PhaseServe
	} else if err := k.advance(ctx, &e); err != nil {
		return fmt.Errorf("sprint: epoch %d in %s: %w", e.Number, before.Word(), err)
	}
	if e.Phase != before {
		emit(ctx, "phase", "epoch", fmt.Sprint(e.Number), "phase", e.Phase.Word())
	}
	return k.epochs.Set(ctx, e.Number, e)
}

// begin opens an epoch: the parameters of every module and the holders of weight are frozen before
// Seed_1 can be known. Everybody else becomes a member by announcing itself.
func (k *Keeper) begin(ctx context.Context, number uint64) error {
	frozen, err := k.frozen.Get(ctx)
	if err != nil {
		return fmt.Errorf("sprint: frozen parameters: %w", err)
	}
	params, err := k.params.Get(ctx)
	if err != nil {
		return fmt.Errorf("sprint: parameters: %w", err)
	}
	if err := k.frozen.Set(ctx, params); err != nil {
		return err
	}
	for _, adopt := range []func(context.Context) error{k.registry.Adopt,
		k.credit.Adopt, k.court.Adopt,
		func(ctx context.Context) error { return k.collateral.AdoptAt(ctx, number) }} {
		if err := adopt(ctx); err != nil {
			return fmt.Errorf("sprint: parameters of epoch %d: %w", number, err)
		}
	}
	if err := k.stream.Begin(ctx, number); err != nil {
		return fmt.Errorf("sprint: terms of the stream of epoch %d: %w", number, err)
	}
	if err := k.registry.Rotate(ctx, number); err != nil {
		return fmt.Errorf("sprint: keys of epoch %d: %w", number, err)
	}
	e := sprintv1.Epoch{Number: number, Params: frozen, Phase: sprintv1.PhasePrepare,
		Start: height(ctx)}
	progress := sprintv1.Progress{}
	if err := k.credit.Walk(ctx, func(h creditv1.Holding) (bool, error) {
		if h.Weight == 0 {
			return false, nil
		}
		p, err := k.registry.Get(ctx, h.Participant)
		if errors.Is(err, registry.ErrUnknown) || err == nil && !p.TakesPart(number) {
			return false, nil // it left
		} else if err != nil {
			return false, err
		}
		m := freeze(number, p, h)
		if m.Expected = !m.Jailed; number > 1 && m.Expected {
			last, err := k.members.Get(ctx, memberKeyOf(number-1, m.Participant))
			if err != nil && !errors.Is(err, collections.ErrNotFound) {
				return false, err
			}
			m.Expected = last.Live
		}
		if m.Expected {
			progress.Expected++
		}
		e.TotalWeight += m.Weight
		if err := k.registry.Announce(ctx, m.Participant, number); err != nil {
			return false, err
		}
		return false, k.setMember(ctx, number, m)
	}); err != nil {
		return fmt.Errorf("sprint: freezing the holders of epoch %d: %w", number, err)
	}
	if err := k.registry.Lapse(ctx, number); err != nil {
		return fmt.Errorf("sprint: registrations that lapse: %w", err)
	}
	if err := k.progress.Set(ctx, progress); err != nil {
		return err
	}
	if err := k.current.Set(ctx, number); err != nil {
		return err
	}
	emit(ctx, "phase", "epoch", fmt.Sprint(number), "phase", e.Phase.Word())
	return k.epochs.Set(ctx, number, e)
}

// freeze makes a member of a registered participant, as it is at the epoch's begin.
func freeze(number uint64, p registryv1.Participant, h creditv1.Holding) sprintv1.Member {
	m := sprintv1.Member{Participant: p.Address, Moniker: p.Moniker, HostKey: p.HostKey,
		ConsensusKey: p.ConsensusKey,
		Weight:       h.Weight, Power: h.Power, Credited: h.Credited,
		Jailed: p.JailedUntil > number}
	for _, n := range p.NodesAt(number) {
		m.Nodes = append(m.Nodes, n.Id)
	}
	switch {
	case m.Weight > 0:
		m.Role = sprintv1.RoleHolder
	case p.CreditedEpoch > 0 && p.CreditedEpoch+returnEpochs >= number:
		m.Role = sprintv1.RoleReturning
	default:
		m.Role = sprintv1.RoleNewcomer
	}
	return m
}

// advance moves the phase at the end of a block. Each case fixes the boundaries of the next phase.
// What it asks in every block it asks of Progress; members are read when a phase turns.
func (k *Keeper) advance(ctx context.Context, e *sprintv1.Epoch) error {
	h := height(ctx)
	p, err := k.progress.Get(ctx)
	if err != nil {
		return fmt.Errorf("progress: %w", err)
	}
	r := &e.Round
	switch e.Phase {
	case sprintv1.PhasePrepare:
		return k.prepare(ctx, e, p, h)
	case sprintv1.PhaseCompute:
		for i := range e.Segments {
			s := &e.Segments[i]
			if h == s.Start && len(s.Seed) == 0 {
				value, err := k.beacon.Value(ctx, h)
				if err != nil {
					return err
				}
				segment := seed.Segment(seed.From(e.Seed2), s.Index, value)
				s.Seed = segment[:]
			}
		}
		if h >= e.ComputeEnd {
			e.Phase = sprintv1.PhaseWrapUp
		}
	case sprintv1.PhaseWrapUp:
		if h >= e.WrapupUntil || p.LastCommits == p.Nodes {
			e.WrapupUntil = h
			e.Phase = sprintv1.PhaseChallenge
		}
	case sprintv1.PhaseChallenge:
		return k.challenge(ctx, e, h)
	case sprintv1.PhaseProof:
		newcomers := p.NewcomersOpened == p.NewcomersOwe ||
			h >= e.ChallengeHeight+quarter(e.ProofUntil-e.ChallengeHeight)
		if h < e.ProofUntil && !(p.HoldersOpened == p.HoldersOwe && newcomers) {
			return nil
		}
		e.ProofUntil = h
		return k.close(ctx, e, p, h)
	case sprintv1.PhaseDraw:
		return k.draw(ctx, e, h)
	case sprintv1.PhaseValidate:
		if h >= r.ValidateUntil || p.Committed == r.Members {
			r.ValidateUntil, r.RevealUntil = h, h+int64(e.Params.RevealBlocks)
			e.Phase = sprintv1.PhaseReveal
		}
	case sprintv1.PhaseReveal:
		if h >= r.RevealUntil || p.Revealed == p.Committed {
			r.RevealUntil = h
			e.Phase = sprintv1.PhaseCheck
		}
	case sprintv1.PhaseCheck:
		return k.check(ctx, e, p, h)
	case sprintv1.PhaseDispute:
		return k.conclude(ctx, e, h)
	}
	return nil
}

// quarter of a window, for which everybody's proven weight is waited for and newcomers are too.
func quarter(window int64) int64 { return max(3, window/4) }

// prepare draws Seed_1, waits for readiness, draws Seed_2 and lays out the window.
func (k *Keeper) prepare(ctx context.Context, e *sprintv1.Epoch, p sprintv1.Progress,
	h int64) error {
	switch {
	case len(e.Seed1) == 0:
		mix, _, ok, err := k.beacon.Mix(ctx, e.Start)
		if err != nil || !ok {
			return err
		}
		seed1 := seed.Sprint1(chainID(ctx), e.Number, mix)
		e.Seed1, e.Seed1Height = seed1[:], h
		e.PrepareUntil = h + int64(e.Params.PrepareBlocks)
		return nil
	case e.ReadyHeight == 0:
		everybody := p.Expected > 0 && p.ExpectedReady == p.Expected
		most := h >= e.Seed1Height+int64(e.Params.PrepareBlocks)/2 && e.TotalWeight > 0 &&
			share(p.ReadyWeight, e.TotalWeight) >= uint64(e.Params.ReadyBps)
		if h >= e.PrepareUntil || everybody || most {
			e.ReadyHeight = h
		}
		return nil
	}
	mix, _, ok, err := k.beacon.Mix(ctx, e.ReadyHeight)
	if err != nil || !ok {
		return err
	}
	if err := k.admit(ctx, e, mix); err != nil {
		return err
	}
	seed2 := seed.Sprint2(chainID(ctx), e.Number, mix)
	e.Seed2, e.ComputeStart = seed2[:], h+1
	for i := uint32(0); i < e.Params.Segments; i++ {
		start := e.ComputeStart + int64(i)*int64(e.Params.SegmentBlocks)
		end := start + int64(e.Params.SegmentBlocks) - 1
		s := sprintv1.Segment{Index: i + 1, Start: start, End: end,
			CommitUntil: end + int64(e.Params.CommitBlocks)}
		if i == 0 {
			s.Seed = e.Seed2
		}
		e.Segments = append(e.Segments, s)
	}
	last := e.Segments[len(e.Segments)-1]
	e.ComputeEnd, e.WrapupUntil = last.End, last.CommitUntil
	e.Phase = sprintv1.PhaseCompute
	return nil
}

// admit closes the list of members: it sizes what they owe, draws the newcomers that take part, and
// finds an epoch void that too little of the previous weight is there for.
func (k *Keeper) admit(ctx context.Context, e *sprintv1.Epoch, mix seed.Seed) error {
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return err
	}
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return err
	}
	var newcomers []sprintv1.Member
	var held []uint64
	nodes, locked := uint32(0), uint64(0)
	for _, m := range roster {
		switch {
		case m.Live && m.Role == sprintv1.RoleNewcomer:
			newcomers, held = append(newcomers, m), append(held, max(1, m.Locked))
			locked += max(1, m.Locked)
		case allowed(m):
			nodes += uint32(len(m.Nodes))
		}
		if m.Live && m.Weight > 0 && !m.Jailed {
			e.LiveWeight += m.Weight
			e.LiveCredited += min(m.Credited, maxWeight)
			e.Eligible++
		}
	}
	replicas := replicasOf(e.Params, int(e.Eligible))
	places := placesOf(e.LiveCredited, class, replicas, uint64(e.Eligible))
	e.Replicas, e.Newcomers, e.NewcomersLocked = uint32(replicas), uint32(len(newcomers)), locked
	for _, at := range audit.Lottery(seed.Lottery(chainID(ctx), e.Number, mix), held,
		int(min(places, uint64(len(newcomers))))) {
		m := newcomers[at]
		m.Taken = true
		e.Taken++
		nodes += uint32(len(m.Nodes))
		if err := k.setMember(ctx, e.Number, m); err != nil {
			return err
		}
	}
	switch {
	case share(e.LiveWeight, e.TotalWeight) < uint64(e.Params.MinLiveBps):
		e.Void, e.VoidReason = true,
			fmt.Sprintf("%d of %d of the previous weight is live, at least %d.%02d %% is needed",
				e.LiveWeight, e.TotalWeight, e.Params.MinLiveBps/100, e.Params.MinLiveBps%100)
	case class.MiOps() > e.Params.WholeUnitMiops && e.Eligible < judgesOfLarge:
		e.Void, e.VoidReason = true, fmt.Sprintf("class %s needs %d judges, because the chain "+
			"does not recompute its units by itself; %d are eligible", class.Name,
			judgesOfLarge, e.Eligible)
	}
	return k.note(ctx, func(p *sprintv1.Progress) { p.Nodes = nodes })
}

// challenge draws the leaves and sizes the proof window to three times what they take.
func (k *Keeper) challenge(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	mix, _, ok, err := k.beacon.Mix(ctx, e.WrapupUntil)
	if err != nil || !ok {
		return err
	}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return err
	}
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return err
	}
	holds, targets := map[string]bool{}, []sprintv1.Claim(nil)
	for _, m := range roster {
		holds[m.Participant] = m.Role == sprintv1.RoleHolder
		if isTarget(*e, m) {
			targets = append(targets, claimOf(*e, m))
		}
	}
	e.ChallengeHeight, e.SampleMix = h, mix[:]
	if err := k.archive(ctx, *e); err != nil {
		return err
	}
	streams, most, err := k.streamClaims(ctx, *e)
	if err != nil {
		return err
	}
	e.Targets, e.Streams = uint32(len(targets)), uint32(len(streams))
	e.Samples = uint32(samplesOf(e.Params, e.LiveCredited, class, uint64(e.Replicas),
		uint64(e.Targets)+uint64(e.Streams)))
	e.StreamSamples = min(most, e.Samples)
	var drawn uint64
	holders := uint32(0)
	for s, claims := range [len(subjects)][]sprintv1.Claim{targets, streams} {
		for _, c := range claims {
			drawn += uint64(drawnOf(*e, subject(s), c)) * bytesPerLeaf
			if holds[c.Participant] {
				holders++
			}
		}
	}
	perBlock := uint64(e.Params.OpeningBytesPerBlock)
	e.ProofUntil = h + int64(max(uint64(e.Params.ProofBlocks), (3*drawn+perBlock-1)/perBlock))
	e.Phase = sprintv1.PhaseProof
	return k.note(ctx, func(p *sprintv1.Progress) {
		p.HoldersOwe, p.NewcomersOwe = holders, e.Targets+e.Streams-holders
	})
}

// streamClaims lists the streams of the epoch before that are judged, and settles the others: those
// of a void epoch, smaller ones than a Sprint may be, and those of the jailed.
func (k *Keeper) streamClaims(ctx context.Context, e sprintv1.Epoch) (streams []sprintv1.Claim,
	samples uint32, err error) {
	number := ofStream.epoch(e.Number)
	if number == 0 {
		return nil, 0, nil
	}
	all, err := k.stream.Claims(ctx, number)
	if err != nil || len(all) == 0 {
		return nil, 0, err
	}
	of, err := k.epochs.Get(ctx, number)
	if err != nil {
		return nil, 0, fmt.Errorf("sprint: record of epoch %d: %w", number, err)
	}
	for _, c := range all {
		why, err := k.unfit(ctx, e, of, c)
		if err != nil {
			return nil, 0, err
		}
		if why != "" {
			if err := k.stream.Settle(ctx, number, c.Participant, 0, false, why); err != nil {
				return nil, 0, err
			}
			continue
		}
		if err := k.streams.Set(ctx, memberKeyOf(e.Number, c.Participant), c); err != nil {
			return nil, 0, err
		}
		streams = append(streams, c)
	}
	samples, err = k.stream.Samples(ctx, number)
	return streams, samples, err
}

// unfit says why a stream of an epoch is not judged; empty: it is.
func (k *Keeper) unfit(ctx context.Context, e, of sprintv1.Epoch, c sprintv1.Claim) (string,
	error) {
	p, err := k.registry.Record(ctx, c.Participant)
	switch {
	case errors.Is(err, registry.ErrUnknown):
		return "its owner is not registered any longer", nil
	case err != nil:
		return "", err
	case of.Void:
		return "void epoch: " + of.VoidReason, nil
	case p.JailedUntil > e.Number:
		return jailText(p), nil
	case c.Leaves < of.Params.MinClaimLeaves:
		return fmt.Sprintf("committed %d leaves; a claim needs %d to be worth judging", c.Leaves,
			of.Params.MinClaimLeaves), nil
	}
	return "", nil
}

// close ends the openings: the committee is drawn next, if there is anybody to judge. A void epoch
// is judged like any other: whoever is there shows by computing what it weighs.
func (k *Keeper) close(ctx context.Context, e *sprintv1.Epoch, p sprintv1.Progress, h int64) error {
	if p.HoldersOpened+p.NewcomersOpened == 0 {
		return k.finalise(ctx, e)
	}
	e.Round = sprintv1.Round{Everyone: e.Eligible <= e.Params.FullCommittee, DrawDeadline: h}
	e.Phase = sprintv1.PhaseDraw
	return nil
}

// draw fixes the committees once their beacon is known.
func (k *Keeper) draw(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	r := &e.Round
	mix, _, ok, err := k.beacon.Mix(ctx, r.DrawDeadline)
	if err != nil || !ok {
		return err
	}
	r.Mix, r.DrawHeight = mix[:], h
	for _, s := range judged(*e) {
		a, err := k.assembly(ctx, *e, s)
		if err != nil {
			return err
		}
		for v := range a.voters {
			if len(a.duties[v]) == 0 {
				continue
			}
			r.Members++ // of both committees: a phase waits for each verdict
			name := a.voters[v].name
			if err := k.of[s].verdicts.Set(ctx, memberKeyOf(e.Number, name),
				sprintv1.VerdictRecord{Voter: name}); err != nil {
				return err
			}
		}
	}
	if r.Members == 0 { // a lone participant
		r.ValidateUntil, r.RevealUntil, r.CheckUntil = h, h, h
		return k.hear(ctx, e, h)
	}
	r.ValidateUntil = h + int64(e.Params.ValidateBlocks)
	e.Phase = sprintv1.PhaseValidate
	return nil
}

// check draws the middle digests that members open, and waits for them.
func (k *Keeper) check(ctx context.Context, e *sprintv1.Epoch, p sprintv1.Progress, h int64) error {
	r := &e.Round
	if len(r.CheckMix) == 0 {
		if p.ChecksOwed == 0 {
			r.CheckUntil = h
			return k.hear(ctx, e, h)
		}
		mix, _, ok, err := k.beacon.Mix(ctx, r.RevealUntil)
		if err != nil || !ok {
			return err
		}
		r.CheckMix, r.CheckHeight, r.CheckUntil = mix[:], h, h+int64(e.Params.RevealBlocks)
		return nil
	}
	if h >= r.CheckUntil || p.ChecksDone == p.ChecksOwed {
		r.CheckUntil = h
		return k.hear(ctx, e, h)
	}
	return nil
}

// hear opens the rest of the dispute window, which began with the end of the reveals: at least half
// of it, so that whoever sees a wrong digest opened last has time to say so. The chain begins to
// judge whom nobody did.
func (k *Keeper) hear(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	window := int64(e.Params.DisputeBlocks)
	e.Round.DisputeStart, e.Round.DisputeUntil = h,
		max(e.Round.RevealUntil+window, h+max(2, window/2))
	e.Phase = sprintv1.PhaseDispute
	_, err := k.appeal(ctx, *e)
	return err
}

// conclude finalises once the window is over and the court is done: with every claim of members,
// and with as many leaves of those whom nobody judged as decide, within four times the window.
func (k *Keeper) conclude(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	r := &e.Round
	if h < r.DisputeUntil {
		return nil
	}
	last := r.DisputeStart + disputeStretch*int64(e.Params.DisputeBlocks)
	if h < last {
		// a voter that was proven false in the meantime may leave a target without judges
		if more, err := k.appeal(ctx, *e); err != nil {
			return err
		} else if more {
			r.DisputeUntil = min(last, h+int64(e.Params.DisputeBlocks))
			return nil
		}
		if done, err := k.heard(ctx, *e); err != nil || !done {
			return err
		}
	}
	if err := k.court.DropChain(ctx); err != nil {
		return err
	}
	if waits, err := k.court.Pending(ctx); err != nil || waits {
		return err
	}
	r.DisputeUntil = h
	return k.finalise(ctx, e)
}
