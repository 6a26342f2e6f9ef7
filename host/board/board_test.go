// SPDX-License-Identifier: Apache-2.0

package board

import (
	"fmt"
	"testing"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// The list of faults in the status is bounded, one for each element, and the latest epoch's.
func TestFaultsAreBounded(t *testing.T) {
	b := &Board{}
	for i := range 3 * mostFaults {
		b.Fault(Fault{Epoch: 1, What: "leaves", Node: fmt.Sprint(i), Reason: "a"})
		b.Fault(Fault{Epoch: 1, What: "leaves", Node: fmt.Sprint(i), Reason: "b"})
	}
	if f := b.Get().Faults; len(f) != mostFaults || f[0].Reason != "b" {
		t.Errorf("%d faults, the first %+v", len(f), f[0])
	}
	b.Say(sprintv1.QueryCurrentResponse{Epoch: sprintv1.Epoch{Number: 2}}, "waiting", "")
	if f := b.Get().Faults; len(f) != 0 {
		t.Errorf("%d faults of an epoch that is past", len(f))
	}
}
