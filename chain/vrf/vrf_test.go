// SPDX-License-Identifier: Apache-2.0

package vrf_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/assaynet/assay/chain/vrf"
)

func key(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

// The proof and output of RFC 9381, appendix B.4, example 19.
// Holds spec B-2.
func TestPublishedVector(t *testing.T) {
	secret, _ := hex.DecodeString(
		"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	k := ed25519.NewKeyFromSeed(secret)
	const (
		proof = "7d9c633ffeee27349264cf5c667579fc583b4bda63ab71d001f89c10003ab46f14adf9a3cd8b8412d9038531e865c341cafa73589b023d14311c331a9ad15ff2fb37831e00f0acaa6d73bc9997b06501"
		beta  = "9d574bf9b8302ec0fc1e21c3ec5368269527b87b462ce36dab2d14ccf80c53cccf6758f058c5b1c856b116388152bbe509ee3b9ecfe63d93c3b4346c1fbc6c54"
	)
	if got := hex.EncodeToString(vrf.Prove(k, nil)); got != proof {
		t.Fatalf("proof %s, want %s", got, proof)
	}
	raw, _ := hex.DecodeString(proof)
	got, err := vrf.Verify(public(k), raw, nil)
	if err != nil || hex.EncodeToString(got) != beta {
		t.Fatalf("beta %x, %v, want %s", got, err, beta)
	}
}

func TestVerifyRefuses(t *testing.T) {
	alpha := []byte("alpha")
	proof := vrf.Prove(key(1), alpha)
	flip := func(i int) []byte {
		p := bytes.Clone(proof)
		p[i] ^= 1
		return p
	}
	for name, c := range map[string]struct {
		key, proof, alpha []byte
		want              error
	}{
		"another key":       {public(key(2)), proof, alpha, vrf.ErrProof},
		"another input":     {public(key(1)), proof, []byte("beta"), vrf.ErrProof},
		"gamma changed":     {public(key(1)), flip(0), alpha, vrf.ErrProof},
		"challenge changed": {public(key(1)), flip(40), alpha, vrf.ErrProof},
		"response changed":  {public(key(1)), flip(60), alpha, vrf.ErrProof},
		"short":             {public(key(1)), proof[:79], alpha, vrf.ErrProof},
		"long":              {public(key(1)), append(bytes.Clone(proof), 0), alpha, vrf.ErrProof},
		"empty":             {public(key(1)), nil, alpha, vrf.ErrProof},
		"no key":            {nil, proof, alpha, vrf.ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := vrf.Verify(c.key, c.proof, c.alpha); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// Holds spec C-16.
func TestValidKeyRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"identity":                "0100000000000000000000000000000000000000000000000000000000000000",
		"order 2":                 "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 4":                 "0000000000000000000000000000000000000000000000000000000000000000",
		"order 4, other sign":     "0000000000000000000000000000000000000000000000000000000000000080",
		"order 8":                 "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"order 8, other":          "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"identity, negative zero": "0100000000000000000000000000000000000000000000000000000000000080",
		"y = p":                   "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"y = p + 1":               "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"not on the curve":        "0200000000000000000000000000000000000000000000000000000000000000",
		// a valid key plus the point of order 2: (x, y) -> (-x, -y)
		"mixed order": hex.EncodeToString(plusOrderTwo(public(key(1)))),
		"short":       "00",
	} {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := vrf.ValidKey(raw); !errors.Is(err, vrf.ErrKey) {
			t.Errorf("%s: %v, want %v", name, err, vrf.ErrKey)
		}
	}
}

// plusOrderTwo negates both coordinates of an encoded point: y -> p - y, and
// the sign of x turns. p = 2^255 - 19, little-endian.
func plusOrderTwo(point []byte) []byte {
	p := append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...)
	p = append(p, 0x7f)
	sign := point[31] & 0x80
	out, borrow := make([]byte, 32), 0
	for i := range out {
		y := point[i]
		if i == 31 {
			y &= 0x7f
		}
		d := int(p[i]) - int(y) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		out[i] = byte(d)
	}
	out[31] |= sign ^ 0x80
	return out
}

func TestEveryKeyProves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := ed25519.NewKeyFromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		alpha := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "alpha")
		if err := vrf.ValidKey(public(k)); err != nil {
			t.Fatal(err)
		}
		beta, err := vrf.Verify(public(k), vrf.Prove(k, alpha), alpha)
		if err != nil || len(beta) != vrf.OutputSize {
			t.Fatalf("%d bytes, %v", len(beta), err)
		}
	})
}
