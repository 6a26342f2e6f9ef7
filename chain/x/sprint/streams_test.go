// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"math"
	"math/rand/v2"
	"testing"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/audit"
)

// Claims of a Sprint are compared with Sprints: what a stream added to a weight is no part of it.
func TestTheSprintPartOfAWeight(t *testing.T) {
	for name, tc := range map[string]struct{ weight, credited, creditedEpoch, want uint64 }{
		"of genesis":             {1_000, 0, 0, 1_000},
		"of a Sprint alone":      {700, 700, 3, 700},
		"of both":                {1_000, 700, 3, 700},
		"of a stream alone":      {300, 0, 3, 0},
		"halved in a void epoch": {350, 700, 3, 350},
		"of nobody":              {0, 0, 0, 0},
	} {
		if got := sprintPart(sprintv1.Member{Weight: tc.weight, Credited: tc.credited},
			registryv1.Participant{CreditedEpoch: tc.creditedEpoch}); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// Four wrong leaves of one node are fraud, or six of all.
func TestWhatIsFraud(t *testing.T) {
	leaves := func(nodes string) (all []courtv1.LeafRef) {
		for i, node := range nodes {
			all = append(all, courtv1.LeafRef{Node: string(node), Nonce: uint64(i)})
		}
		return all
	}
	for nodes, want := range map[string]bool{"": false, "aaa": false, "aaaa": true, "aabbc": false,
		"abcde": false, "aabbcc": true, "baaba": false, "baabaa": true, "cbaaaa": true} {
		if isFraud(leaves(nodes)) != want {
			t.Errorf("%q is fraud: %v", nodes, !want)
		}
	}
}

// Healthy hardware errs once in 10,000 leaves. In a million participant-epochs, in each of which
// 200 leaves of a Sprint and 200 of a stream are drawn and 8 middle digests of each verdict opened,
// no participant is found a fraud or a false voter, which are all that slash or jail for what was
// computed; and few are rejected.
// Holds spec S-26, J-6.
func TestHonestHardwareIsNeverPunished(t *testing.T) {
	const (
		epochs, fault = 1_000_000, 1e-4
		drawn, per    = 200, 2 * (200 + middleChecks)
	)
	rng := rand.New(rand.NewPCG(12, 7))
	passes := map[uint64]bool{} // by wrong leaves
	var frauds, jailed, rejected, lost int
	at, last := uint64(0), uint64(math.MaxUint64)
	var wrong [len(subjects)]uint64 // leaves of the epoch that is running
	middles := 0
	settle := func() {
		for _, x := range wrong {
			nodes := []audit.Node{{ID: "gpu", Drawn: drawn, Wrong: x}}
			if fraudulent(nodes) {
				frauds++
			}
			if _, known := passes[x]; !known {
				_, _, _, passes[x] = ruleOf(DefaultParams()).Judge(nodes)
			}
			if !passes[x] {
				rejected++
			}
		}
		if middles >= falseMiddles {
			jailed++
		} else if middles > 0 {
			lost++
		}
		wrong, middles = [len(subjects)]uint64{}, 0
	}
	for {
		at += 1 + uint64(math.Log(1-rng.Float64())/math.Log1p(-fault)) // the next fault
		epoch := at / per
		if epoch != last && last != math.MaxUint64 {
			settle()
		}
		if epoch >= epochs {
			break
		}
		last = epoch
		if place := at % per; place < 2*drawn {
			wrong[place/drawn]++
		} else {
			middles++
		}
	}
	t.Logf("%d participant-epochs: %d frauds, %d jailed, %d subjects rejected, %d credits of an "+
		"epoch lost to a wrong digest", epochs, frauds, jailed, rejected, lost)
	if frauds > 0 || jailed > 0 || rejected > 10 {
		t.Errorf("%d frauds, %d jailed, %d rejected", frauds, jailed, rejected)
	}
}
