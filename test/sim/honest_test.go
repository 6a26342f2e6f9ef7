// SPDX-License-Identifier: Apache-2.0

package sim

import (
	stdcmp "cmp"
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/sprint"
	poccredit "github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/work/transformer"
)

// creditOf is what clean samples of a claim are worth, by the closed form of the Clopper-Pearson
// bound: after n clean samples the forged share is below 1 - eps^(1/n).
func creditOf(count, samples uint64) uint64 {
	return uint64(math.Floor(float64(count) * math.Pow(0.05, 1/float64(min(samples, count)))))
}

// credited fails the test unless these participants were credited for all of their leaves.
func credited(t *testing.T, out map[string]sprintv1.Outcome, names ...string) {
	t.Helper()
	for _, name := range names {
		o := out[name]
		if want := creditOf(o.Count,
			stdcmp.Or(o.ChainSamples, o.Samples)); o.Result != sprintv1.ResultCredited ||
			o.Credited != want || o.WeightAfter != want*transformer.Nano.MiOps() {
			t.Errorf("%s: %s with %d units and weight %d (%s); want %d units of %d claimed", name,
				o.Result, o.Credited, o.WeightAfter, o.Reason, want, o.Count)
		}
	}
}

// isMember: whoever has no weight is a member of an epoch only if it announced itself, and in jail
// it cannot.
func isMember(out map[string]sprintv1.Outcome, name string) bool {
	_, ok := out[name]
	return ok
}

func names(out map[string]sprintv1.Outcome) []string {
	var all []string
	for name := range out {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// rails checks powers before and after a finalised epoch against the rules themselves, not against
// the code.
func rails(t *testing.T, before, after map[string]int64, weights map[string]uint64) {
	t.Helper()
	const total, lambda = float64(credit.TotalPower), 1.2
	sum, moved, was, whole := 0.0, 0.0, 0.0, 0.0
	for _, w := range weights {
		whole += float64(w)
	}
	for _, p := range before {
		was += float64(p)
	}
	all := map[string]bool{}
	for name := range before {
		all[name] = true
	}
	for name := range after {
		all[name] = true
	}
	for name := range all {
		a, b := float64(before[name])/was, float64(after[name])/total
		sum += b
		moved += math.Abs(a-b) / 2
		// above that one may only sink
		if most := lambda * float64(weights[name]) / whole; b > most+2e-6 && b > a+2e-6 {
			t.Errorf("%s rose to %.4f of the power; 6/5 of what it computed is %.4f", name, b, most)
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("powers sum to %.6f of the total", sum)
	}
	if moved > 1.0/3+1e-5 {
		t.Errorf("%.4f of the power moved in one epoch", moved)
	}
}

// Holds spec P-1.
func TestHonestEpochsAreCreditedWithWhatTheAuditBounds(t *testing.T) {
	n := start(t, 4, withUnits(reference))
	counts := map[string]int{"p1": 18, "p2": 24, "p3": 15, "p4": 31} // of each of two segments
	for name, count := range counts {
		n.host(name).cheat.count = func(string, uint32) int { return count }
	}
	for epoch := uint64(1); epoch <= 2; epoch++ {
		before := told(n)
		e, out := n.finish(epoch)
		if e.Void {
			t.Fatalf("epoch %d is void: %s", epoch, e.VoidReason)
		}
		credited(t, out, "p1", "p2", "p3", "p4")
		var weights []poccredit.Share
		var old []poccredit.Share
		for _, name := range names(out) {
			o := out[name]
			// After an epoch that credited little, little is drawn, and a member owes less than
			// everybody.
			samples := map[uint64]uint64{1: 32, 2: 16}[epoch]
			if o.Count != uint64(2*counts[name]) || o.Samples != min(samples, o.Count) {
				t.Errorf("%s claimed %d leaves and %d were drawn, it made %d", name, o.Count,
					o.Samples, 2*counts[name])
			}
			if epoch == 1 && o.PassWeight != o.CommitteeWeight || o.CommitteeWeight == 0 ||
				o.FailWeight > 0 {
				t.Errorf("%s: passed by %d and failed by %d of %d, everyone is honest", name,
					o.PassWeight, o.FailWeight, o.CommitteeWeight)
			}
			if passed := 3*o.PassWeight > o.CommitteeWeight; passed != (o.ChainSamples == 0) {
				t.Errorf("%s: passed by %d of %d, and the chain judged %d leaves", name,
					o.PassWeight, o.CommitteeWeight, o.ChainSamples)
			}
			weights = append(weights, poccredit.Share{ID: o.Participant, Weight: o.WeightAfter})
			old = append(old, poccredit.Share{ID: o.Participant, Weight: uint64(before[name])})
		}
		rules := credit.Rules(credit.LocalnetParams())
		after := told(n)
		rails(t, before, after, weighs(out))
		for _, p := range poccredit.Powers(old, weights, rules) {
			if name := n.byAddr[p.ID].name; after[name] != int64(p.Weight) {
				t.Errorf("epoch %d: CometBFT was told power %d of %s, its weight gives %d", epoch,
					after[name], name, p.Weight)
			}
		}
	}
}

// weighs is what an epoch's outcomes left each participant, by name.
func weighs(out map[string]sprintv1.Outcome) map[string]uint64 {
	all := map[string]uint64{}
	for name, o := range out {
		all[name] = o.WeightAfter
	}
	return all
}

func told(n *network) map[string]int64 {
	out := map[string]int64{}
	for name, p := range n.told {
		out[name] = p
	}
	return out
}

func TestEveryMessageMayComeFromTheHotKey(t *testing.T) {
	n := start(t, 4, withHotKeys())
	expires := time.Unix(2_000_000_000, 0)
	for _, h := range n.hosts {
		var grants []sdk.Msg
		for _, url := range sprintv1.DutyURLs() {
			grant, err := authz.NewMsgGrant(h.account32(),
				sdk.AccAddress(h.hot.key.PubKey().Address()), authz.NewGenericAuthorization(url),
				&expires)
			if err != nil {
				t.Fatal(err)
			}
			grants = append(grants, grant)
		}
		if h.name != "p4" { // it forgets to
			n.queue = append(n.queue, h.sign(h.operator, h.account, &h.sequence, grants...))
		}
	}
	refusals := map[string]bool{}
	n.host("p4").cheat.refused = func(msg sdk.Msg, reason string) {
		refusals[sdk.MsgTypeURL(msg)+": "+reason] = true
	}
	_, out := n.finish(1)
	credited(t, out, "p1", "p2", "p3")
	if out["p4"].Result != sprintv1.ResultAbsent {
		t.Errorf("p4 granted its hot key nothing and was %s", out["p4"].Result)
	}
	if len(refusals) == 0 {
		t.Error("no message of a key without a grant was refused")
	}
	for r := range refusals {
		if !strings.Contains(r, "authorization") {
			t.Errorf("refusal does not say what is missing: %s", r)
		}
	}
}

// N1: networks of one, two and three credit everybody, epoch after epoch. Whom nobody else can
// judge the chain judges.
// Holds spec S-23.
func TestSmallNetworksCreditEverybody(t *testing.T) {
	for members := 1; members <= 3; members++ {
		n := start(t, members)
		for epoch := uint64(1); epoch <= 3; epoch++ {
			e, out := n.finish(epoch)
			if e.Void {
				t.Fatalf("%d members, epoch %d is void: %s", members, epoch, e.VoidReason)
			}
			credited(t, out, names(out)...)
			if o := out["p1"]; (o.ChainSamples > 0) != (members == 1) {
				t.Errorf("%d members, epoch %d: the chain judged %d leaves of p1 (%s)", members,
					epoch, o.ChainSamples, o.Reason)
			}
		}
	}
}

// Holds spec S-1, S-4.
func TestPhasesCloseEarlyOnceEveryoneHasSpoken(t *testing.T) {
	n := start(t, 4)
	e, _ := n.finish(1)
	p, r := e.Params, e.Round
	for _, phase := range []struct {
		name            string
		opened, closed  int64
		window          uint32
		least, tookMost int64
	}{
		{"prepare", e.Seed1Height, e.ReadyHeight, p.PrepareBlocks, 1, 1},
		{"proof", e.ChallengeHeight, e.ProofUntil, p.ProofBlocks, 1, 1},
		{"validate", r.DrawHeight, r.ValidateUntil, p.ValidateBlocks, 1, 1},
		{"reveal", r.ValidateUntil, r.RevealUntil, p.RevealBlocks, 1, 1},
		{"check", r.CheckHeight, r.CheckUntil, p.RevealBlocks, 1, 1},
		// for anyone, so never early
		{"dispute", r.DisputeStart, r.DisputeUntil, p.DisputeBlocks, int64(p.DisputeBlocks),
			int64(p.DisputeBlocks)},
	} {
		if took := phase.closed - phase.opened; took < phase.least || took > phase.tookMost {
			t.Errorf("%s took %d blocks of %d; want %d to %d", phase.name, took, phase.window,
				phase.least, phase.tookMost)
		}
	}

	// and run to their end when somebody has not
	n = start(t, 4)
	n.host("p4").cheat.absent = func(uint64) bool { return true }
	e, out := n.finish(1)
	if took := e.ReadyHeight - e.Seed1Height; took != int64(p.PrepareBlocks) {
		t.Errorf("with 3 of 4 ready, prepare took %d blocks; want all %d", took, p.PrepareBlocks)
	}
	credited(t, out, "p1", "p2", "p3")
	if o := out["p4"]; o.Result != sprintv1.ResultAbsent || o.WeightAfter != 0 {
		t.Errorf("absence is weight 0, never last epoch's: %v", o)
	}
	n = start(t, 4)
	n.host("p4").cheat.open = adversary.WithholdOpening
	n.host("p3").cheat.commitVerdict = never
	n.host("p2").cheat.reveal = never
	e, _ = n.finish(1)
	r = e.Round
	got := []int64{e.ProofUntil - e.ChallengeHeight, r.ValidateUntil - r.DrawHeight,
		r.RevealUntil - r.ValidateUntil}
	want := []int64{int64(p.ProofBlocks), int64(p.ValidateBlocks), int64(p.RevealBlocks)}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("windows while somebody is silent (-want +got):\n%s", d)
	}
}

// Nine tenths of the weight end prepare after half of its time. Holds spec S-4.
func TestMostOfTheWeightEndsPrepareAtHalfItsTime(t *testing.T) {
	n := start(t, 10)
	n.host("p10").cheat.absent = func(uint64) bool { return true }
	e, _ := n.finish(1)
	if took, half := e.ReadyHeight-e.Seed1Height, int64(e.Params.PrepareBlocks)/2; took != half {
		t.Errorf("with 9 of 10 ready, prepare took %d blocks; want %d", took, half)
	}
}

// Holds spec S-1.
func TestTheFourQuestionsAreAnsweredOnceAnEpoch(t *testing.T) {
	n := start(t, 2)
	ask := []struct {
		name  string
		pure  func(int64, sprintv1.Epoch) bool
		stage func(*sprintv1.QueryStageResponse) bool
		at    func(sprintv1.Epoch) int64
	}{
		{"IsStartOfPoCStage", sprint.IsStartOfPoCStage,
			(*sprintv1.QueryStageResponse).GetStartOfPoc, func(e sprintv1.Epoch) int64 {
				return e.ComputeStart
			}},
		{"IsEndOfPoCStage", sprint.IsEndOfPoCStage, (*sprintv1.QueryStageResponse).GetEndOfPoc,
			func(e sprintv1.Epoch) int64 { return e.ComputeEnd }},
		{"IsStartOfPoCValidationStage", sprint.IsStartOfPoCValidationStage,
			(*sprintv1.QueryStageResponse).GetStartOfPocValidation, func(e sprintv1.Epoch) int64 {
				return e.ChallengeHeight
			}},
		{"IsEndOfPoCValidationStage", sprint.IsEndOfPoCValidationStage,
			(*sprintv1.QueryStageResponse).GetEndOfPocValidation, func(e sprintv1.Epoch) int64 {
				return e.FinalisedHeight
			}},
	}
	n.finish(3)
	times := map[string]map[uint64]int{}
	for h := int64(1); h <= n.height; h++ {
		res, err := n.query().Stage(context.Background(), &sprintv1.QueryStageRequest{Height: h})
		if err != nil {
			t.Fatalf("stage of block %d: %v", h, err)
		}
		rec, err := n.query().Epoch(context.Background(),
			&sprintv1.QueryEpochRequest{Number: res.Epoch})
		if err != nil {
			t.Fatal(err)
		}
		if e := rec.Epoch; h < e.Start || h > e.FinalisedHeight {
			t.Errorf("block %d is said to be of epoch %d, which is %d to %d", h, e.Number,
				e.Start, e.FinalisedHeight)
		}
		for _, q := range ask {
			if q.pure(h, rec.Epoch) != q.stage(res) {
				t.Errorf("%s(%d) is %v in the record and %v in the query", q.name, h,
					q.pure(h, rec.Epoch), q.stage(res))
			}
			if q.stage(res) {
				if times[q.name] == nil {
					times[q.name] = map[uint64]int{}
				}
				times[q.name][res.Epoch]++
				if h != q.at(rec.Epoch) {
					t.Errorf("%s is true at %d, the record says %d", q.name, h, q.at(rec.Epoch))
				}
			}
		}
	}
	for _, q := range ask {
		if d := cmp.Diff(map[uint64]int{1: 1, 2: 1, 3: 1}, times[q.name]); d != "" {
			t.Errorf("%s, times true by epoch (-want +got):\n%s", q.name, d)
		}
	}
	if sprint.IsStartOfPoCStage(0, sprintv1.Epoch{}) ||
		sprint.IsEndOfPoCValidationStage(0, sprintv1.Epoch{}) {
		t.Error("a boundary that is not fixed yet answers true")
	}
	// every boundary of a finished epoch is fixed and in order
	rec, err := n.query().Epoch(context.Background(), &sprintv1.QueryEpochRequest{Number: 2})
	if err != nil {
		t.Fatal(err)
	}
	e := rec.Epoch
	r := e.Round
	order := []int64{0, e.Start, e.Seed1Height, e.ReadyHeight, e.ComputeStart, e.ComputeEnd,
		e.WrapupUntil, e.ChallengeHeight, e.ProofUntil, r.DrawHeight, r.ValidateUntil,
		r.RevealUntil, r.CheckHeight, r.CheckUntil, r.DisputeUntil}
	for i := 1; i < len(order); i++ {
		if order[i] <= order[i-1] {
			t.Errorf("boundary %d stands at %d, the one before at %d", i, order[i], order[i-1])
		}
	}
	if e.FinalisedHeight != r.DisputeUntil {
		t.Errorf("finalised at %d, disputes ended at %d", e.FinalisedHeight, r.DisputeUntil)
	}
}
