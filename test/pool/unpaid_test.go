// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"strings"
	"testing"

	workerpool "github.com/assaynet/assay/worker/pool"
)

// A machine shows that its host owes and does not pay, in its account and where it asks for the
// terms, and takes it back once the host pays. Machines of before the header see bodies as they
// were.
func TestAMachineIsToldThatNobodyPays(t *testing.T) {
	n := newNetwork(t, func(n *network) { n.config.Unpaid = "no paying account" })
	key, home := keyOf(2), t.TempDir()
	for _, unpaid := range []bool{true, false} {
		_, terms, err := workerpool.Ask(t.Context(), n.address(), key)
		if err != nil || strings.Contains(terms, workerpool.Unpaid) != unpaid {
			t.Errorf("the terms are %q, %v; unpaid is %v", terms, err, unpaid)
		}
		w := n.work(key, home, nil)
		n.events.wait(t, "the account is shown", func() bool {
			a := w.Snapshot().Account
			return a != nil && a.Unpaid == unpaid &&
				strings.Contains(a.Text(), workerpool.Unpaid) == unpaid
		})
		w.kill()
		n.config.Unpaid = ""
		n.restart()
	}
}
