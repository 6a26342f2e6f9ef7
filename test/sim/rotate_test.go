// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto/ed25519"
	"testing"

	"github.com/google/go-cmp/cmp"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/registry"
)

// keyOf is a key of a host that rotates keys, nil if it has none of this name.
func (h *host) keyOf(public []byte) ed25519.PrivateKey {
	for _, key := range h.keys {
		if string(key[ed25519.SeedSize:]) == string(public) {
			return key
		}
	}
	return nil
}

// rotates puts a rotation of all of a host's keys into the next block, and has it hold both
// generations.
func (n *network) rotates(h *host, generation string) {
	n.t.Helper()
	made := func(role string) ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(secret(role+" "+generation, h.name))
	}
	consensus, vrf, key := made("consensus"), made("vrf"), made("host")
	h.keys = append(h.keys, h.consensus, h.vrf, h.key, consensus, vrf, key)
	n.queue = append(n.queue, h.tx(registry.ProveRotation(chainID, h.addr, consensus, vrf, key)))
	n.step()
	if n.results[0].Code != 0 {
		n.t.Fatalf("rotation of %s: %s", h.name, n.results[0].Log)
	}
}

// takeKeys has every host that rotates keys use those that its record names, as a node does.
func (n *network) takeKeys() {
	for _, h := range n.hosts {
		if len(h.keys) == 0 {
			continue
		}
		p := n.participant(h.name)
		h.consensus, h.vrf, h.key = h.keyOf(p.ConsensusKey), h.keyOf(p.VrfKey), h.keyOf(p.HostKey)
	}
}

// Two of four rotate all their keys, in the same epoch. No epoch is missed: both are credited in
// each, every block has its proposer's valid proof, the total of the powers stays what it was, and
// the old keys leave the set in the block in which the new ones enter. A double sign that the old
// key of one made comes out afterwards and takes the power of the new one.
// Holds spec R-15, P-16.
func TestRotationOfAllKeysMissesNoEpoch(t *testing.T) {
	n := start(t, 4)
	n.phase(1, sprintv1.PhaseCompute)
	p1, p2 := n.host("p1"), n.host("p2")
	old := registry.ConsensusAddress(p1.consensusKey())
	signedAt := n.height
	n.rotates(p1, "2")
	n.rotates(p2, "2")
	before := map[string]int64{}
	for epoch := uint64(1); epoch <= 4; epoch++ {
		n.until("its end", func(e sprintv1.Epoch) bool {
			for name, power := range before {
				if d := n.told[name] - power; d < -2 || d > 2 {
					t.Fatalf("block %d: %s has %d, had %d", n.height, name, n.told[name], power)
				}
			}
			return e.Number == epoch && e.Phase == sprintv1.PhaseFinalised
		})
		if epoch == 1 {
			for name, power := range n.told {
				before[name] = power
			}
		}
		_, out := n.finish(epoch)
		credited(t, out, "p1", "p2", "p3", "p4")
		if rotated := n.participant("p1").RotatedEpoch == 3; rotated != (epoch >= 3) {
			t.Errorf("epoch %d: rotated %v", epoch, rotated)
		}
		if epoch <= 3 {
			n.reborn() // an open rotation and a seat to hand over outlive an export
		}
	}
	for _, v := range n.sets[1].Validators {
		for _, h := range []*host{p1, p2} {
			if n.ownerOf(v.PubKey.Bytes()) == h.name &&
				string(v.PubKey.Bytes()) != string(h.consensusKey()) {
				t.Errorf("%s validates with another key than its record names", h.name)
			}
		}
	}
	if n.sets[1].Size() != 4 {
		t.Errorf("%d validators", n.sets[1].Size())
	}
	n.doubleSigns(p1, signedAt)
	n.misbehaviour[0].Validator.Address = old
	n.run(3)
	if h, p := n.holding("p1"), n.participant("p1"); h.Weight != 0 || n.told["p1"] != 0 ||
		p.JailedUntil != court.Forever {
		t.Errorf("after a double sign of its old key p1 has weight %d, power %d, jail until %d",
			h.Weight, n.told["p1"], p.JailedUntil)
	}
	if d := cmp.Diff(3, n.sets[1].Size()); d != "" {
		t.Errorf("validators (-want +got):\n%s", d)
	}
}
