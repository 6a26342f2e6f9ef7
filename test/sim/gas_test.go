// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
)

func machines(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("gpu-%d", i))
	}
	return all
}

// viaGrant is more gas than it takes to send a message with a hot key.
const viaGrant = 100_000

// What a host allows for gas is enough for every duty of an epoch, whatever others do to make
// duties dear: commit hundreds of logs, open all of them wrong on many machines. Were it not, a
// verdict could not be revealed, and its voter would lose the epoch for silence.
func TestNobodyCanMakeADutyTooDear(t *testing.T) {
	n := start(t, 5, withNodes("p4", machines(64)...), withNodes("p5", machines(20)...),
		withParams(func(p *sprintv1.Params) { p.Segments, p.Samples = 4, 200 }))
	n.host("p5").cheat.leaf = forgeEvery(1)
	dearest := map[string]int64{}
	for i := 0; n.now().Epoch.Phase != sprintv1.PhaseFinalised; i++ {
		if i == maxBlocks {
			t.Fatal("the epoch does not end")
		}
		w, queued := n.listen(), len(n.queue)
		n.deliver(w)
		for i, msgs := range w.msgs {
			used, may := n.results[queued+i].GasUsed, int64(0)
			for _, m := range msgs { // a host sends them one by one
				may += int64(sprintv1.GasBound(m)) - viaGrant
			}
			kind := sdk.MsgTypeURL(msgs[0])
			if dearest[kind] = max(dearest[kind], used); used > may {
				t.Errorf("%d %s of %s used %d gas; a host allows %d", len(msgs), kind,
					w.from[i].name, used, may)
			}
		}
	}
	t.Log("dearest:", dearest)
	_, out := n.finish(1)
	for _, name := range []string{"p1", "p2", "p3", "p4"} {
		if o := out[name]; o.Result != sprintv1.ResultCredited {
			t.Errorf("%s: %v", name, o)
		}
	}
	if out["p5"].Result != sprintv1.ResultFraud {
		t.Errorf("p5: %v", out["p5"])
	}
}

// Every machine of a large participant can commit in one block, as far as gas goes.
func TestCommitsOfManyMachinesFitIntoABlock(t *testing.T) {
	n := start(t, 2, withNodes("p1", machines(64)...),
		withParams(func(p *sprintv1.Params) { p.Segments = 64 }))
	n.phase(1, sprintv1.PhaseCompute)
	h := n.host("p1")
	for {
		w := n.listen()
		for i, from := range w.from {
			if from != h {
				continue
			}
			if c, ok := w.msgs[i][0].(*sprintv1.MsgCommit); ok {
				h.sequence-- // listen has signed all of them in one, which is not sent
				n.block(h.tx(c))
				r := n.results[0]
				if may := sprintv1.GasBound(c); r.Code != 0 || uint64(r.GasUsed)+viaGrant > may ||
					32*may > 60_000_000 {
					t.Errorf("a commitment used %d gas, a host allows %d: %s",
						r.GasUsed, may, r.Log)
				}
				t.Logf("a commitment uses %d gas", r.GasUsed)
				return
			}
		}
		n.deliver(w)
	}
}
