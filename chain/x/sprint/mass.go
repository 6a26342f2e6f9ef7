// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"math/bits"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// sentence ends an epoch's penalties: it finds whether too much weight was silent or proven wrong
// at once, which a fault of the network does sooner than so many offenders, and has the court
// decide about what it took.
func (k *Keeper) sentence(ctx context.Context, e sprintv1.Epoch, j *jury, roster []sprintv1.Member,
	outcomes []sprintv1.Outcome, streams map[string]*streamOutcome) error {
	p, err := k.court.Params(ctx)
	if err != nil {
		return err
	}
	failed, names := uint64(0), 0
	for i, m := range roster {
		if convicted(m) || outcomes[i].Result == sprintv1.ResultWithheld ||
			withheld(streams[m.Participant]) || j.silent[m.Participant] {
			failed += m.Weight
			names++
		}
	}
	// one alone is no mass, however heavy
	if j.mass = names > 1 && beyond(failed, e.TotalWeight, p.MassBps); j.mass {
		emit(ctx, "mass", "epoch", fmt.Sprint(e.Number), "weight", fmt.Sprint(failed), "of",
			fmt.Sprint(e.TotalWeight))
	}
	if err := k.court.Conclude(ctx, e.Number, j.mass, func(accused string) ([]string, error) {
		return k.finders(ctx, e, j, accused)
	}); err != nil {
		return fmt.Errorf("penalties: %w", err)
	}
	return nil
}

// beyond reports whether a part is more than so many basis points of a whole.
func beyond(part, whole, bps uint64) bool {
	ah, al := bits.Mul64(part, 10_000)
	bh, bl := bits.Mul64(whole, bps)
	return ah > bh || ah == bh && al > bl
}

// finders are those who proved forged leaves of a participant (spec J-10): the voters whose
// revealed verdicts name one, and those who had one judged by a dispute. Who was proven wrong
// itself in the epoch is none.
func (k *Keeper) finders(ctx context.Context, e sprintv1.Epoch, j *jury,
	accused string) ([]string, error) {
	var names []string
	for _, of := range judged(e) {
		all, err := k.court.Judgements(ctx, of.epoch(e.Number), accused)
		if err != nil {
			return nil, err
		}
		forged := map[courtv1.LeafRef]bool{}
		for _, g := range all {
			if g.Mismatch && subjectOf(g.Leaf) == of {
				forged[g.Leaf], names = true, append(names, g.NamedBy)
			}
		}
		bench := j.benches[of]
		for v, r := range bench.records {
			if r.RevealHeight == 0 || r.Body == nil {
				continue
			}
			named, err := k.named(ctx, e, of, bench.assembly, v, r.Body.Mismatches, accused, forged)
			if err != nil {
				return nil, err
			}
			if named {
				names = append(names, bench.assembly.voters[v].name)
			}
		}
	}
	honest := names[:0]
	for _, name := range names {
		if name == "" {
			continue
		}
		m, err := k.members.Get(ctx, memberKeyOf(e.Number, name))
		if err == nil && convicted(m) {
			continue // who is no member may have disputed, with a bond
		}
		honest = append(honest, name)
	}
	return honest, nil
}

// named reports whether a voter names one of these leaves of a participant.
func (k *Keeper) named(ctx context.Context, e sprintv1.Epoch, of subject, a *assembly, v int,
	mismatches []sprintv1.Mismatch, accused string, leaves map[courtv1.LeafRef]bool) (bool, error) {
	d := docket{k: k, e: e, s: of, a: a, v: v, owed: a.duties[v]}
	var duty sprintv1.Duty // of the accused: a voter judges nobody twice
	for _, m := range mismatches {
		if a.targets[d.owed[m.Duty].target].name != accused {
			continue
		}
		if duty.Target == "" {
			var err error
			if duty, _, err = d.duty(ctx, int(m.Duty)); err != nil {
				return false, err
			}
		}
		if leaves[duty.Leaves[m.Leaf]] {
			return true, nil
		}
	}
	return false, nil
}
