// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"strings"
	"testing"
	"unicode/utf8"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	workerpool "github.com/assaynet/assay/worker/pool"
)

// A machine shows that its host's chain makes no block, and why, in the words that workers of the
// Sprint see; it computes on, since only pay waits, and takes it back with the next block.
func TestAMachineIsToldThatTheChainStandsStill(t *testing.T) {
	n := newNetwork(t, nil)
	const why = "no block since 14:41:55 UTC, a third of the power or more is away: 2 of 4 " +
		"validators are seen"
	n.pool.Halt(why)
	if _, terms, err := workerpool.Ask(t.Context(), n.address(), keyOf(2)); err != nil ||
		!strings.HasSuffix(terms, "; pay waits until the chain makes blocks again: "+why) {
		t.Errorf("the terms are %q, %v", terms, err)
	}
	w := n.work(keyOf(2), t.TempDir(), nil)
	n.events.wait(t, "the machine to show it, and to be accepted all the same", func() bool {
		s := w.Snapshot()
		return s.Still == why && s.Accepted > 0 &&
			strings.Contains(s.Line(), "pay waits until the chain makes blocks again: "+why)
	})
	n.pool.Halt("")
	n.events.wait(t, "the machine to take it back", func() bool { return w.Snapshot().Still == "" })
	w.kill()
	n.pool.Halt("a node's name, \x00\xff\nSet-Cookie: " + strings.Repeat("é", 1000))
	if _, terms, err := workerpool.Ask(t.Context(), n.address(), keyOf(2)); err != nil ||
		!utf8.ValidString(terms) || strings.ContainsAny(terms, "\n\x00é\ufffd") ||
		len(terms) > 2*mpocv1.MaxStill+300 {
		t.Errorf("of a reason that is no line of text: %q, %v", terms, err)
	}
}
