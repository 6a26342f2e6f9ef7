// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/ed25519"
	"math/big"
	"testing"

	"github.com/assaynet/assay/chain/vrf"
	"github.com/assaynet/assay/poc/seed"
)

type vrfIn struct {
	Secret raw `json:"ed25519_seed,omitempty"` // of the prover; without it a proof is checked
	Key    raw `json:"key,omitempty"`
	Alpha  raw `json:"alpha"`
	Proof  raw `json:"proof,omitempty"`
}

type vrfOut struct {
	Key    raw    `json:"key,omitempty"`
	Proof  raw    `json:"proof,omitempty"`
	Output raw    `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
}

// A proposer's one valid output at a height, and keys and proofs that are refused: spec B-2, C-16.
func TestVRF(t *testing.T) {
	secret := raw(counted(7).Bytes())
	key := ed25519.NewKeyFromSeed(secret)
	public := raw(key.Public().(ed25519.PublicKey))
	alpha := raw(seed.BeaconAlpha("assay-test", 1<<40, counted(1)).Bytes())
	proof := vrf.Prove(key, alpha)
	with := func(b []byte, at int, mask byte) raw {
		b = bytes.Clone(b)
		b[at] ^= mask
		return b
	}
	small := append(raw{1}, make(raw, 31)...)
	check(t, "vrf.json", "ECVRF-EDWARDS25519-SHA512-ELL2 (RFC 9381): proofs and outputs, proofs "+
		"and keys that are refused", []given[vrfIn]{
		{"of a height", vrfIn{Secret: secret, Alpha: alpha}},
		{"of the next height", vrfIn{Secret: secret,
			Alpha: seed.BeaconAlpha("assay-test", 1<<40+1, counted(1)).Bytes()}},
		{"of another key", vrfIn{Secret: counted(8).Bytes(), Alpha: alpha}},
		{"of nothing", vrfIn{Secret: secret, Alpha: nil}},
		{"checked", vrfIn{Key: public, Alpha: alpha, Proof: proof}},
		{"another input", vrfIn{Key: public, Alpha: with(alpha, 31, 1), Proof: proof}},
		{"another point", vrfIn{Key: public, Alpha: alpha, Proof: with(proof, 0, 1)}},
		{"another challenge", vrfIn{Key: public, Alpha: alpha, Proof: with(proof, 40, 1)}},
		{"another response", vrfIn{Key: public, Alpha: alpha, Proof: with(proof, 60, 1)}},
		{"79 bytes", vrfIn{Key: public, Alpha: alpha, Proof: proof[:79]}},
		{"81 bytes", vrfIn{Key: public, Alpha: alpha, Proof: append(bytes.Clone(proof), 0)}},
		{"the neutral point as key", vrfIn{Key: small, Alpha: alpha, Proof: proof}},
		{"a key with a torsion component", vrfIn{Key: negated(public), Alpha: alpha, Proof: proof}},
		{"a key that is not on the curve",
			vrfIn{Key: append(make(raw, 31), 2), Alpha: alpha, Proof: proof}},
		{"a key of 31 bytes", vrfIn{Key: public[:31], Alpha: alpha, Proof: proof}},
	}, func(t testing.TB, in vrfIn) vrfOut {
		if len(in.Secret) > 0 {
			key := ed25519.NewKeyFromSeed(in.Secret)
			in.Key, in.Proof = raw(key.Public().(ed25519.PublicKey)), vrf.Prove(key, in.Alpha)
		}
		output, err := vrf.Verify(in.Key, in.Proof, in.Alpha)
		if err != nil {
			return vrfOut{Error: fault(t, err)}
		}
		return vrfOut{Key: in.Key, Proof: in.Proof, Output: output}
	})
}

// fieldOrder is p of RFC 8032.
var fieldOrder = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// negated is the encoding of (-x, -y) for that of (x, y): the sum with the point of order 2.
func negated(key []byte) raw {
	y := number(key)
	sign := y.Bit(255)
	y.SetBit(y, 255, 0)
	y.Sub(fieldOrder, y)
	y.SetBit(y, 255, sign^1)
	return spelt(y)
}
