// SPDX-License-Identifier: Apache-2.0

package network

import (
	"testing"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/localnet"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The largest class that the chain judges itself: the same epoch, 134 MB of weights in every
// process that computes. All of the cheat's leaves are wrong, so that no draw misses it: of a
// quarter that is forged, 16 samples hit at most one, which is tolerated, every 16th time.
func TestACheatOfClassSmallIsCaught(t *testing.T) {
	p := quick()
	p.Class, p.Samples = transformer.Small.Name, 16
	p.PrepareBlocks, p.SegmentBlocks = 60, 20
	n := start(t, localnet.Options{Participants: 3, Cheat: adversary.Skip, Params: p})
	for i := range 2 {
		n.credited(1, i)
	}
	if o := n.outcomes(1)[n.Members[2].Address]; o.Result == sprintv1.ResultCredited ||
		o.Mismatches < 2 {
		t.Errorf("the cheat: %v (%s), %d mismatches", o.Result, o.Reason, o.Mismatches)
	}
}
