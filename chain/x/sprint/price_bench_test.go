// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// What messages make a node do, beside the gas that is charged for it: time over gas should be
// about the same for all, and nothing may cost twice what Ed25519 costs for its gas (C17).
func BenchmarkGasPrices(b *testing.B) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := key.Public().(ed25519.PublicKey)
	message := sha256.Sum256([]byte("message"))
	signature := ed25519.Sign(key, message[:])
	price := func(name string, gas uint64, f func()) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(gas), "ns/gas")
		})
	}
	must := func(ok bool) {
		if !ok {
			b.Fatal("refused")
		}
	}
	price("ed25519", sprintv1.GasSignature,
		func() { must(ed25519.Verify(public, message[:], signature)) })
	price("key", sprintv1.GasKey, func() { must(vrf.ValidKey(public) == nil) })
	proof := vrf.Prove(key, message[:])
	price("vrf", sprintv1.GasVRF, func() {
		_, err := vrf.Verify(public, proof, message[:])
		must(err == nil)
	})
	account := secp256k1.GenPrivKey()
	signed, err := account.Sign(message[:])
	must(err == nil)
	price("secp256k1", sprintv1.GasTxSignature,
		func() { must(account.PubKey().VerifySignature(message[:], signed)) })

	for _, shape := range []struct {
		count uint64
		n     int
	}{{200, 200}, {20_000, 200}, {20_000, 1}} {
		drawn := audit.Draw(seed.Seed{1}, shape.count, shape.n)
		var log commit.Log
		var leaves []byte
		class := transformer.Nano
		at := 0
		for i := range shape.count {
			digest := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
			log.Append(record.Leaf{Class: class.ID, Node: "gpu-0", Index: i,
				Record: record.Record{Norm: i, Digest: digest}}.Hash())
			if at < len(drawn) && drawn[at] == i {
				leaves = append(append(leaves, byte(i), byte(i>>8), 0, 0, 0, 0, 0, 0), digest[:]...)
				at++
			}
		}
		multi, err := commit.Multi(&log, shape.count, drawn)
		must(err == nil)
		var path []byte
		for _, h := range multi {
			path = append(path, h[:]...)
		}
		root := log.Root()
		logs := []drawnLog{{commit: sprintv1.Commit{Node: "gpu-0", Segment: 1, Count: shape.count,
			Root: root[:]}, nonces: drawn}}
		opened := []sprintv1.LogOpening{{Node: "gpu-0", Segment: 1, Leaves: leaves, Proof: path}}
		gas := uint64(len(leaves))/record.Size*sprintv1.GasOpenedLeaf +
			uint64(len(path))/32*sprintv1.GasProofHash
		price(fmt.Sprintf("opening-%d-of-%d", shape.n, shape.count), gas,
			func() { must(verifyOpening(class, logs, opened) == nil) })
	}
}
