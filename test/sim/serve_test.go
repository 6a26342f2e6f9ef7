// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

// length has epochs begin so many blocks apart.
func length(blocks uint32) option { return func(n *network) { n.params.EpochBlocks = blocks } }

// The next epoch begins with the block that lies epoch_blocks behind the last one's start, and
// until then machines serve; one that takes longer is followed at once. What is said names the
// block.
// Holds spec S-31.
func TestEpochsBeginApart(t *testing.T) {
	const apart = 60
	n := start(t, 3, length(apart))
	last, _ := n.finish(1)
	if want := last.Start + apart; n.now().Until != want {
		t.Errorf("finalised says until %d, want %d", n.now().Until, want)
	}
	for number := uint64(2); number <= 3; number++ {
		e := n.phase(last.Number, sprintv1.PhaseServe)
		if d := cmp.Diff(last.FinalisedHeight+1, n.height); d != "" {
			t.Errorf("serve does not follow finalised (-want +got):\n%s", d)
		}
		if now := n.now(); now.Until != e.Start+apart ||
			!strings.Contains(now.Reason, fmt.Sprintf("block %d", now.Until)) {
			t.Errorf("serve says %q, until %d", now.Reason, now.Until)
		}
		next, out := n.finish(number)
		if next.Start != last.Start+apart {
			t.Errorf("epoch %d began with block %d, epoch %d with %d", number, next.Start,
				last.Number, last.Start)
		}
		credited(t, out, "p1", "p2", "p3")
		last = next
	}
	n = start(t, 3, length(10)) // less than an epoch takes
	last, _ = n.finish(1)
	if next := n.phase(2, sprintv1.PhasePrepare); next.Start != last.FinalisedHeight+1 {
		t.Errorf("epoch 2 began with block %d, epoch 1 was final with %d", next.Start,
			last.FinalisedHeight)
	}
}

// A void epoch does not hasten the next: each of them halves what was not shown again.
// Holds spec S-31.
func TestAVoidEpochLastsAsLong(t *testing.T) {
	const apart = 60
	n := start(t, 3, length(apart))
	for _, h := range n.hosts {
		h.cheat.absent = func(epoch uint64) bool { return epoch == 1 }
	}
	last, _ := n.finish(1)
	if next := n.phase(2, sprintv1.PhasePrepare); !last.Void || next.Start != last.Start+apart {
		t.Errorf("void %v, from block %d; the next from %d", last.Void, last.Start, next.Start)
	}
}

// A state that is exported while machines serve goes on as it would have.
// Holds spec S-31.
func TestExportWhileMachinesServe(t *testing.T) {
	fresh := func() *network {
		n := start(t, 3, length(60))
		n.finish(1)
		n.phase(1, sprintv1.PhaseServe)
		return n
	}
	n := fresh()
	wantEpoch, want := n.finish(2)
	n = fresh()
	n.reborn()
	gotEpoch, got := n.finish(2)
	if d := cmp.Diff(want, got) + cmp.Diff(wantEpoch, gotEpoch); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
