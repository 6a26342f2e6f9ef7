// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// Keys that never showed work are forgotten, the oldest first; one that did, and
// one that has committed, are not.
func TestRegistrationsAreForgotten(t *testing.T) {
	s, _, _, err := openState(filepath.Join(t.TempDir(), "pool"), func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	defer s.file.Close()
	key := func(i int) (k signed.Key) {
		binary.BigEndian.PutUint64(k[:], uint64(i))
		return k
	}
	id := func(i int) *signed.Hash { return &signed.Hash{byte(i), 1} }
	add := func(i, excess int) int {
		forgot, err := s.register(key(i), &device{Since: uint64(100 + i)}, excess)
		if err != nil {
			t.Fatal(err)
		}
		return forgot
	}
	known := func(i int) bool {
		_, known, err := s.device(key(i))
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	for i := range 6 {
		if n := add(i, 0); n != 0 {
			t.Fatalf("%d forgotten without need", n)
		}
	}
	// 0 has proven itself, 1 has committed, 2 was offered a challenge.
	for i, d := range []device{{Since: 100, Accepted: 1}, {Since: 101, Live: id(1)},
		{Since: 102, Live: id(2)}} {
		var r *record
		if d.Live != nil {
			r = &record{Phase: []phase{offered, committed, offered}[i],
				Terms: mpoc.Terms{ChallengeID: *d.Live, DeviceKey: key(i),
					Shape: mpoc.Shape(mpoc.Shapes()[0]), PayPerTebiop: "1", Expiry: 500},
				Until: 500}
		}
		if err := s.save(key(i), &d, r); err != nil {
			t.Fatal(err)
		}
	}
	if n := add(6, 1); n != 1 {
		t.Errorf("%d forgotten, want 1", n)
	}
	for i, want := range []bool{true, true, false, true, true, true, true} {
		if known(i) != want {
			t.Errorf("device %d known: %t, want %t", i, !want, want)
		}
	}
	if _, open, _, err := s.overdue(0); err != nil || open != 1 {
		t.Errorf("%d challenges are open, %v; want that of the one that committed", open, err)
	}
	day := uint64(keepUnproven.Milliseconds())
	if n, _, err := s.prune(day + 105); err != nil || n != 2 { // 3 and 4
		t.Errorf("%d forgotten by age, %v; want 2", n, err)
	}
	if !known(0) || !known(1) || known(3) || known(4) || !known(5) {
		t.Error("others than the old ones were forgotten")
	}
}
