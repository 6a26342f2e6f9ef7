// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"testing"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
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
