// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// jury is what the committees of an epoch said, gathered once for all.
type jury struct {
	benches  [len(subjects)]bench
	silent   map[string]bool // had duties and revealed nothing, not even abstentions
	unopened map[string]bool
	bounds   bounds
	mass     bool // too much weight was silent or proven wrong
}

// bench is what was said of one subject.
type bench struct {
	assembly *assembly // nil where no committee was drawn
	said     []opinion
	results  map[string]tally
	records  []sprintv1.VerdictRecord // of the assembly's voters
}

func (k *Keeper) jury(ctx context.Context, e sprintv1.Epoch) (*jury, error) {
	j := &jury{silent: map[string]bool{}, unopened: map[string]bool{}, bounds: bounds{}}
	if len(e.Round.Mix) == 0 {
		return j, nil
	}
	spoke := map[string]bool{}
	for _, s := range judged(e) {
		b := bench{results: map[string]tally{}}
		var err error
		if b.assembly, err = k.assembly(ctx, e, s); err != nil {
			return nil, err
		}
		if b.said, b.records, err = k.opinions(ctx, e, s, b.assembly); err != nil {
			return nil, err
		}
		for t, result := range b.assembly.count(b.said) {
			b.results[b.assembly.targets[t].name] = result
		}
		for v, r := range b.records {
			name := b.assembly.voters[v].name
			spoke[name] = spoke[name] || r.RevealHeight > 0
			j.silent[name] = (j.silent[name] || r.Voter != "") && !spoke[name]
			j.unopened[name] = j.unopened[name] || unopened(e, r)
		}
		j.benches[s] = b
	}
	return j, nil
}

// discharge cuts every voter's own Sprint to the part of its duties that it did: saying nothing
// never pays. Its duties are those towards Sprints and streams together.
func (j *jury) discharge(outcomes []sprintv1.Outcome, at map[string]int,
	streams map[string]*streamOutcome) {
	first := j.benches[ofSprint].assembly
	if first == nil {
		return
	}
	credit := [...]func(name string) uint64{
		func(name string) uint64 { return outcomes[at[name]].WeightAfter },
		func(name string) uint64 { return streams[name].weight() },
	}
	duties, out := make([]duty, len(first.voters)), make([]bool, len(first.voters))
	for s, b := range j.benches {
		if b.assembly == nil {
			continue
		}
		before := make([]uint64, len(b.assembly.targets))
		for t, target := range b.assembly.targets {
			before[t] = credit[s](target.name)
		}
		for v, d := range b.assembly.discharged(b.said, func(t int32) uint64 { return before[t] }) {
			duties[v], out[v] = duties[v].plus(d), out[v] || b.said[v].out
		}
	}
	for v, d := range duties {
		name := first.voters[v].name
		o := &outcomes[at[name]]
		o.Judged, o.Owed = saturate(d.judged), saturate(d.owed)
		if o.WeightAfter == 0 {
			continue
		}
		switch {
		case j.unopened[name]:
			nothing(o, sprintv1.ResultUnopened, "did not open the middle digests of its verdict "+
				"that the beacon drew")
			continue
		case out[v]:
			nothing(o, sprintv1.ResultFalseVerdict, "opened a middle digest that its leaf does "+
				"not give")
			continue
		case j.silent[name]:
			nothing(o, sprintv1.ResultSilent, "had participants to judge and revealed no "+
				"verdict, not even an abstention")
			continue
		}
		if part := d.of(o.WeightAfter); part < o.WeightAfter {
			o.Credited = mulDiv(o.Credited, part, o.WeightAfter)
			o.WeightAfter = part
			o.Reason += fmt.Sprintf("; cut to what it judged of what it owed: %d of %d",
				o.Judged, o.Owed)
			if part == 0 {
				o.Result = sprintv1.ResultSilent
			}
		}
	}
}
