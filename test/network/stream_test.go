// SPDX-License-Identifier: Apache-2.0

package network

import (
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/stream"
	"github.com/assaynet/assay/localnet"
)

// Machines prove between the windows of two epochs; the next one judges what they proved, and adds
// it to what their Sprints weigh.
// Holds spec T-6, T-11.
func TestMachinesProveBetweenSprints(t *testing.T) {
	long(t)
	params, on := quick(), stream.LocalnetParams()
	params.EpochBlocks = 70
	n := start(t, localnet.Options{Participants: 3, Params: params, Stream: &on})
	n.until(0, "epoch 2 is finalised", func(now *sprintv1.QueryCurrentResponse) bool {
		return now.Epoch.Number == 2 && now.Epoch.Phase >= sprintv1.PhaseFinalised
	})
	q, err := n.Sprint(0)
	if err != nil {
		t.Fatal(err)
	}
	res, err := q.Outcomes(n.ctx, &sprintv1.QueryOutcomesRequest{Epoch: 2, Stream: true})
	if err != nil || len(res.Outcomes) != 3 {
		t.Fatalf("%d streams were judged, %v", len(res.Outcomes), err)
	}
	for _, o := range res.Outcomes {
		if o.Result != sprintv1.ResultCredited || o.WeightAfter == 0 || o.Samples == 0 ||
			o.Mismatches > 0 {
			t.Errorf("%s: %s, %s; %d of %d drawn ones wrong, weight %d", o.Moniker, o.Result,
				o.Reason, o.Mismatches, o.Samples, o.WeightAfter)
		}
		if whole := n.outcomes(2)[o.Participant].WeightAfter; whole <= o.WeightAfter {
			t.Errorf("%s weighs %d, of which its stream is %d", o.Moniker, whole, o.WeightAfter)
		}
	}
}
