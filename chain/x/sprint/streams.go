// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/table"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/audit"
	poccredit "github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// What x/stream asks.

// EpochOf is the record of an epoch; ok is false where there is none.
func (k *Keeper) EpochOf(ctx context.Context, number uint64) (e sprintv1.Epoch, ok bool,
	err error) {
	return table.Find(ctx, k.epochs, number)
}

// MemberOf is a participant's place in an epoch, as it stands now: who was jailed since the epoch
// began is jailed. ok is false where it has none.
func (k *Keeper) MemberOf(ctx context.Context, epoch uint64,
	participant string) (m sprintv1.Member, ok bool, err error) {
	m, err = k.members.Get(ctx, memberKeyOf(epoch, participant))
	if errors.Is(err, collections.ErrNotFound) {
		return m, false, nil
	} else if err != nil {
		return m, false, err
	}
	p, err := k.registry.Record(ctx, participant)
	m.Jailed = m.Jailed || p.JailedUntil > epoch
	return m, err == nil, err
}

// NodeLeaves is how many leaves a node committed in an epoch's Sprint, all segments together.
func (k *Keeper) NodeLeaves(ctx context.Context, epoch uint64, participant,
	node string) (leaves uint64, err error) {
	err = k.commits.Walk(ctx, collections.NewSuperPrefixedQuadRange3[uint64, string, string,
		uint32](epoch, participant, node), func(_ logKey, c sprintv1.Commit) (bool, error) {
		leaves += c.Count
		return false, nil
	})
	return leaves, err
}

// streamOutcome is what an epoch finds of one stream of the epoch before.
type streamOutcome struct {
	owner registryv1.Participant
	sprintv1.Outcome
}

// weight is what a stream adds to the Sprint; nothing where there is none.
func (s *streamOutcome) weight() uint64 {
	if s == nil {
		return 0
	}
	return s.WeightAfter
}

// lost: a stream counts nothing for what its owner did.
func lost(r sprintv1.Result) bool {
	return r == sprintv1.ResultWithheld || r == sprintv1.ResultRejected ||
		r == sprintv1.ResultJailed
}

// withheld: a stream's drawn leaves were not opened.
func withheld(s *streamOutcome) bool {
	return s != nil && s.Result == sprintv1.ResultWithheld
}

// streamOutcomes judges the streams of an epoch, by participant (spec S-32).
func (k *Keeper) streamOutcomes(ctx context.Context, e sprintv1.Epoch,
	j *jury) (map[string]*streamOutcome, error) {
	if e.Streams == 0 {
		return nil, nil
	}
	of, err := k.work(ctx, e, ofStream)
	if err != nil {
		return nil, err
	}
	claims, err := k.streamsOf(ctx, e.Number)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*streamOutcome, len(claims))
	for _, c := range claims {
		o := &streamOutcome{Outcome: sprintv1.Outcome{Epoch: e.Number, Participant: c.Participant,
			Count: c.Leaves}}
		if o.owner, err = k.registry.Record(ctx, c.Participant); err != nil &&
			!errors.Is(err, registry.ErrUnknown) {
			return nil, err
		}
		o.Moniker = o.owner.Moniker
		if err := k.streamOutcome(ctx, e, of, j, c, o); err != nil {
			return nil, fmt.Errorf("stream of %s: %w", c.Participant, err)
		}
		all[c.Participant] = o
	}
	return all, nil
}

// streamOutcome is outcome for a stream of an epoch.
func (k *Keeper) streamOutcome(ctx context.Context, e, of sprintv1.Epoch, j *jury,
	c sprintv1.Claim, o *streamOutcome) error {
	class, err := transformer.ByName(of.Params.Class)
	if err != nil {
		return err
	}
	drawn, err := k.sampled(ctx, e, ofStream, c)
	if err != nil {
		return err
	}
	judged, err := k.court.Judgements(ctx, of.Number, c.Participant)
	if err != nil {
		return err
	}
	judged = slices.DeleteFunc(judged, func(j courtv1.Judgement) bool {
		return subjectOf(j.Leaf) != ofStream
	})
	nodes := wrongOf(c.Participant, drawn, judged, nil)
	for _, n := range nodes {
		o.Samples, o.Mismatches = o.Samples+n.Drawn, o.Mismatches+n.Wrong
	}
	for i := range judged {
		if judged[i].Mismatch {
			o.Forged = &judged[i].Leaf
			break
		}
	}
	rule := ruleOf(e.Params)
	o.P = uint64(audit.Tail(o.Samples, o.Mismatches, rule.Fault))
	guilty, err := k.guilty(ctx, e.Number, c.Participant)
	if err != nil {
		return err
	}
	switch {
	case fraudulent(nodes):
		o.Result, o.Reason = sprintv1.ResultFraud, fraudText(o.Outcome)
		return nil
	case guilty || o.owner.JailedUntil > e.Number:
		o.Result, o.Reason = sprintv1.ResultJailed, jailText(o.owner)
		return nil
	case !c.Opened:
		o.Result = sprintv1.ResultWithheld
		o.Reason = fmt.Sprintf("opened none of %d drawn leaves by block %d, the deadline",
			o.Samples, e.ProofUntil)
		return nil
	}
	if _, _, _, pass := rule.Judge(nodes); !pass {
		o.Result = sprintv1.ResultRejected
		o.Reason = fmt.Sprintf("leaf %s is forged; %d of %d drawn leaves proven wrong",
			court.Text(*o.Forged), o.Mismatches, o.Samples)
		return nil
	}
	nodes, by, missing, err := k.deemed(ctx, e, ofStream, j, c, drawn, judged, nodes, &o.Outcome)
	if err != nil {
		return err
	}
	condemned, n, x, pass := rule.Judge(nodes)
	if missing == "" && !pass {
		o.Result = sprintv1.ResultRejected
		o.Reason = fmt.Sprintf("judged by %s: %d of %d wrong", by, o.Mismatches, o.Samples)
		return nil
	}
	return k.weighStream(ctx, e, of, j, o, class, verdictOn{by, missing, condemned, n, x})
}

// verdictOn is what was found of a claim: who judged it or why nobody did, nodes beyond the fault
// bound, and how many of the other leaves were wrong.
type verdictOn struct {
	by, missing string
	condemned   []string
	n, x        uint64
}

// weighStream says what a stream counts that was not proven wrong.
func (k *Keeper) weighStream(ctx context.Context, e, of sprintv1.Epoch, j *jury, o *streamOutcome,
	class transformer.Class, v verdictOn) error {
	sprint, err := k.of[ofSprint].outcomes.Get(ctx, memberKeyOf(of.Number, o.Participant))
	if err != nil {
		return fmt.Errorf("outcome of its Sprint: %w", err)
	}
	bound := audit.Q64(0)
	if v.missing == "" {
		bound = j.bounds.upper(v.x, v.n, creditEps(e.Params))
	}
	o.Bound, o.Condemned = uint64(bound), v.condemned
	if o.Credited, err = k.stream.Weigh(ctx, of.Number, o.Participant,
		func(node string, leaves uint64) uint64 {
			if slices.Contains(v.condemned, node) {
				return 0
			}
			return poccredit.Credited(leaves, bound)
		}, sprint.Credited); err != nil {
		return err
	}
	o.WeightAfter = weightOf(o.Credited, class)
	o.Result, o.Reason = sprintv1.ResultCredited, "credited; judged by "+v.by
	if v.missing != "" {
		o.Result, o.Reason = sprintv1.ResultUnjudged, v.missing
		o.WeightAfter = unjudged(o.WeightAfter, weightOf(sprint.Credited, class))
		o.Credited = o.WeightAfter / class.MiOps()
	} else if len(v.condemned) > 0 {
		o.Reason += fmt.Sprintf("; without %d node(s) beyond the fault bound, leaf %s is forged",
			len(v.condemned), court.Text(*o.Forged))
	}
	return nil
}

// forgedStream is the first leaf of a participant's stream that was proven forged, and how many
// were.
func (k *Keeper) forgedStream(ctx context.Context, e sprintv1.Epoch,
	participant string) (first *courtv1.LeafRef, n uint64, err error) {
	judged, err := k.court.Judgements(ctx, ofStream.epoch(e.Number), participant)
	if err != nil {
		return nil, 0, err
	}
	for i := range judged {
		if judged[i].Mismatch && subjectOf(judged[i].Leaf) == ofStream {
			if n++; first == nil {
				first = &judged[i].Leaf
			}
		}
	}
	return first, n, nil
}

// settleStreams notes what the streams of an epoch count, and marks the silence of those owners
// that are no members any longer. Where the epoch is void they count nothing.
func (k *Keeper) settleStreams(ctx context.Context, e sprintv1.Epoch,
	streams map[string]*streamOutcome) error {
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		o := streams[name]
		if e.Void && o.WeightAfter > 0 {
			nothing(&o.Outcome, sprintv1.ResultVoid, "void epoch: "+e.VoidReason)
		}
		if err := k.of[ofStream].outcomes.Set(ctx, memberKeyOf(e.Number, name),
			o.Outcome); err != nil {
			return err
		}
		emit(ctx, "stream_outcome", "epoch", fmt.Sprint(e.Number), "participant", name, "result",
			o.Result.String(), "reason", o.Reason)
		if err := k.stream.Settle(ctx, ofStream.epoch(e.Number), name, o.Credited,
			len(o.Condemned) > 0 || lost(o.Result), o.Reason); err != nil {
			return err
		}
		member, err := k.members.Has(ctx, memberKeyOf(e.Number, name))
		if err != nil {
			return err
		}
		if !member && !e.Void && o.owner.Address != "" && withheld(o) {
			if err := k.registry.Mark(ctx, name, func(r *registryv1.Participant) {
				r.SilentEpochs++
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
