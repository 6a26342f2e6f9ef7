// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
)

// Each transfer is told of once, with its hash, the oldest first; those that were
// there at the first look are not.
func TestTransfersAreToldOnce(t *testing.T) {
	var told []string
	m := &Machine{c: Config{Event: func(e Event) {
		told = append(told, e.Type+" "+string(e.Pay)+" "+e.TxHash)
	}}}
	one, two, three := mpocv1.Settlement{TxHash: "A1", Amount: "1"},
		mpocv1.Settlement{TxHash: "B2", Amount: "2"}, mpocv1.Settlement{TxHash: "C3", Amount: "3"}
	m.paid(true, []mpocv1.Settlement{one}, new(Money))
	m.paid(false, []mpocv1.Settlement{three, two, one}, new(Money))
	m.paid(false, []mpocv1.Settlement{three, two}, new(Money))
	if d := cmp.Diff([]string{"paid 2 B2", "paid 3 C3"}, told); d != "" {
		t.Error(d)
	}
}
