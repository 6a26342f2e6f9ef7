// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/seed"
)

// BenchmarkChecks measures what a registration and a list of nodes make every node of the network
// compute; msgs.go prices them by it. A refused key or proof costs no more than a good one.
func BenchmarkChecks(b *testing.B) {
	secret := key("alice host")
	public := ed25519.PublicKey(secret[32:])
	message := seed.Possession(chain, registry.RoleHost, account("alice"), public)
	signature, proof := ed25519.Sign(secret, message[:]), vrf.Prove(secret, message[:])
	for name, check := range map[string]func() error{
		"key": func() error { return vrf.ValidKey(public) },
		"signature": func() error {
			if !ed25519.Verify(public, message[:], signature) {
				b.Fatal("refused")
			}
			return nil
		},
		"vrf": func() error { _, err := vrf.Verify(public, proof, message[:]); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := check(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// C17: verifying is paid for before it is done, also when the list is refused in the end, and at
// its measured price: a list of nodes costs no fee, and in a block nobody may have all nodes of the
// network verify for seconds. The old price of a key was half of what it took.
// Holds spec R-13.
func TestC17NodesArePaidForBeforeTheyAreVerified(t *testing.T) {
	w := newWorld(t)
	w.register(t, "alice")
	msg := &registryv1.MsgSetNodes{Address: account("alice")}
	for i := range 32 {
		msg.Nodes = append(msg.Nodes, node("alice", fmt.Sprintf("gpu-%d", i)))
	}
	for name, damage := range map[string]func(){
		"last proof is wrong": func() { msg.Nodes[31].Proof = make([]byte, ed25519.SignatureSize) },
		"last key is no key":  func() { msg.Nodes[31].Key = make([]byte, ed25519.PublicKeySize) },
	} {
		damage()
		meter := storetypes.NewInfiniteGasMeter()
		if _, err := w.msg.SetNodes(w.ctx.WithGasMeter(meter), msg); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if used := meter.GasConsumed(); used < 30*40_000 {
			t.Errorf("%s: 30 keys and proofs for %d gas", name, used)
		}
	}
	bound := storetypes.NewGasMeter(100_000)
	defer func() {
		if recover() == nil {
			t.Error("32 keys were checked for 100,000 gas")
		}
	}()
	_, _ = w.msg.SetNodes(w.ctx.WithGasMeter(bound), msg)
}

// C11: a list of machines costs by its length, also when it was verified before.
func TestC11NodesCostByTheirNumber(t *testing.T) {
	w := newWorld(t)
	w.register(t, "alice")
	cost := func(nodes int) uint64 {
		msg := &registryv1.MsgSetNodes{Address: account("alice")}
		for i := range nodes {
			msg.Nodes = append(msg.Nodes, node("alice", fmt.Sprintf("gpu-%d", i)))
		}
		meter := storetypes.NewInfiniteGasMeter()
		if _, err := w.msg.SetNodes(w.ctx.WithGasMeter(meter), msg); err != nil {
			t.Fatal(err)
		}
		return meter.GasConsumed()
	}
	first, again := cost(64), cost(64)
	if first < 64*40_000 || again < 64*5_000 {
		t.Errorf("64 nodes cost %d gas, the same again %d", first, again)
	}
	if few := cost(8); few*2 > again {
		t.Errorf("8 nodes cost %d gas, 64 cost %d", few, again)
	}
}
