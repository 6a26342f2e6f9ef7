// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/signed"
)

// Places are ranked at every epoch's begin by the work of the recent past: a machine
// that works takes the place of one that does not, and machines that work alike keep
// theirs.
// Holds spec H-13.
func TestPlacesFollowWork(t *testing.T) {
	h := New(Config{Places: 2, Banned: func(ed25519.PublicKey) bool { return false },
		Reload: func() (map[string]string, error) { return nil, errors.New("nothing new") }})
	device := func(b byte) (key signed.Key) { key[0], key[31] = b, 1; return key }
	standing := map[string]uint64{}
	node := func(b byte) string { return Name(device(b)) }
	join := func(b byte, s uint64) {
		h.Admit(device(b))
		standing[node(b)] = s
	}
	// connect is an epoch in which all machines try to connect, in this order.
	connect := func(keys ...byte) (placed []string) {
		for _, b := range keys {
			d := device(b)
			h.Allow(d[:])
		}
		return slices.Sorted(maps.Keys(h.places))
	}
	rank := func() { h.Rank(func(node string) uint64 { return standing[node] }) }
	want := func(what string, keys ...byte) {
		t.Helper()
		var nodes []string
		for _, b := range keys {
			nodes = append(nodes, node(b))
		}
		if got := slices.Sorted(maps.Keys(h.places)); !slices.Equal(got, nodes) {
			t.Errorf("%s: %v have places, want %v", what, got, nodes)
		}
	}
	join(1, 0)
	join(2, 0)
	join(3, 1000)
	connect(1, 2, 3)
	want("two that did one loop each came first", 1, 2)
	rank()
	want("the next epoch", 2, 3)
	connect(1, 2, 3)
	rank()
	want("an idle one does not take an idle one's place", 2, 3)
	join(4, 1900)
	join(5, 2100)
	connect(1, 4)
	rank()
	want("the weakest goes", 3, 4)
	connect(2)
	standing[node(3)], standing[node(4)] = 1900, 1000
	for range 3 {
		connect(1, 2, 5)
		rank()
	}
	want("one with twice the work", 3, 5)
	for range 3 {
		connect(1, 2, 4)
		rank()
	}
	want("none has twice the work of another", 3, 5)
	if len(h.waiting) != 0 {
		t.Error("those who asked long ago are remembered")
	}
	delete(h.places, node(3))
	h.waiting[node(4)], h.waiting[node(1)] = true, true
	rank()
	want("a free place is the strongest's", 4, 5)
	h.Dismiss(device(4))
	want("who is forgotten has no place", 5)
	if d := device(4); !h.Gone(node(4), false) {
		t.Error(d, "is forgotten and stays on chain")
	}
}
