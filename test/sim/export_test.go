// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
)

// restart exports the state and starts from it in a fresh app, with the validators that were in
// force. It returns the state by module.
func (n *network) restart() map[string]json.RawMessage {
	n.t.Helper()
	exported, err := n.app.Export(nil)
	if err != nil {
		n.t.Fatalf("export at block %d: %v", n.height, err)
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(exported.AppState, &state); err != nil {
		n.t.Fatal(err)
	}
	sets, told := n.sets, n.told
	n.newApp()
	n.told = map[string]int64{}
	n.initChain(state, exported.Height)
	if d := cmp.Diff(told, n.told); d != "" {
		n.t.Errorf("validators after the import (-before +after):\n%s", d)
	}
	n.sets = sets // the same proposers, so that the same outcomes can be asked for
	return state
}

// reborn restarts the network and goes on; the hosts keep what they know.
func (n *network) reborn() {
	n.t.Helper()
	said := n.listen()
	was := n.exported(n.ctx())
	state := n.restart()
	n.deliver(said)
	var g, again sprintv1.GenesisState
	n.app.Encoding().Codec.MustUnmarshalJSON(state[sprint.Name], &g)
	if err := again.Unmarshal(was); err != nil {
		n.t.Fatal(err)
	}
	a, _ := g.Marshal()
	if string(a) != string(was) {
		n.t.Error("JSON does not carry all of x/sprint's state")
	}
}

// An epoch that is exported in its middle and goes on in a new chain ends as it would have.
func TestExportedEpochEndsAsItWouldHave(t *testing.T) {
	fresh := func() *network {
		n := start(t, 5)
		n.host("p4").cheat.leaf = forgeEvery(4)
		n.host("p5").cheat.opinion = lazy
		return n
	}
	n := fresh()
	n.finish(1)
	wantEpoch, want := n.finish(2)
	wantArchives := n.archives(1, 2)
	for _, phase := range []sprintv1.Phase{sprintv1.PhasePrepare, sprintv1.PhaseCompute,
		sprintv1.PhaseWrapUp, sprintv1.PhaseChallenge, sprintv1.PhaseProof,
		sprintv1.PhaseDraw, sprintv1.PhaseValidate, sprintv1.PhaseReveal, sprintv1.PhaseCheck,
		sprintv1.PhaseDispute, sprintv1.PhaseFinalised} {
		for epoch := uint64(1); epoch <= 2; epoch++ {
			if epoch == 2 && phase != sprintv1.PhaseCompute {
				continue // one phase shows that an epoch before it is no hindrance
			}
			n := fresh()
			n.phase(epoch, phase)
			n.reborn()
			if epoch == 1 && phase != sprintv1.PhaseFinalised {
				n.finish(1)
			}
			gotEpoch, got := n.finish(2)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("exported in %s of epoch %d, outcomes (-want +got):\n%s", phase, epoch, d)
			}
			if d := cmp.Diff(wantArchives, n.archives(1, 2)); d != "" {
				t.Errorf("exported in %s of epoch %d, archives (-want +got):\n%s", phase, epoch, d)
			}
			if d := cmp.Diff(wantEpoch, gotEpoch); d != "" {
				t.Errorf("exported in %s of epoch %d, record (-want +got):\n%s", phase, epoch, d)
			}
		}
	}
}
