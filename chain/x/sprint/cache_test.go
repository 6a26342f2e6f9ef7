// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Questions about the past do not push out what the newest epoch needs, and a failure is not
// remembered.
func TestMemoryIsOfTheNewestEpoch(t *testing.T) {
	var m cache
	computed := 0
	ask := func(epoch uint64, who string) {
		t.Helper()
		drawn, err := remember(&m, epoch, func(m *cache) map[leavesKey][]drawnLog {
			return m.leaves
		}, leavesKey{participant: who},
			func() ([]drawnLog, error) {
				computed++
				return []drawnLog{{nonces: []uint64{epoch}}}, nil
			})
		if err != nil || len(drawn) != 1 || drawn[0].nonces[0] != epoch {
			t.Fatalf("epoch %d, %s: %v, %v", epoch, who, drawn, err)
		}
	}
	var counts []int
	for _, q := range []struct {
		epoch uint64
		who   string
	}{
		{7, "alice"}, {7, "alice"}, // remembered
		{6, "alice"}, {6, "alice"}, // each time
		{7, "alice"},               // still there
		{8, "alice"}, {8, "alice"}, // a new epoch
		{7, "alice"}, // is the past now
	} {
		ask(q.epoch, q.who)
		counts = append(counts, computed)
	}
	if diff := cmp.Diff([]int{1, 1, 2, 3, 3, 4, 4, 5}, counts); diff != "" {
		t.Errorf("computed so often (-want +got):\n%s", diff)
	}
	broken := errors.New("broken")
	for _, want := range []error{broken, broken, nil} {
		_, err := remember(&m, 8, func(m *cache) map[leavesKey][]drawnLog {
			return m.leaves
		}, leavesKey{participant: "bob"},
			func() ([]drawnLog, error) { return nil, want })
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
