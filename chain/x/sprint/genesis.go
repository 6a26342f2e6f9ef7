// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
)

// DefaultGenesis is a chain before its first epoch.
func DefaultGenesis() *sprintv1.GenesisState {
	return &sprintv1.GenesisState{Params: DefaultParams(), NextParams: DefaultParams()}
}

// ValidateGenesis checks a genesis state on its own.
func ValidateGenesis(g sprintv1.GenesisState) error {
	if err := ValidateParams(g.Params); err != nil {
		return err
	}
	if err := ValidateParams(g.NextParams); err != nil {
		return fmt.Errorf("next_params: %w", err)
	}
	known := map[uint64]sprintv1.Epoch{}
	for _, e := range g.Epochs {
		if _, twice := known[e.Number]; e.Number == 0 || twice || e.Number > g.Epoch {
			return fmt.Errorf("sprint: epoch record %d is out of place in a genesis at epoch %d",
				e.Number, g.Epoch)
		}
		known[e.Number] = e
	}
	if _, has := known[g.Epoch]; g.Epoch > 0 && !has {
		return fmt.Errorf("sprint: the record of the current epoch %d is missing", g.Epoch)
	}
	if g.Epoch > 0 && g.Progress == nil {
		return fmt.Errorf("sprint: the progress of the current epoch %d is missing", g.Epoch)
	}
	for _, e := range g.Epochs {
		if err := validEpoch(e); err != nil {
			return fmt.Errorf("sprint: record of epoch %d: %w", e.Number, err)
		}
	}
	seen := once{}
	for _, s := range g.States {
		e, has := known[s.Epoch]
		if !has || seen.twice(s.Epoch) {
			return fmt.Errorf("sprint: state of epoch %d has no record, or stands twice", s.Epoch)
		}
		if err := validState(e, s); err != nil {
			return fmt.Errorf("sprint: epoch %d: %w", s.Epoch, err)
		}
	}
	return validArchives(g.Archives, g.Epoch)
}

// length checks a field that is either not there yet or of one length.
func length(what string, b []byte, want int) error {
	if len(b) != 0 && len(b) != want {
		return fmt.Errorf("%s has %d bytes; want %d", what, len(b), want)
	}
	return nil
}

func validEpoch(e sprintv1.Epoch) error {
	if err := ValidateParams(e.Params); err != nil {
		return err
	}
	if e.Phase < sprintv1.PhasePrepare || e.Phase > sprintv1.PhaseServe {
		return fmt.Errorf("phase %d", e.Phase)
	}
	errs := []error{length("seed1", e.Seed1, 32), length("seed2", e.Seed2, 32),
		length("sample_mix", e.SampleMix, 32),
		length("mix", e.Round.Mix, 32), length("check_mix", e.Round.CheckMix, 32)}
	for i, s := range e.Segments {
		if s.Index != uint32(i)+1 {
			errs = append(errs, fmt.Errorf("segment %d stands in place %d", s.Index, i+1))
		}
		errs = append(errs, length("segment seed", s.Seed, 32))
	}
	if e.Phase > sprintv1.PhasePrepare &&
		(len(e.Segments) != int(e.Params.Segments) || len(e.Seed2) == 0) {
		errs = append(errs, fmt.Errorf("%d segments and a second seed of %d bytes in %s",
			len(e.Segments), len(e.Seed2), e.Phase.Word()))
	}
	return errors.Join(errs...)
}

// once tells what stands twice.
type once map[string]bool

func (o once) twice(key ...any) bool {
	name := fmt.Sprintf("%q", key)
	was := o[name]
	o[name] = true
	return was
}

// validState checks that every record is of the length that blocks rely on, and stands once.
func validState(e sprintv1.Epoch, s sprintv1.EpochState) error {
	members, opened, seen := map[string]bool{}, map[string]bool{}, once{}
	streams := map[string]bool{}
	for _, m := range s.Members {
		if members[m.Participant] || m.Participant == "" {
			return fmt.Errorf("member %q is empty or stands twice", m.Participant)
		}
		members[m.Participant], opened[m.Participant] = true, m.Opened
		if len(m.HostKey) != 32 || len(m.ConsensusKey) != 32 || m.Weight > maxWeight ||
			len(m.WrongMiddles) > len(subjects)*middleChecks {
			return fmt.Errorf("member %s: keys of %d and %d bytes, weight %d, %d wrong digests",
				m.Participant, len(m.HostKey), len(m.ConsensusKey), m.Weight, len(m.WrongMiddles))
		}
	}
	for _, c := range s.Commits {
		if !members[c.Participant] || len(c.Root) != 32 || len(c.Signature) != 64 || c.Count < 1 ||
			c.Count >= 1<<48 {
			return fmt.Errorf("commit of %s, node %s, segment %d: root of %d and signature of %d "+
				"bytes, count %d, or no such member", c.Participant, c.Node, c.Segment, len(c.Root),
				len(c.Signature), c.Count)
		}
		if c.Segment < 1 || int(c.Segment) > len(e.Segments) ||
			seen.twice("commit", c.Participant, c.Node, c.Segment) {
			return fmt.Errorf("commit of %s, node %s, segment %d of %d: no such segment, or it "+
				"stands twice", c.Participant, c.Node, c.Segment, len(e.Segments))
		}
	}
	for _, c := range s.Streams {
		if c.Participant == "" || c.Leaves == 0 || seen.twice("stream", c.Participant) {
			return fmt.Errorf("stream of %q has %d leaves, or stands twice", c.Participant,
				c.Leaves)
		}
		if c.Opened {
			streams[c.Participant] = true
		}
	}
	if n := len(s.Streams); n > int(e.Streams) ||
		n < int(e.Streams) && e.Phase < sprintv1.PhaseFinalised {
		return fmt.Errorf("%d streams; the record says %d", len(s.Streams), e.Streams)
	}
	for of, r := range recordsOf(s) {
		if err := validRecords(s.Epoch, subject(of), r, members,
			[...]map[string]bool{opened, streams}[of], seen); err != nil {
			return err
		}
	}
	for _, a := range s.Attempts {
		if len(a.Duty) != 16 || a.Used == 0 || seen.twice("attempts", a.Participant, a.Duty) {
			return fmt.Errorf("attempts of %s: %d at a duty of %d bytes, or they stand twice",
				a.Participant, a.Used, len(a.Duty))
		}
	}
	return nil
}

// validRecords is validState for what was recorded of one subject.
func validRecords(epoch uint64, of subject, r judging, members, opened map[string]bool,
	seen once) error {
	for _, o := range r.openings {
		if !opened[o.Participant] || seen.twice("opening", of, o.Participant) {
			return fmt.Errorf(
				"opening of %q, whose record has none, or it stands twice",
				o.Participant)
		}
		for _, l := range o.Logs {
			if len(l.Leaves) == 0 || len(l.Leaves)%record.Size != 0 || len(l.Proof)%32 != 0 {
				return fmt.Errorf("opening of %s: log %s/%d has %d bytes of leaves and %d of proof",
					o.Participant, l.Node, l.Segment, len(l.Leaves), len(l.Proof))
			}
		}
	}
	for _, v := range r.verdicts {
		if !members[v.Voter] || len(v.Opened)%8 != 0 || (v.RevealHeight > 0) != (v.Body != nil) {
			return fmt.Errorf("verdict of %s: revealed at %d, opened %d bytes, or no such member",
				v.Voter, v.RevealHeight, len(v.Opened))
		}
		if seen.twice("verdict", of, v.Voter) {
			return fmt.Errorf("verdict of %s stands twice", v.Voter)
		}
		if err := length("hash of a verdict", v.Hash, 32); err != nil {
			return err
		}
		if v.Body != nil {
			if err := length("middles of a verdict", v.Body.Middles, 32); err != nil {
				return err
			}
		}
	}
	for _, o := range r.outcomes {
		if o.Epoch != epoch || seen.twice("outcome", of, o.Participant) {
			return fmt.Errorf("outcome of %s is of epoch %d, or stands twice",
				o.Participant, o.Epoch)
		}
	}
	return nil
}

// InitGenesis stores a state. Heights in an exported record are those of the old chain: the new one
// must go on from the exported height.
func (k *Keeper) InitGenesis(ctx context.Context, g sprintv1.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	if err := k.params.Set(ctx, g.Params); err != nil {
		return err
	}
	if err := k.frozen.Set(ctx, g.NextParams); err != nil {
		return err
	}
	if err := k.current.Set(ctx, g.Epoch); err != nil {
		return err
	}
	if g.Progress != nil {
		if err := k.progress.Set(ctx, *g.Progress); err != nil {
			return err
		}
	}
	for _, e := range g.Epochs {
		if err := k.epochs.Set(ctx, e.Number, e); err != nil {
			return err
		}
	}
	if err := k.initArchives(ctx, g.Archives); err != nil {
		return err
	}
	for _, s := range g.States {
		if err := k.initEpoch(ctx, s); err != nil {
			return fmt.Errorf("sprint: epoch %d: %w", s.Epoch, err)
		}
		if s.Epoch == g.Epoch {
			if err := k.checkOpenings(ctx, s); err != nil {
				return fmt.Errorf("sprint: epoch %d: %w", s.Epoch, err)
			}
		}
	}
	return nil
}

// checkOpenings verifies that whoever opened in the running epoch opened what was committed and
// drawn: the court reads it without looking again.
func (k *Keeper) checkOpenings(ctx context.Context, s sprintv1.EpochState) error {
	e, err := k.epochs.Get(ctx, s.Epoch)
	if err != nil {
		return err
	}
	for _, of := range judged(e) {
		made, err := k.work(ctx, e, of)
		if err != nil {
			return err
		}
		class, err := transformer.ByName(made.Params.Class)
		if err != nil {
			return err
		}
		claims, err := k.claims(ctx, e, of)
		if err != nil {
			return err
		}
		for _, c := range claims {
			if !c.Opened {
				continue
			}
			o, _, err := k.opened(ctx, s.Epoch, of, c.Participant)
			if err != nil {
				return err
			}
			drawn, err := k.sampled(ctx, e, of, c)
			if err != nil {
				return err
			}
			if err := verifyOpening(class, drawn, o.Logs); err != nil || len(drawn) == 0 {
				return fmt.Errorf("opening of %s, of whom %d logs were drawn from: %w",
					c.Participant, len(drawn), cmp.Or(err, ErrOpening))
			}
		}
	}
	return nil
}

func (k *Keeper) initEpoch(ctx context.Context, s sprintv1.EpochState) error {
	for _, m := range s.Members {
		if err := k.setMember(ctx, s.Epoch, m); err != nil {
			return err
		}
	}
	for _, c := range s.Commits {
		if err := k.commits.Set(ctx, collections.Join4(s.Epoch, c.Participant, c.Node, c.Segment),
			c); err != nil {
			return err
		}
	}
	for _, c := range s.Streams {
		if err := k.streams.Set(ctx, memberKeyOf(s.Epoch, c.Participant), c); err != nil {
			return err
		}
	}
	for of, r := range recordsOf(s) {
		if err := k.of[of].init(ctx, s.Epoch, r); err != nil {
			return err
		}
	}
	for _, a := range s.Attempts {
		if err := k.attempts.Set(ctx, collections.Join3(s.Epoch, a.Participant, a.Duty),
			a.Used); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis returns the state as InitGenesis takes it.
func (k *Keeper) ExportGenesis(ctx context.Context) (*sprintv1.GenesisState, error) {
	g := &sprintv1.GenesisState{}
	var err error
	if g.Params, err = k.params.Get(ctx); err != nil {
		return nil, err
	}
	if g.NextParams, err = k.frozen.Get(ctx); err != nil {
		return nil, err
	}
	if g.Epoch, err = k.CurrentEpoch(ctx); err != nil {
		return nil, err
	}
	if g.Archives, err = table.Values(ctx, k.archives, nil); err != nil {
		return nil, err
	}
	if g.Epochs, err = table.Values(ctx, k.epochs, nil); err != nil {
		return nil, err
	}
	if g.Progress, err = table.Optional(ctx, k.progress); err != nil {
		return nil, err
	}
	for _, e := range g.Epochs {
		s, err := k.exportEpoch(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("sprint: epoch %d: %w", e.Number, err)
		}
		g.States = append(g.States, s)
	}
	return g, nil
}

func (k *Keeper) exportEpoch(ctx context.Context, e sprintv1.Epoch) (sprintv1.EpochState, error) {
	s := sprintv1.EpochState{Epoch: e.Number}
	var err error
	if s.Members, err = k.roster(ctx, e.Number); err != nil {
		return s, err
	}
	if s.Commits, err = table.Values(ctx, k.commits,
		collections.NewPrefixedQuadRange[uint64, string, string, uint32](e.Number)); err != nil {
		return s, err
	}
	if s.Streams, err = k.streamsOf(ctx, e.Number); err != nil {
		return s, err
	}
	if s.Openings, s.Verdicts, s.Outcomes, err = k.of[ofSprint].export(ctx, e.Number); err != nil {
		return s, err
	}
	if s.StreamOpenings, s.StreamVerdicts, s.StreamOutcomes, err =
		k.of[ofStream].export(ctx, e.Number); err != nil {
		return s, err
	}
	s.Attempts, err = k.attemptsOf(ctx, e.Number)
	return s, err
}

// judging is what was recorded of one subject.
type judging struct {
	openings []sprintv1.Opening
	verdicts []sprintv1.VerdictRecord
	outcomes []sprintv1.Outcome
}

func recordsOf(s sprintv1.EpochState) [len(subjects)]judging {
	return [...]judging{{s.Openings, s.Verdicts, s.Outcomes},
		{s.StreamOpenings, s.StreamVerdicts, s.StreamOutcomes}}
}

func (r records) init(ctx context.Context, epoch uint64, of judging) error {
	for _, o := range of.openings {
		if err := r.openings.Set(ctx, memberKeyOf(epoch, o.Participant), o); err != nil {
			return err
		}
	}
	for _, v := range of.verdicts {
		if err := r.verdicts.Set(ctx, memberKeyOf(epoch, v.Voter), v); err != nil {
			return err
		}
	}
	for _, o := range of.outcomes {
		if err := r.outcomes.Set(ctx, memberKeyOf(epoch, o.Participant), o); err != nil {
			return err
		}
	}
	return nil
}

func (r records) export(ctx context.Context, epoch uint64) (openings []sprintv1.Opening,
	verdicts []sprintv1.VerdictRecord, outcomes []sprintv1.Outcome, err error) {
	of := collections.NewPrefixedPairRange[uint64, string](epoch)
	if openings, err = table.Values(ctx, r.openings, of); err != nil {
		return nil, nil, nil, err
	}
	if verdicts, err = table.Values(ctx, r.verdicts, of); err != nil {
		return nil, nil, nil, err
	}
	outcomes, err = table.Values(ctx, r.outcomes, of)
	return openings, verdicts, outcomes, err
}
