// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"cosmossdk.io/collections"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/poc/audit"
	poccredit "github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// decideRound judges every target of the last round and reports whether one of them goes to a larger committee.
func (k *Keeper) decideRound(ctx context.Context, e sprintv1.Epoch) (contested bool, err error) {
	r := e.Rounds[len(e.Rounds)-1]
	targets, err := k.targets(ctx, e, r)
	if err != nil {
		return false, err
	}
	b, err := k.ballot(ctx, e, r)
	if err != nil {
		return false, err
	}
	for _, t := range targets {
		m, err := k.members.Get(ctx, memberKeyOf(e.Number, t))
		if err != nil {
			return false, err
		}
		o, err := k.outcome(ctx, e, b, m)
		if err != nil {
			return false, err
		}
		if undecided(o.Result) && !r.Everyone {
			o.Round, contested = r.Number+1, true
		}
		if err := k.outcomes.Set(ctx, memberKeyOf(e.Number, t), o); err != nil {
			return false, err
		}
	}
	return contested, nil
}

func undecided(r sprintv1.Result) bool {
	return r == sprintv1.ResultUndecided || r == sprintv1.ResultUndecidedAgain
}

// outcome is what an epoch means for one member, judged by one round's committee. The order of the cases is the
// order of gravity: what was proven comes before what was missed, and that before what was voted.
func (k *Keeper) outcome(ctx context.Context, e sprintv1.Epoch, b *ballot, m sprintv1.Member) (sprintv1.Outcome, error) {
	o := sprintv1.Outcome{Epoch: e.Number, Participant: m.Participant, Moniker: m.Moniker, WeightBefore: m.Weight, PowerBefore: m.Power, Round: b.round.Number}
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		return o, err
	}
	logs, err := k.logsOf(ctx, e.Number, m.Participant)
	if err != nil {
		return o, err
	}
	for _, l := range logs {
		o.Count += l.Count
	}
	drawn, err := k.sampled(ctx, e, m.Participant)
	if err != nil {
		return o, err
	}
	wrong, err := k.proven(ctx, e.Number, m.Participant)
	if err != nil {
		return o, err
	}
	for _, d := range drawn {
		o.Samples += uint64(len(d.nonces))
	}
	o.Mismatches = uint64(len(wrong))
	o.P = uint64(audit.Tail(o.Samples, o.Mismatches, faultRate(e.Params)))
	if len(wrong) > 0 {
		o.Forged = &wrong[0].Leaf
	}
	opened, err := k.openings.Has(ctx, memberKeyOf(e.Number, m.Participant))
	if err != nil {
		return o, err
	}

	switch {
	case m.Jailed:
		p, err := k.registry.Get(ctx, m.Participant)
		if err != nil {
			return o, err
		}
		o.Result, o.Reason = sprintv1.ResultJailed, jailText(p)
		return o, nil
	case m.Fraud:
		o.Result = sprintv1.ResultFraud
		o.Reason = fmt.Sprintf("fraud: leaf %s is forged, and %d in all were proven", refText(*o.Forged), len(wrong))
		return o, nil
	case m.ProvenFalse:
		o.Result, o.Reason = sprintv1.ResultFalseVerdict, "false verdict: "+m.FalseReason
		return o, nil
	case o.Count == 0:
		o.Result, o.Reason = sprintv1.ResultAbsent, "committed nothing"
		return o, nil
	case !opened:
		o.Result, o.Reason = sprintv1.ResultWithheld, fmt.Sprintf("opened none of %d drawn leaves by block %d, the deadline", o.Samples, e.ProofUntil)
		return o, nil
	}

	kept, n, x := keptLogs(e.Params, drawn, wrong, &o)
	if n == 0 || beyondFaults(e.Params, n, x) {
		o.Result = sprintv1.ResultRejected
		o.Reason = fmt.Sprintf("leaf %s is forged; %d of %d drawn leaves proven wrong", refText(*o.Forged), o.Mismatches, o.Samples)
		return o, nil
	}
	o.PassWeight, o.CommitteeWeight = k.countVotes(ctx, e, b, m.Participant, int(o.Samples))
	bound := b.upper(e.Params, x, n)
	o.Bound = uint64(bound)
	var count uint64
	for _, l := range logs {
		if kept[l.Node] {
			count += l.Count
		}
	}
	if o.PassWeight > o.CommitteeWeight/2 {
		o.Result = sprintv1.ResultCredited
		o.Credited = poccredit.Credited(count, bound)
		o.WeightAfter = weightOf(o.Credited, class)
		o.Reason = "credited"
		if len(o.Condemned) > 0 {
			o.Reason = fmt.Sprintf("credited without %d node(s) beyond the fault bound; leaf %s is forged", len(o.Condemned), refText(*o.Forged))
		} else if x > 0 {
			o.Reason = fmt.Sprintf("credited; %d of %d leaves wrong, within the tolerated hardware faults", x, n)
		}
		return o, nil
	}
	// nothing proven, yet not passed: at most what it had, and not twice in a row
	if again, err := k.undecidedBefore(ctx, e, m.Participant); err != nil {
		return o, err
	} else if again {
		o.Result, o.Reason = sprintv1.ResultUndecidedAgain, "half of the committee did not pass it, for the second time in a row"
		return o, nil
	}
	o.Result = sprintv1.ResultUndecided
	o.WeightAfter = min(weightOf(count, class), m.Weight)
	o.Credited = o.WeightAfter / class.MiOps()
	o.Reason = "half of the committee did not pass it and nothing was proven: the smaller of the claim and the previous weight"
	return o, nil
}

// maxWeight is far above what anybody computes in an epoch. It keeps sums of weights within 64 bits even where a
// committee passes whatever count was claimed: a draw by weights that wrapped around would stop the chain.
const maxWeight = 1 << 53

// weightOf is what verified units weigh, in units of 2^20 operations.
func weightOf(units uint64, class transformer.Class) uint64 {
	if units > maxWeight/class.MiOps() {
		return maxWeight
	}
	return units * class.MiOps()
}

// jailText says why and until when a participant is jailed.
func jailText(p registryv1.Participant) string {
	until := "for good"
	if p.JailedUntil != credit.Forever {
		until = fmt.Sprintf("until epoch %d", p.JailedUntil)
	}
	return fmt.Sprintf("jailed %s: %s", until, p.JailReason)
}

// undecidedBefore: the last epoch that meant something for a participant left it undecided. Void ones mean nothing.
func (k *Keeper) undecidedBefore(ctx context.Context, e sprintv1.Epoch, participant string) (bool, error) {
	for number := e.Number - 1; number > 0; number-- {
		o, err := k.outcomes.Get(ctx, memberKeyOf(number, participant))
		if errors.Is(err, collections.ErrNotFound) {
			return false, nil
		}
		if err != nil || o.Result != sprintv1.ResultVoid {
			return o.Result == sprintv1.ResultUndecided, err
		}
	}
	return false, nil
}

// keptLogs leaves out node logs beyond the fault bound; their samples leave n and x.
func keptLogs(p sprintv1.Params, drawn []drawnLog, wrong []sprintv1.Judgement, o *sprintv1.Outcome) (kept map[string]bool, n, x uint64) {
	samples, bad := map[string]uint64{}, map[string]uint64{}
	for _, d := range drawn {
		samples[d.commit.Node] += uint64(len(d.nonces))
	}
	for _, j := range wrong {
		bad[j.Leaf.Node]++
	}
	kept = map[string]bool{}
	done := map[string]bool{}
	for _, d := range drawn { // in order of node
		node := d.commit.Node
		if done[node] {
			continue
		}
		done[node] = true
		if beyondFaults(p, samples[node], bad[node]) {
			o.Condemned = append(o.Condemned, node)
			continue
		}
		kept[node] = true
		n, x = n+samples[node], x+bad[node]
	}
	return kept, n, x
}

// ballot is what a round's members said, gathered once for all targets.
type ballot struct {
	round  sprintv1.Round
	voters []sprintv1.Member
	// out: proven false or a fraud, whose votes leave both sides
	out map[string]bool
	// passed: voter and target
	passed map[[2]string]bool
	// bounds by (x, n): most claims of an epoch share one, and it takes some milliseconds
	bounds map[[2]uint64]audit.Q64
}

func (k *Keeper) ballot(ctx context.Context, e sprintv1.Epoch, r sprintv1.Round) (*ballot, error) {
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return nil, err
	}
	b := &ballot{round: r, voters: eligible(roster), out: map[string]bool{}, passed: map[[2]string]bool{}, bounds: map[[2]uint64]audit.Q64{}}
	for _, m := range roster {
		b.out[m.Participant] = m.ProvenFalse || m.Fraud
	}
	return b, k.spoken(ctx, e.Number, r.Number, true, func(record sprintv1.VerdictRecord) error {
		if record.Body == nil {
			return nil
		}
		for _, v := range record.Body.Verdicts {
			if v.Vote == sprintv1.VotePass {
				b.passed[[2]string{record.Voter, v.Target}] = true
			}
		}
		return nil
	})
}

func (b *ballot) upper(p sprintv1.Params, x, n uint64) audit.Q64 {
	bound, ok := b.bounds[[2]uint64{x, n}]
	if !ok {
		bound = audit.Upper(x, n, creditEps(p))
		b.bounds[[2]uint64{x, n}] = bound
	}
	return bound
}

// countVotes weighs a target's committee. A voter proven false leaves both sides; abstention and silence stay in the whole.
func (k *Keeper) countVotes(ctx context.Context, e sprintv1.Epoch, b *ballot, target string, n int) (pass, all uint64) {
	if len(b.round.Mix) == 0 {
		return 0, 0
	}
	c := k.committee(ctx, e, b.round, b.voters, target, n)
	for i, voter := range c.members {
		if c.votes[i] == 0 || b.out[voter] {
			continue
		}
		all += c.votes[i]
		if b.passed[[2]string{voter, target}] {
			pass += c.votes[i]
		}
	}
	return pass, all
}

// finalise settles every member, hands the weights to x/credit and closes the epoch.
func (k *Keeper) finalise(ctx context.Context, e *sprintv1.Epoch) error {
	roster, err := k.roster(ctx, e.Number)
	if err != nil {
		return err
	}
	silent, err := k.silentMembers(ctx, *e)
	if err != nil {
		return err
	}
	ballots := make([]*ballot, max(1, len(e.Rounds)))
	ballots[0] = &ballot{bounds: map[[2]uint64]audit.Q64{}} // of an epoch without a round
	for i, r := range e.Rounds {
		if ballots[i], err = k.ballot(ctx, *e, r); err != nil {
			return err
		}
	}
	outcomes := make([]sprintv1.Outcome, len(roster))
	credited := uint64(0)
	for i, m := range roster {
		if outcomes[i], err = k.finalOutcome(ctx, *e, ballots, m); err != nil {
			return err
		}
		o := &outcomes[i]
		if silent[m.Participant] && (o.Result == sprintv1.ResultCredited || undecided(o.Result)) {
			o.Result, o.Credited, o.WeightAfter = sprintv1.ResultSilent, 0, 0
			o.Reason = "was drawn as a member and revealed no verdict, not even an abstention"
		}
		if p, err := k.registry.Get(ctx, m.Participant); err != nil {
			return err
		} else if p.JailedUntil > e.Number && o.WeightAfter > 0 { // a double sign does not wait for the epoch's end
			o.Result, o.Credited, o.WeightAfter = sprintv1.ResultJailed, 0, 0
			o.Reason = "jailed within the epoch: " + p.JailReason
		}
		credited += o.WeightAfter
	}
	if !e.Void && credited == 0 {
		e.Void, e.VoidReason = true, "nobody was credited"
	}
	if err := k.settleCredit(ctx, *e, roster, outcomes); err != nil {
		return err
	}
	for i, m := range roster {
		o := &outcomes[i]
		h, err := k.credit.Holding(ctx, m.Participant)
		if err != nil {
			return err
		}
		o.WeightAfter, o.PowerAfter = h.Weight, h.Power
		if e.Void && (o.Result == sprintv1.ResultCredited || undecided(o.Result) || o.Result == sprintv1.ResultAbsent) {
			o.Result, o.Credited, o.Reason = sprintv1.ResultVoid, 0, "void epoch: "+e.VoidReason
		}
		if err := k.outcomes.Set(ctx, memberKeyOf(e.Number, m.Participant), *o); err != nil {
			return err
		}
		if err := k.countSilence(ctx, *e, m, o.Result == sprintv1.ResultWithheld || silent[m.Participant]); err != nil {
			return err
		}
		emit(ctx, "outcome", "epoch", fmt.Sprint(e.Number), "participant", m.Participant, "result", o.Result.String(), "reason", o.Reason)
	}
	e.FinalisedHeight, e.Phase = height(ctx), sprintv1.PhaseFinalised
	return nil
}

// finalOutcome judges a member by the round that decided it.
func (k *Keeper) finalOutcome(ctx context.Context, e sprintv1.Epoch, ballots []*ballot, m sprintv1.Member) (sprintv1.Outcome, error) {
	decided, err := k.outcomes.Get(ctx, memberKeyOf(e.Number, m.Participant))
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return decided, err
	}
	return k.outcome(ctx, e, ballots[max(decided.Round, 1)-1], m)
}

// settleCredit hands over the weights; a void epoch keeps those that were shown.
func (k *Keeper) settleCredit(ctx context.Context, e sprintv1.Epoch, roster []sprintv1.Member, outcomes []sprintv1.Outcome) error {
	if e.Void {
		var kept, wrong []string
		for i, m := range roster {
			switch outcomes[i].Result {
			case sprintv1.ResultFraud, sprintv1.ResultFalseVerdict, sprintv1.ResultRejected:
				wrong = append(wrong, m.Participant)
			default:
				if m.Live {
					kept = append(kept, m.Participant)
				}
			}
		}
		return k.credit.Void(ctx, kept, wrong)
	}
	live := uint64(0)
	for _, m := range roster {
		if m.Live {
			live += m.Weight
		}
	}
	settlements := make([]credit.Settlement, 0, len(roster))
	for i, m := range roster {
		p, err := k.registry.Get(ctx, m.Participant)
		if err != nil {
			return err
		}
		alive := p.HeartbeatEpoch > 0 && p.HeartbeatEpoch+1 >= e.Number
		settlements = append(settlements, credit.Settlement{
			Participant: m.Participant, ConsensusKey: m.ConsensusKey, Weight: outcomes[i].WeightAfter,
			Powerable: alive && p.JailedUntil <= e.Number,
		})
	}
	return k.credit.Finalise(ctx, settlements, live)
}

// silentMembers are those drawn in a round that revealed nothing.
func (k *Keeper) silentMembers(ctx context.Context, e sprintv1.Epoch) (map[string]bool, error) {
	silent := map[string]bool{}
	for _, r := range e.Rounds {
		if err := k.spoken(ctx, e.Number, r.Number, false, func(v sprintv1.VerdictRecord) error {
			silent[v.Voter] = silent[v.Voter] || v.RevealHeight == 0
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return silent, nil
}

// countSilence jails those who stay silent epoch after epoch. It never takes more than credit and voice.
func (k *Keeper) countSilence(ctx context.Context, e sprintv1.Epoch, m sprintv1.Member, silent bool) error {
	p, err := k.registry.Get(ctx, m.Participant)
	if err != nil {
		return err
	}
	n := uint64(0)
	if silent {
		n = p.SilentEpochs + 1
	}
	if n >= uint64(e.Params.SilenceEpochs) {
		n = 0
		reason := fmt.Sprintf("silent for %d epochs in a row", e.Params.SilenceEpochs)
		if err := k.registry.Jail(ctx, m.Participant, e.Number+1+uint64(e.Params.JailEpochs), reason); err != nil {
			return err
		}
	}
	if n == p.SilentEpochs {
		return nil
	}
	return k.registry.SetSilent(ctx, m.Participant, n)
}

// mulDiv is a*b/c without overflow, for c > 0 and a <= c.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return b
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}
