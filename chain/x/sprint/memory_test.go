// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Questions about the past do not push out what the newest epoch needs, and nothing is kept that the asker made up.
func TestMemoryIsOfTheNewestEpoch(t *testing.T) {
	var m memory
	computed := 0
	ask := func(epoch uint64, who string, keep bool) {
		t.Helper()
		drawn, err := remember(&m, epoch, func(m *memory) map[leavesKey][]drawnLog { return m.leaves }, leavesKey{participant: who},
			func() ([]drawnLog, bool, error) {
				computed++
				return []drawnLog{{nonces: []uint64{epoch}}}, keep, nil
			})
		if err != nil || len(drawn) != 1 || drawn[0].nonces[0] != epoch {
			t.Fatalf("epoch %d, %s: %v, %v", epoch, who, drawn, err)
		}
	}
	var counts []int
	for _, q := range []struct {
		epoch uint64
		who   string
		keep  bool
	}{
		{7, "alice", true}, {7, "alice", true}, // remembered
		{6, "alice", true}, {6, "alice", true}, // each time
		{7, "alice", true},                         // still there
		{7, "nobody", false}, {7, "nobody", false}, // not kept
		{8, "alice", true}, {8, "alice", true}, // a new epoch
		{7, "alice", true}, // is the past now
	} {
		ask(q.epoch, q.who, q.keep)
		counts = append(counts, computed)
	}
	if diff := cmp.Diff([]int{1, 1, 2, 3, 3, 4, 5, 6, 6, 7}, counts); diff != "" {
		t.Errorf("computed so often (-want +got):\n%s", diff)
	}
	broken := errors.New("broken")
	for range 2 {
		_, err := remember(&m, 8, func(m *memory) map[leavesKey][]drawnLog { return m.leaves }, leavesKey{participant: "bob"},
			func() ([]drawnLog, bool, error) { return nil, true, broken })
		if !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
	}
}
