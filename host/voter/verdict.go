// SPDX-License-Identifier: Apache-2.0

package voter

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// errFaultyWorker: a worker and this host's own engine differ on a unit.
var errFaultyWorker = errors.New("a worker of this host returned a wrong result")

// rerun is the work on one duty.
type rerun struct {
	duty
	units   []fleet.Unit
	outputs []transformer.Output
	err     error
	done    chan struct{} // closed when outputs or err is there
	// trusted: what would accuse somebody was confirmed; whole: every unit was
	trusted, whole bool
}

// verdict re-runs the leaves of one participant after the other and makes the verdict: those with
// most weight first, because anybody can register and have leaves drawn, and a crowd of such claims
// must not take the time for those that count. It abstains on what is not done when ctx ends. What
// would accuse somebody, and a few more, is checked on the host's own engine: a worker with a
// faulty device must not make its host lie.
func (w *Voter) verdict(ctx context.Context, e, of sprintv1.Epoch, duties []duty,
	names int) (finding, error) {
	class, err := transformer.ByName(of.Params.Class)
	if err != nil {
		return finding{}, err
	}
	all := make([]*rerun, len(duties))
	for i, d := range duties {
		all[i] = &rerun{duty: d, done: make(chan struct{})}
		for _, l := range d.leaves {
			all[i].units = append(all[i].units, w.unit(of, class, d, l.ref))
		}
	}
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b *rerun) int { return cmp.Compare(b.weight, a.weight) })
	// whoever leaves below leaves nobody waiting behind
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := new(errgroup.Group)
	g.SetLimit(rerunsAhead + 1)
	alone := w.c.Alone()
	g.Go(func() error {
		for _, r := range order {
			if r.duty.err != nil {
				r.err = r.duty.err
				close(r.done)
				continue
			}
			if alone {
				r.outputs = make([]transformer.Output, len(r.units))
				close(r.done)
				continue
			}
			g.Go(func() error {
				defer close(r.done)
				r.outputs, r.err = w.c.Fleet.Rerun(ctx, r.units)
				return nil
			})
		}
		return nil
	})
	w.trust(ctx, order, alone)
	cancel()
	if err := g.Wait(); err != nil {
		return finding{}, err
	}
	return w.verdictOn(e, all, order, names), nil
}

// trust confirms one rerun after the other until ctx ends. Once a worker was caught, what was
// trusted before is confirmed again, unit by unit; faulty says that no worker is to be believed
// from the beginning.
func (w *Voter) trust(ctx context.Context, order []*rerun, faulty bool) {
	for at := 0; at < len(order); at++ {
		r := order[at]
		<-r.done
		if r.err != nil {
			if ctx.Err() == nil {
				w.c.Logger.Error("re-running the leaves of a participant failed; abstaining on it",
					"participant", r.target, "err", r.err)
			}
			continue
		}
		if r.whole || r.trusted && !faulty {
			continue
		}
		spots := spotChecks / len(order)
		if at < spotChecks%len(order) {
			spots++
		}
		err := r.confirm(ctx, w.c.Judge, spots, faulty)
		r.trusted = err == nil
		if errors.Is(err, errFaultyWorker) {
			w.c.Logger.Error("a worker of this host returned a wrong result; every leaf is " +
				"re-run on the host itself. Run `assay-worker doctor` on each machine")
			faulty = true
			for _, before := range order[:at] {
				before.trusted = false
			}
			at = -1
		}
	}
}

// names lists which leaves a verdict names, by position: four of the first node that has as many
// wrong, or six of all, because that is fraud and nothing of its owner counts then; otherwise every
// wrong one, because the chain leaves out a node for what was named of it.
func (r *rerun) names() []int {
	var all []int
	perNode := map[string][]int{}
	for i, l := range r.leaves {
		if r.outputs[i].Record == l.Record {
			continue
		}
		all = append(all, i)
		perNode[l.ref.Node] = append(perNode[l.ref.Node], i)
		if fraud := perNode[l.ref.Node]; len(fraud) == sprintv1.NamesPerNode {
			return fraud
		}
	}
	return all[:min(len(all), sprintv1.FraudOfAll)]
}

// confirm re-runs on the host itself what a verdict would name of a rerun, and as many units more
// as spots says; or every unit, and then repairs what a worker got wrong. It returns
// errFaultyWorker at the first wrong one, unless whole is asked for, and the context's error when
// that ends first.
func (r *rerun) confirm(ctx context.Context, judge *work.Judge, spots int, whole bool) error {
	step := len(r.units) + 1
	if spots > 0 {
		step = max(1, len(r.units)/spots)
	}
	names := r.names()
	for i, u := range r.units {
		check := whole || i%step == 0 && spots > 0 || slices.Contains(names, i)
		if !check {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := judge.Unit(ctx, u.Class, u.Seed1, u.NodeSeed, u.SegmentSeed,
			u.Nonce, r.leaves[i].Record)
		if err != nil {
			return err
		}
		if out != r.outputs[i] && !whole {
			return errFaultyWorker
		}
		r.outputs[i] = out
	}
	r.whole = whole
	return nil
}

// verdictOn puts trusted reruns into words, in the order of duties, and leaves out the rest. What
// may be named goes to those with most weight first; where nothing is left to name with, a
// participant with wrong leaves is left out.
func (w *Voter) verdictOn(e sprintv1.Epoch, all, order []*rerun, names int) finding {
	f := finding{body: &sprintv1.VerdictBody{}, found: map[courtv1.LeafRef]transformer.Output{}}
	judged := map[*rerun][]int{} // what is named of those that are judged
	for _, r := range order {
		if !r.trusted {
			continue
		}
		for i, l := range r.leaves {
			f.found[l.ref] = r.outputs[i]
		}
		if named := r.names(); len(named) <= names {
			judged[r], names = named, names-len(named)
		}
	}
	for d, r := range all {
		named, ok := judged[r]
		if !ok {
			continue
		}
		wrong := map[string]uint64{}
		for _, i := range named {
			wrong[r.leaves[i].ref.Node]++
			f.body.Mismatches = append(f.body.Mismatches,
				sprintv1.Mismatch{Duty: uint32(d), Leaf: uint32(i)})
		}
		for len(f.body.Votes) < d {
			f.body.Votes = append(f.body.Votes, byte(sprintv1.VoteUnspecified))
		}
		f.body.Votes = append(f.body.Votes, byte(voteOf(e.Params, r.perNode, wrong)))
		for i, l := range r.leaves {
			middle := seed.Middle(w.c.Chain, e.Number, w.c.Participant, l.ref.Participant,
				l.ref.Node, l.ref.Segment, l.ref.Nonce, r.outputs[i].Middle)
			f.middles = append(f.middles, middle[:]...)
		}
	}
	if len(f.middles) > 0 {
		root := middlesTree(f.middles).Root()
		f.body.Middles = root[:]
	}
	return f
}
