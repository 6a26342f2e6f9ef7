// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	"cosmossdk.io/collections"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/seed"
)

// EndBlock judges what was named and moves the epoch as far as this block takes it.
func (k *Keeper) EndBlock(ctx context.Context) error {
	e, err := k.epoch(ctx)
	if err != nil {
		return err
	}
	if e.Number == 0 || e.Phase == sprintv1.PhaseFinalised {
		return k.begin(ctx, e.Number+1)
	}
	before := e.Phase
	if err := k.judge(ctx, e); err != nil {
		return err
	}
	if err := k.advance(ctx, &e); err != nil {
		return fmt.Errorf("sprint: epoch %d in %s: %w", e.Number, before.Word(), err)
	}
	if e.Phase != before {
		emit(ctx, "phase", "epoch", fmt.Sprint(e.Number), "phase", e.Phase.Word())
	}
	return k.epochs.Set(ctx, e.Number, e)
}

// begin opens an epoch: parameters and roster are frozen before Seed_1 can be known.
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
	e := sprintv1.Epoch{Number: number, Params: frozen, Phase: sprintv1.PhasePrepare, Start: height(ctx)}
	if err := k.registry.Walk(ctx, func(p registryv1.Participant) (bool, error) {
		if p.JoinedEpoch >= number {
			return false, nil
		}
		h, err := k.credit.Holding(ctx, p.Address)
		if err != nil {
			return false, err
		}
		m := sprintv1.Member{Participant: p.Address, Moniker: p.Moniker, HostKey: p.HostKey, ConsensusKey: p.ConsensusKey,
			Weight: h.Weight, Power: h.Power, Jailed: p.JailedUntil > number}
		for _, n := range p.Nodes {
			m.Nodes = append(m.Nodes, n.Id)
		}
		e.TotalWeight += m.Weight
		return false, k.setMember(ctx, number, m)
	}); err != nil {
		return fmt.Errorf("sprint: freezing the roster of epoch %d: %w", number, err)
	}
	if err := k.attempts.Clear(ctx, collections.NewPrefixUntilTripleRange[uint64, string, []byte](number-1)); err != nil {
		return fmt.Errorf("sprint: attempts before epoch %d: %w", number, err)
	}
	if err := k.prune(ctx, number, frozen); err != nil {
		return err
	}
	if err := k.current.Set(ctx, number); err != nil {
		return err
	}
	emit(ctx, "phase", "epoch", fmt.Sprint(number), "phase", e.Phase.Word())
	return k.epochs.Set(ctx, number, e)
}

// prune drops what epochs long past keep: their evidence after keep_epochs, their records after recordEpochs. It
// drops all older ones, because keep_epochs may have been larger.
func (k *Keeper) prune(ctx context.Context, number uint64, p sprintv1.Params) error {
	if keep := uint64(p.KeepEpochs); number > keep+1 {
		old := number - keep - 1
		for _, clear := range []func() error{
			func() error {
				return k.commits.Clear(ctx, collections.NewPrefixUntilQuadRange[uint64, string, string, uint32](old))
			},
			func() error { return k.openings.Clear(ctx, collections.NewPrefixUntilPairRange[uint64, string](old)) },
			func() error {
				return k.verdicts.Clear(ctx, collections.NewPrefixUntilTripleRange[uint64, uint32, string](old))
			},
			func() error {
				return k.bodies.Clear(ctx, collections.NewPrefixUntilTripleRange[uint64, uint32, string](old))
			},
			func() error {
				return k.judgements.Clear(ctx, collections.NewPrefixUntilTripleRange[uint64, string, []byte](old))
			},
			func() error { return k.members.Clear(ctx, collections.NewPrefixUntilPairRange[uint64, string](old)) },
		} {
			if err := clear(); err != nil {
				return fmt.Errorf("sprint: pruning epoch %d: %w", old, err)
			}
		}
	}
	if number > recordEpochs {
		old := number - recordEpochs
		if err := k.outcomes.Clear(ctx, collections.NewPrefixedPairRange[uint64, string](old)); err != nil {
			return err
		}
		return k.epochs.Remove(ctx, old)
	}
	return nil
}

// advance moves the phase at the end of a block. Each case fixes the boundaries of the next phase.
func (k *Keeper) advance(ctx context.Context, e *sprintv1.Epoch) error {
	h := height(ctx)
	switch e.Phase {
	case sprintv1.PhasePrepare:
		return k.prepare(ctx, e, h)
	case sprintv1.PhaseCompute:
		for i := range e.Segments {
			s := &e.Segments[i]
			if h == s.Start && len(s.Seed) == 0 {
				value, err := k.beacon.Value(ctx, h)
				if err != nil {
					return err
				}
				segment := seed.Segment(toSeed(e.Seed2), s.Index, value)
				s.Seed = segment[:]
			}
		}
		if h >= e.ComputeEnd {
			e.Phase = sprintv1.PhaseWrapUp
		}
	case sprintv1.PhaseWrapUp:
		if h >= e.WrapupUntil {
			e.Phase = sprintv1.PhaseChallenge
		}
	case sprintv1.PhaseChallenge:
		return k.challenge(ctx, e, h)
	case sprintv1.PhaseProof:
		if h < e.ProofUntil {
			all, err := k.allOpened(ctx, *e)
			if err != nil || !all {
				return err
			}
			e.ProofUntil = h
		}
		return k.nextRound(ctx, e, h)
	case sprintv1.PhaseDraw:
		return k.draw(ctx, e, h)
	case sprintv1.PhaseValidate, sprintv1.PhaseReveal:
		return k.collect(ctx, e, h)
	case sprintv1.PhaseDispute:
		r := e.Rounds[len(e.Rounds)-1]
		if waiting, err := k.pending(ctx); err != nil || waiting || h < r.DisputeUntil {
			return err
		}
		e.Rounds[len(e.Rounds)-1].DisputeUntil = h
		contested, err := k.decideRound(ctx, *e)
		if err != nil {
			return err
		}
		if contested {
			return k.nextRound(ctx, e, h)
		}
		return k.finalise(ctx, e)
	}
	return nil
}

// prepare draws Seed_1, waits for readiness, draws Seed_2 and lays out the window.
func (k *Keeper) prepare(ctx context.Context, e *sprintv1.Epoch, h int64) error {
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
		live, _, err := k.liveness(ctx, *e)
		if err != nil {
			return err
		}
		if h >= e.PrepareUntil || e.TotalWeight > 0 && share(live, e.TotalWeight) >= uint64(e.Params.ReadyBps) {
			e.ReadyHeight = h
		}
		return nil
	}
	mix, _, ok, err := k.beacon.Mix(ctx, e.ReadyHeight)
	if err != nil || !ok {
		return err
	}
	live, voters, err := k.liveness(ctx, *e)
	if err != nil {
		return err
	}
	e.LiveWeight, e.Eligible = live, uint32(voters)
	switch {
	case e.Eligible < e.Params.MinVoters:
		e.Void, e.VoidReason = true, fmt.Sprintf("%d eligible voters, at least %d are needed", e.Eligible, e.Params.MinVoters)
	case share(live, e.TotalWeight) < uint64(e.Params.MinLiveBps):
		e.Void, e.VoidReason = true, fmt.Sprintf("%d of %d of the previous weight is live, at least %d.%02d %% is needed", live, e.TotalWeight, e.Params.MinLiveBps/100, e.Params.MinLiveBps%100)
	}
	seed2 := seed.Sprint2(chainID(ctx), e.Number, mix)
	e.Seed2, e.ComputeStart = seed2[:], h+1
	for i := uint32(0); i < e.Params.Segments; i++ {
		start := e.ComputeStart + int64(i)*int64(e.Params.SegmentBlocks)
		end := start + int64(e.Params.SegmentBlocks) - 1
		s := sprintv1.Segment{Index: i + 1, Start: start, End: end, CommitUntil: end + int64(e.Params.CommitBlocks)}
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

// liveness returns the weight of the live members and the number of eligible voters.
func (k *Keeper) liveness(ctx context.Context, e sprintv1.Epoch) (weight uint64, voters int, err error) {
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return 0, 0, err
	}
	for _, m := range roster {
		if m.Live {
			weight += m.Weight
		}
	}
	return weight, len(eligible(roster)), nil
}

// share is part/whole in basis points; nothing of nothing is all of it.
func share(part, whole uint64) uint64 {
	if whole == 0 {
		return 10_000
	}
	return mulDiv(part, 10_000, whole)
}

// challenge draws the leaves and sizes the proof window to three times what they take.
func (k *Keeper) challenge(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	mix, _, ok, err := k.beacon.Mix(ctx, e.WrapupUntil)
	if err != nil || !ok {
		return err
	}
	e.ChallengeHeight, e.SampleMix = h, mix[:]
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return err
	}
	var drawnBytes uint64
	for _, m := range roster {
		drawn, err := k.sampled(ctx, *e, m.Participant)
		if err != nil {
			return err
		}
		drawnBytes += openingBytes(drawn)
	}
	window := max(uint64(e.Params.ProofBlocks), (3*drawnBytes+uint64(e.Params.OpeningBytesPerBlock)-1)/uint64(e.Params.OpeningBytesPerBlock))
	e.ProofUntil = h + int64(window)
	e.Phase = sprintv1.PhaseProof
	return nil
}

// allOpened: everyone that committed has opened.
func (k *Keeper) allOpened(ctx context.Context, e sprintv1.Epoch) (bool, error) {
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return false, err
	}
	for _, m := range roster {
		if opened, err := k.openings.Has(ctx, memberKeyOf(e.Number, m.Participant)); err != nil {
			return false, err
		} else if opened {
			continue
		}
		if n, err := k.samples(ctx, e, m.Participant); err != nil || n > 0 {
			return false, err
		}
	}
	return true, nil
}

// nextRound awaits the beacon of a committee: the first of the size in the parameters, each later one twice as large, at last everyone.
func (k *Keeper) nextRound(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	r := sprintv1.Round{Number: uint32(len(e.Rounds) + 1), Slots: e.Params.Slots << len(e.Rounds), DrawDeadline: h}
	r.Everyone = e.Eligible <= e.Params.FullCommittee || len(e.Rounds) >= 2
	if e.Void {
		return k.finalise(ctx, e)
	}
	targets, err := k.targets(ctx, *e, r)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return k.finalise(ctx, e)
	}
	e.Rounds = append(e.Rounds, r)
	e.Phase = sprintv1.PhaseDraw
	return nil
}

// draw fixes a round's committee once its beacon is known.
func (k *Keeper) draw(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	r := &e.Rounds[len(e.Rounds)-1]
	mix, _, ok, err := k.beacon.Mix(ctx, r.DrawDeadline)
	if err != nil || !ok {
		return err
	}
	r.Mix, r.DrawHeight = mix[:], h
	members, err := k.drawnMembers(ctx, *e, *r)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := k.verdicts.Set(ctx, collections.Join3(e.Number, r.Number, m), sprintv1.VerdictRecord{Voter: m}); err != nil {
			return err
		}
	}
	r.Members = uint32(len(members))
	r.ValidateUntil = h + int64(e.Params.ValidateBlocks)
	e.Phase = sprintv1.PhaseValidate
	return nil
}

// collect closes Validate and Reveal when their time is over or every member has spoken.
func (k *Keeper) collect(ctx context.Context, e *sprintv1.Epoch, h int64) error {
	r := &e.Rounds[len(e.Rounds)-1]
	committed, revealed := uint32(0), uint32(0)
	if err := k.spoken(ctx, e.Number, r.Number, false, func(v sprintv1.VerdictRecord) error {
		if len(v.Hash) > 0 {
			committed++
		}
		if v.RevealHeight > 0 {
			revealed++
		}
		return nil
	}); err != nil {
		return err
	}
	switch {
	case e.Phase == sprintv1.PhaseValidate && (h >= r.ValidateUntil || committed == r.Members):
		r.ValidateUntil, r.RevealUntil = h, h+int64(e.Params.RevealBlocks)
		e.Phase = sprintv1.PhaseReveal
	case e.Phase == sprintv1.PhaseReveal && (h >= r.RevealUntil || revealed == committed):
		r.RevealUntil, r.DisputeUntil = h, h+int64(e.Params.DisputeBlocks)
		e.Phase = sprintv1.PhaseDispute
	}
	return nil
}

// drawnMembers lists everyone with a duty in a round, rising by address.
func (k *Keeper) drawnMembers(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round) ([]string, error) {
	h, err := k.hall(ctx, e, r)
	if err != nil {
		return nil, err
	}
	voters := h.voters
	drawn := make([]bool, len(voters))
	for _, t := range h.targets {
		n, err := k.samples(ctx, e, t)
		if err != nil {
			return nil, err
		}
		c := k.committee(ctx, e, r, voters, t, n)
		at := 0
		for i, v := range voters {
			if v.Participant == t {
				continue
			}
			drawn[i] = drawn[i] || c.votes[at] > 0
			at++
		}
	}
	var out []string
	for i, v := range voters {
		if drawn[i] {
			out = append(out, v.Participant)
		}
	}
	return out, nil
}
