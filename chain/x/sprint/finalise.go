// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/poc/audit"
	poccredit "github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// finalise settles every member and every stream, hands the weights to x/credit and closes the
// epoch.
func (k *Keeper) finalise(ctx context.Context, e *sprintv1.Epoch) error {
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return err
	}
	j, err := k.jury(ctx, *e)
	if err != nil {
		return err
	}
	people := make([]registryv1.Participant, len(roster))
	outcomes := make([]sprintv1.Outcome, len(roster))
	at := make(map[string]int, len(roster))
	for i, m := range roster {
		at[m.Participant] = i
		if people[i], err = k.registry.Record(ctx, m.Participant); err != nil {
			return err
		}
		if outcomes[i], err = k.outcome(ctx, *e, j, m, people[i]); err != nil {
			return err
		}
	}
	streams, err := k.streamOutcomes(ctx, *e, j)
	if err != nil {
		return err
	}
	j.discharge(outcomes, at, streams)
	credited, shown := uint64(0), uint64(0)
	for i, m := range roster {
		o := &outcomes[i]
		// a double sign does not wait for the epoch's end
		if p := people[i]; p.JailedUntil > e.Number && o.WeightAfter > 0 {
			nothing(o, sprintv1.ResultJailed, "jailed within the epoch: "+p.JailReason)
		}
		if o.WeightAfter > 0 {
			credited += o.WeightAfter
			shown += m.Weight
		}
	}
	if !e.Void {
		switch {
		case credited == 0:
			e.Void, e.VoidReason = true, "nobody was credited"
		case share(shown, e.TotalWeight) < uint64(e.Params.MinLiveBps):
			e.Void, e.VoidReason = true,
				fmt.Sprintf("those credited held %d of %d of the previous weight, at least "+
					"%d.%02d %% is needed", shown, e.TotalWeight, e.Params.MinLiveBps/100,
					e.Params.MinLiveBps%100)
		}
	}
	if err := k.settleStreams(ctx, *e, streams); err != nil {
		return err
	}
	if err := k.settle(ctx, *e, roster, people, outcomes, streams); err != nil {
		return err
	}
	if err := k.sentence(ctx, *e, j, roster, outcomes, streams); err != nil {
		return err
	}
	for i, m := range roster {
		if err := k.write(ctx, *e, j, m, people[i], &outcomes[i],
			withheld(streams[m.Participant])); err != nil {
			return fmt.Errorf("outcome of %s: %w", m.Participant, err)
		}
	}
	e.FinalisedHeight, e.Phase = height(ctx), sprintv1.PhaseFinalised
	return nil
}

// nothing takes the credit of an outcome.
func nothing(o *sprintv1.Outcome, result sprintv1.Result, reason string) {
	o.Result, o.Reason, o.Credited, o.WeightAfter = result, reason, 0, 0
}

// settle hands the weights over. A void epoch pays nothing; what it credited is what was shown of
// the weight before, and who only reported ready, or computed a little, showed no more than that.
func (k *Keeper) settle(ctx context.Context, e sprintv1.Epoch, roster []sprintv1.Member,
	people []registryv1.Participant, outcomes []sprintv1.Outcome,
	streams map[string]*streamOutcome) error {
	if e.Void {
		var shown []credit.Shown
		var wrong []string
		for i, m := range roster {
			if convicted(m) || outcomes[i].Result == sprintv1.ResultRejected {
				wrong = append(wrong, m.Participant)
			} else if outcomes[i].WeightAfter > 0 {
				shown = append(shown,
					credit.Shown{Participant: m.Participant, Weight: outcomes[i].WeightAfter})
			}
		}
		return k.credit.Void(ctx, e.Number, shown, wrong)
	}
	settlements := make([]credit.Settlement, 0, len(roster))
	add := func(p registryv1.Participant, key []byte, sprint, stream uint64) {
		if sprint == 0 && stream == 0 {
			return
		}
		alive := p.HeartbeatEpoch > 0 && p.HeartbeatEpoch+1 >= e.Number
		settlements = append(settlements, credit.Settlement{
			Participant: p.Address, ConsensusKey: key, Weight: sprint + stream, Sprint: sprint,
			Powerable: alive && p.JailedUntil <= e.Number && p.TakesPart(e.Number),
		})
	}
	members := make(map[string]bool, len(roster))
	for i, m := range roster {
		members[m.Participant] = true
		add(people[i], m.ConsensusKey, outcomes[i].WeightAfter,
			streams[m.Participant].weight())
	}
	for _, name := range slices.Sorted(maps.Keys(streams)) { // whose machines are gone
		if s := streams[name]; !members[name] {
			add(s.owner, s.owner.ConsensusKey, 0, s.weight())
		}
	}
	return k.credit.Finalise(ctx, e.Number, settlements, e.LiveWeight)
}

// write stores a member's outcome and what of it outlives the epoch.
func (k *Keeper) write(ctx context.Context, e sprintv1.Epoch, j *jury, m sprintv1.Member,
	p registryv1.Participant, o *sprintv1.Outcome, withheld bool) error {
	h, err := k.credit.Holding(ctx, m.Participant)
	if err != nil {
		return err
	}
	paid := o.WeightAfter > 0 && !e.Void
	if e.Void && !convicted(m) && o.Result != sprintv1.ResultRejected {
		o.Result, o.Credited, o.Reason = sprintv1.ResultVoid, 0, "void epoch: "+e.VoidReason
	}
	o.WeightAfter, o.PowerAfter = h.Weight, h.Power
	if err := k.of[ofSprint].outcomes.Set(ctx, memberKeyOf(e.Number, m.Participant),
		*o); err != nil {
		return err
	}
	emit(ctx, "outcome", "epoch", fmt.Sprint(e.Number), "participant", m.Participant, "result",
		o.Result.String(), "reason", o.Reason)
	if m.Role == sprintv1.RoleNewcomer {
		if err := k.collateral.UnlockAll(ctx, m.Participant, purposeLottery); err != nil {
			return err
		}
	}
	return k.mark(ctx, e, j, m, p, withheld || o.Result == sprintv1.ResultWithheld, paid)
}

// mark notes silence, credit and the lottery's pause in the participant's record. A void epoch
// convicts nobody of silence. It never takes more than credit and voice.
func (k *Keeper) mark(ctx context.Context, e sprintv1.Epoch, j *jury, m sprintv1.Member,
	was registryv1.Participant, withheld, paid bool) error {
	p := was
	if paid {
		p.CreditedEpoch = e.Number
	}
	silent, unopened := false, false
	if !e.Void {
		silent = withheld || j.silent[m.Participant]
		unopened = j.unopened[m.Participant]
		if m.Taken && !paid {
			p.LotteryFrom = e.Number + 1 + lotteryPause
		}
		p.SilentEpochs = 0
		if silent {
			p.SilentEpochs = was.SilentEpochs + 1
		}
		if unopened {
			p.UnopenedEpoch = e.Number
		}
	}
	if j.mass { // many at once are a fault of the network: it adds nothing and forgives nothing
		p.SilentEpochs = was.SilentEpochs
		silent = false
	}
	jailed := silent && p.SilentEpochs >= uint64(e.Params.SilenceEpochs)
	if jailed {
		p.SilentEpochs = 0
	}
	if p.CreditedEpoch != was.CreditedEpoch || p.LotteryFrom != was.LotteryFrom ||
		p.SilentEpochs != was.SilentEpochs || p.UnopenedEpoch != was.UnopenedEpoch {
		if err := k.registry.Mark(ctx, m.Participant, func(r *registryv1.Participant) {
			r.CreditedEpoch, r.LotteryFrom, r.SilentEpochs, r.UnopenedEpoch = p.CreditedEpoch,
				p.LotteryFrom, p.SilentEpochs, p.UnopenedEpoch
		}); err != nil {
			return err
		}
	}
	if jailed {
		return k.court.Punish(ctx, m.Participant, courtv1.OffenceSilence,
			fmt.Sprintf("silent for %d epochs in a row", e.Params.SilenceEpochs))
	}
	if unopened && was.UnopenedEpoch > 0 && was.UnopenedEpoch+unopenedEpochs > e.Number {
		return k.court.Punish(ctx, m.Participant, courtv1.OffenceUnopened,
			fmt.Sprintf("opened no drawn middle digests in epochs %d and %d",
				was.UnopenedEpoch, e.Number))
	}
	return nil
}

// outcome is what an epoch means for one member. The order of the cases is the order of gravity:
// what was proven comes before what was missed, and that before what was voted.
func (k *Keeper) outcome(ctx context.Context, e sprintv1.Epoch, j *jury, m sprintv1.Member,
	p registryv1.Participant) (sprintv1.Outcome, error) {
	o := sprintv1.Outcome{Epoch: e.Number, Participant: m.Participant, Moniker: m.Moniker,
		WeightBefore: m.Weight, PowerBefore: m.Power, Count: m.Leaves}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return o, err
	}
	c := claimOf(e, m)
	drawn, err := k.sampled(ctx, e, ofSprint, c)
	if err != nil {
		return o, err
	}
	judged, err := k.court.Judgements(ctx, e.Number, m.Participant)
	if err != nil {
		return o, err
	}
	nodes := wrongOf(m.Participant, drawn, judged, nil)
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
	if m.Fraud && !fraudulent(nodes) { // its stream was
		o.Forged, o.Mismatches, err = k.forgedStream(ctx, e, m.Participant)
		if err != nil {
			return o, err
		}
	}
	if result, reason, lost := forfeited(e, m, p, o); lost {
		o.Result, o.Reason = result, reason
		return o, nil
	}
	if _, _, _, pass := rule.Judge(nodes); !pass {
		o.Result = sprintv1.ResultRejected
		o.Reason = fmt.Sprintf("leaf %s is forged; %d of %d drawn leaves proven wrong",
			court.Text(*o.Forged), o.Mismatches, o.Samples)
		return o, nil
	}
	nodes, by, missing, err := k.deemed(ctx, e, ofSprint, j, c, drawn, judged, nodes, &o)
	if err != nil {
		return o, err
	}
	if missing != "" {
		return unjudgedSprint(m, p, o, class, missing)
	}
	condemned, n, x, pass := rule.Judge(nodes)
	o.Condemned = condemned
	if !pass {
		o.Result = sprintv1.ResultRejected
		o.Reason = fmt.Sprintf("judged by %s: %d of %d wrong", by, o.Mismatches, o.Samples)
		return o, nil
	}
	return k.credited(ctx, e, j, m, o, class, by, condemned, n, x)
}

// deemed says who judged a claim that was not proven wrong: its committee, or the chain, by so many
// of the drawn leaves. missing says why nobody did.
func (k *Keeper) deemed(ctx context.Context, e sprintv1.Epoch, s subject, j *jury,
	c sprintv1.Claim, drawn []drawnLog, judged []courtv1.Judgement, nodes []audit.Node,
	o *sprintv1.Outcome) (by []audit.Node, judge, missing string, err error) {
	result := j.benches[s].results[c.Participant]
	o.PassWeight, o.FailWeight, o.CommitteeWeight = result.pass, result.fail, result.whole
	if result.passed() {
		return nodes, "its committee", "", nil
	}
	if c.ChainSamples == 0 {
		return nil, "", "its committee did not judge it, and the chain does not or had no time to",
			nil
	}
	checked, err := k.rechecked(ctx, e, s, c, drawn)
	if err != nil {
		return nil, "", "", err
	}
	if !enough(c, len(checked)) {
		return nil, "", fmt.Sprintf("its committee did not judge it, and the chain had time for "+
			"%d leaves", len(checked)), nil
	}
	o.ChainSamples = uint64(len(checked))
	return wrongOf(c.Participant, drawn, judged, func(l courtv1.LeafRef) bool {
		return checked[l]
	}), fmt.Sprintf("the chain, by %d leaves", len(checked)), "", nil
}

// forfeited says whether an epoch brings a member nothing before anyone has judged its leaves, and
// why.
func forfeited(e sprintv1.Epoch, m sprintv1.Member, p registryv1.Participant,
	o sprintv1.Outcome) (result sprintv1.Result, reason string, lost bool) {
	switch {
	case m.Jailed:
		return sprintv1.ResultJailed, jailText(p), true
	case m.Fraud:
		return sprintv1.ResultFraud, fraudText(o), true
	case m.ProvenFalse:
		return sprintv1.ResultFalseVerdict, "false verdict: " + m.FalseReason, true
	case !allowed(m):
		return sprintv1.ResultNotTaken,
			fmt.Sprintf("a newcomer: the lottery took %d of %d, and not this one",
				e.Taken, e.Newcomers), true
	case o.Count == 0:
		return sprintv1.ResultAbsent, "committed nothing", true
	case !isTarget(e, m):
		return sprintv1.ResultTooSmall, fmt.Sprintf("committed %d leaves; a claim needs %d to be "+
			"worth judging: join a pool, or wait for a smaller class", o.Count,
			e.Params.MinClaimLeaves), true
	case !m.Opened:
		return sprintv1.ResultWithheld,
			fmt.Sprintf("opened none of %d drawn leaves by block %d, the deadline",
				o.Samples, e.ProofUntil), true
	}
	return 0, "", false
}

// credited is the outcome of a member whose leaves passed: x of n were wrong, those of condemned
// nodes apart.
func (k *Keeper) credited(ctx context.Context, e sprintv1.Epoch, j *jury, m sprintv1.Member,
	o sprintv1.Outcome, class transformer.Class, by string, condemned []string, n,
	x uint64) (sprintv1.Outcome, error) {
	count, err := k.countWithout(ctx, e, m, condemned)
	if err != nil {
		return o, err
	}
	bound := j.bounds.upper(x, n, creditEps(e.Params))
	o.Bound, o.Credited = uint64(bound), poccredit.Credited(count, bound)
	o.WeightAfter = weightOf(o.Credited, class)
	o.Result, o.Reason = sprintv1.ResultCredited, "credited; judged by "+by
	switch {
	case len(condemned) > 0:
		o.Reason += fmt.Sprintf("; without %d node(s) beyond the fault bound, leaf %s is forged",
			len(condemned), court.Text(*o.Forged))
	case x > 0:
		o.Reason += fmt.Sprintf("; %d of %d leaves wrong, within the tolerated hardware faults",
			x, n)
	}
	return o, nil
}

// unjudged credits a holder with a part of what it had, and a newcomer with nothing.
func unjudgedSprint(m sprintv1.Member, p registryv1.Participant, o sprintv1.Outcome,
	class transformer.Class, why string) (sprintv1.Outcome, error) {
	o.Result, o.Reason = sprintv1.ResultUnjudged, why
	o.WeightAfter = unjudged(weightOf(o.Count, class), sprintPart(m, p))
	o.Credited = o.WeightAfter / class.MiOps()
	return o, nil
}

// sprintPart is what of a member's weight its last Sprint gives it: claims of a Sprint are compared
// with Sprints. Weight of genesis, of one who was never credited since, is one.
func sprintPart(m sprintv1.Member, p registryv1.Participant) uint64 {
	if m.Credited == 0 && p.CreditedEpoch == 0 {
		return m.Weight
	}
	return min(m.Weight, m.Credited)
}

// countWithout is how many leaves a member committed on nodes that are not condemned.
func (k *Keeper) countWithout(ctx context.Context, e sprintv1.Epoch, m sprintv1.Member,
	condemned []string) (uint64, error) {
	count := m.Leaves
	for _, node := range condemned {
		leaves, err := k.NodeLeaves(ctx, e.Number, m.Participant, node)
		if err != nil {
			return 0, err
		}
		count -= leaves
	}
	return count, nil
}

// fraudText names a leaf that was forged.
func fraudText(o sprintv1.Outcome) string {
	return fmt.Sprintf("fraud: leaf %s is forged, and %d in all were proven",
		court.Text(*o.Forged), o.Mismatches)
}

// jailText says why and until when a participant is jailed.
func jailText(p registryv1.Participant) string {
	until := "for good"
	if p.JailedUntil != court.Forever {
		until = fmt.Sprintf("until epoch %d", p.JailedUntil)
	}
	return fmt.Sprintf("jailed %s: %s", until, p.JailReason)
}

// saturate is a number as far as 64 bits hold it.
func saturate(n *big.Int) uint64 {
	if !n.IsUint64() {
		return math.MaxUint64
	}
	return n.Uint64()
}

// bounds remembers exact statistics: most claims of an epoch share theirs, and each takes some
// milliseconds.
type bounds map[[2]uint64]audit.Q64

func (b bounds) upper(x, n uint64, eps audit.Rate) audit.Q64 {
	q, ok := b[[2]uint64{x, n}]
	if !ok {
		q = audit.Upper(x, n, eps)
		b[[2]uint64{x, n}] = q
	}
	return q
}
