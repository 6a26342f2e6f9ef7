// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"math"
	"math/big"

	"cosmossdk.io/collections"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/poc/audit"
	poccredit "github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// finalise settles every member, hands the weights to x/credit and closes the epoch.
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
	j.discharge(outcomes, at)
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
	if err := k.settle(ctx, *e, roster, people, outcomes); err != nil {
		return err
	}
	if err := k.sentence(ctx, *e, j, roster, outcomes); err != nil {
		return err
	}
	for i, m := range roster {
		if err := k.write(ctx, *e, j, m, people[i], &outcomes[i]); err != nil {
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
	people []registryv1.Participant, outcomes []sprintv1.Outcome) error {
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
	for i, m := range roster {
		if outcomes[i].WeightAfter == 0 {
			continue
		}
		p := people[i]
		alive := p.HeartbeatEpoch > 0 && p.HeartbeatEpoch+1 >= e.Number
		settlements = append(settlements, credit.Settlement{
			Participant: m.Participant, ConsensusKey: m.ConsensusKey,
			Weight:    outcomes[i].WeightAfter,
			Powerable: alive && p.JailedUntil <= e.Number,
		})
	}
	return k.credit.Finalise(ctx, e.Number, settlements, e.LiveWeight)
}

// write stores a member's outcome and what of it outlives the epoch.
func (k *Keeper) write(ctx context.Context, e sprintv1.Epoch, j *jury, m sprintv1.Member,
	p registryv1.Participant, o *sprintv1.Outcome) error {
	h, err := k.credit.Holding(ctx, m.Participant)
	if err != nil {
		return err
	}
	paid := o.WeightAfter > 0 && !e.Void
	if e.Void && !convicted(m) && o.Result != sprintv1.ResultRejected {
		o.Result, o.Credited, o.Reason = sprintv1.ResultVoid, 0, "void epoch: "+e.VoidReason
	}
	o.WeightAfter, o.PowerAfter = h.Weight, h.Power
	if err := k.outcomes.Set(ctx, memberKeyOf(e.Number, m.Participant), *o); err != nil {
		return err
	}
	emit(ctx, "outcome", "epoch", fmt.Sprint(e.Number), "participant", m.Participant, "result",
		o.Result.String(), "reason", o.Reason)
	if m.Role == sprintv1.RoleNewcomer {
		if err := k.collateral.UnlockAll(ctx, m.Participant, purposeLottery); err != nil {
			return err
		}
	}
	return k.mark(ctx, e, j, m, p, o.Result, paid)
}

// mark notes silence, credit and the lottery's pause in the participant's record. A void epoch
// convicts nobody of silence. It never takes more than credit and voice.
func (k *Keeper) mark(ctx context.Context, e sprintv1.Epoch, j *jury, m sprintv1.Member,
	was registryv1.Participant, result sprintv1.Result, paid bool) error {
	p := was
	if paid {
		p.CreditedEpoch = e.Number
	}
	silent, unopened := false, false
	if !e.Void {
		silent = result == sprintv1.ResultWithheld || j.silent[m.Participant]
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

// jury is what the committees of an epoch said, gathered once for all members.
type jury struct {
	assembly *assembly // nil where no committee was drawn
	said     []opinion
	results  map[string]tally
	silent   map[string]bool // had a duty and revealed nothing, not even abstentions
	unopened map[string]bool
	bounds   bounds
	records  []sprintv1.VerdictRecord // of the assembly's voters
	mass     bool                     // too much weight was silent or proven wrong
}

func (k *Keeper) jury(ctx context.Context, e sprintv1.Epoch) (*jury, error) {
	j := &jury{results: map[string]tally{}, silent: map[string]bool{}, unopened: map[string]bool{},
		bounds: bounds{}}
	if len(e.Round.Mix) == 0 {
		return j, nil
	}
	var err error
	if j.assembly, err = k.assembly(ctx, e); err != nil {
		return nil, err
	}
	var records []sprintv1.VerdictRecord
	if j.said, records, err = k.opinions(ctx, e, j.assembly); err != nil {
		return nil, err
	}
	for t, result := range j.assembly.count(j.said) {
		j.results[j.assembly.targets[t].name] = result
	}
	j.records = records
	for v, r := range records {
		name := j.assembly.voters[v].name
		j.silent[name] = r.Voter != "" && r.RevealHeight == 0
		j.unopened[name] = unopened(e, r)
	}
	return j, nil
}

// discharge cuts every voter's own credit to the part of its duty that it did: saying nothing never
// pays.
func (j *jury) discharge(outcomes []sprintv1.Outcome, at map[string]int) {
	if j.assembly == nil {
		return
	}
	before := make([]uint64, len(j.assembly.targets))
	for t, target := range j.assembly.targets {
		before[t] = outcomes[at[target.name]].WeightAfter
	}
	for v, d := range j.assembly.discharged(j.said, func(t int32) uint64 { return before[t] }) {
		o := &outcomes[at[j.assembly.voters[v].name]]
		name := j.assembly.voters[v].name
		o.Judged, o.Owed = saturate(d.judged), saturate(d.owed)
		if o.WeightAfter == 0 {
			continue
		}
		switch {
		case j.unopened[name]:
			nothing(o, sprintv1.ResultUnopened, "did not open the middle digests of its verdict "+
				"that the beacon drew")
			continue
		case j.said[v].out:
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
	drawn, err := k.sampled(ctx, e, m)
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
	result := j.results[m.Participant]
	o.PassWeight, o.FailWeight, o.CommitteeWeight = result.pass, result.fail, result.whole
	if !result.passed() && m.ChainSamples == 0 {
		return k.unjudged(e, m, o, class, "its committee did not judge it, and the chain does "+
			"not or had no time to")
	}
	by := "its committee"
	if !result.passed() {
		checked, err := k.rechecked(ctx, e, m, drawn)
		if err != nil {
			return o, err
		}
		if !enough(m, len(checked)) {
			return k.unjudged(e, m, o, class, fmt.Sprintf("its committee did not judge it, and "+
				"the chain had time for %d leaves", len(checked)))
		}
		nodes = wrongOf(m.Participant, drawn, judged,
			func(l courtv1.LeafRef) bool { return checked[l] })
		o.ChainSamples, by = uint64(len(checked)),
			fmt.Sprintf("the chain, by %d leaves", len(checked))
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

// forfeited says whether an epoch brings a member nothing before anyone has judged its leaves, and
// why.
func forfeited(e sprintv1.Epoch, m sprintv1.Member, p registryv1.Participant,
	o sprintv1.Outcome) (result sprintv1.Result, reason string, lost bool) {
	switch {
	case m.Jailed:
		return sprintv1.ResultJailed, jailText(p), true
	case m.Fraud:
		return sprintv1.ResultFraud,
			fmt.Sprintf("fraud: leaf %s is forged, and %d in all were proven",
				court.Text(*o.Forged), o.Mismatches), true
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
func (k *Keeper) unjudged(e sprintv1.Epoch, m sprintv1.Member, o sprintv1.Outcome,
	class transformer.Class, why string) (sprintv1.Outcome, error) {
	o.Result, o.Reason = sprintv1.ResultUnjudged, why
	o.WeightAfter = unjudged(weightOf(o.Count, class), m.Weight)
	o.Credited = o.WeightAfter / class.MiOps()
	return o, nil
}

// countWithout is how many leaves a member committed on nodes that are not condemned.
func (k *Keeper) countWithout(ctx context.Context, e sprintv1.Epoch, m sprintv1.Member,
	condemned []string) (uint64, error) {
	count := m.Leaves
	for _, node := range condemned {
		err := k.commits.Walk(ctx, collections.NewSuperPrefixedQuadRange3[uint64, string, string,
			uint32](e.Number, m.Participant, node),
			func(_ logKey, c sprintv1.Commit) (bool, error) {
				count -= c.Count
				return false, nil
			})
		if err != nil {
			return 0, err
		}
	}
	return count, nil
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
