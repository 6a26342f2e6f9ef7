// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"github.com/assaynet/assay/poc/signed"
)

type signatureIn struct {
	Key       raw `json:"key"`
	Message   raw `json:"message"`
	Signature raw `json:"signature"`
}

type signatureOut struct {
	Valid bool `json:"valid"`
}

// groupOrder is L of RFC 8032.
var groupOrder,
	_ = new(big.Int).SetString(
	"7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// number reads bytes, low one first.
func number(b []byte) *big.Int {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// spelt writes a number as 32 bytes, low one first.
func spelt(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

// under signs with r = 0, so that R is the neutral point: in the given spelling, or a point of
// small order in its place. Only a verifier that multiplies by the cofactor, or reads R as a point,
// takes other than the neutral point's one spelling.
func under(key ed25519.PrivateKey, message, r []byte) []byte {
	h := sha512.Sum512(key.Seed())
	h[0], h[31] = h[0]&248, h[31]&127|64
	k := sha512.Sum512(slices.Concat(r, key.Public().(ed25519.PublicKey), message))
	s := new(big.Int).Mul(number(k[:]), number(h[:32]))
	return slices.Concat(r, spelt(s.Mod(s, groupOrder)))
}

// Which signatures hold: spec C-15.
func TestSignature(t *testing.T) {
	key := ed25519.NewKeyFromSeed(counted(5).Bytes())
	public, message := raw(key.Public().(ed25519.PublicKey)), raw("message")
	good := ed25519.Sign(key, message)
	bytesOf := func(text string) raw {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	neutral := bytesOf("0100000000000000000000000000000000000000000000000000000000000000")
	cases := []given[signatureIn]{
		{"a signature", signatureIn{public, message, good}},
		{"of no message", signatureIn{public, nil, ed25519.Sign(key, nil)}},
		{"of another message", signatureIn{public, raw("other"), good}},
		{"S plus the order", signatureIn{public, message,
			slices.Concat(good[:32], spelt(new(big.Int).Add(number(good[32:]), groupOrder)))}},
		{"63 bytes", signatureIn{public, message, good[:63]}},
		{"a key of 31 bytes", signatureIn{public[:31], message, good}},
		{"a key that is no point",
			signatureIn{bytesOf("0200000000000000000000000000000000000000000000000000000000000000"),
				message, good}},
		{"R neutral", signatureIn{public, message, under(key, message, neutral)}},
		{"R neutral, x = 0 with a sign",
			signatureIn{public, message,
				under(key, message,
					bytesOf("0100000000000000000000000000000000000000000000000000000000000080"))}},
		{"R neutral, y = 1 + p", signatureIn{public, message,
			under(key, message,
				bytesOf("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))}},
		{"R of order 2, which the cofactor hides",
			signatureIn{public, message,
				under(key, message,
					bytesOf("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))}},
	}
	// R is the base point and S is 1: under a key of small order crypto/ed25519 takes it for every
	// few messages.
	forged := slices.Concat(bytesOf(
		"5866666666666666666666666666666666666666666666666666666666666666"), spelt(big.NewInt(1)))
	for _, weak := range []struct{ name, key string }{
		{"order 1", "0100000000000000000000000000000000000000000000000000000000000000"},
		{"order 1, x = 0 with a sign",
			"0100000000000000000000000000000000000000000000000000000000000080"},
		{"order 1, y = 1 + p", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"order 4", "0000000000000000000000000000000000000000000000000000000000000000"},
		{"order 4, y = p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
		{"order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
		{"order 8, the other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"},
	} {
		in := signatureIn{Key: bytesOf(weak.key), Signature: forged}
		for n := byte(0); !ed25519.Verify(ed25519.PublicKey(in.Key), in.Message, forged); n++ {
			in.Message = raw{n}
		}
		cases = append(cases, given[signatureIn]{"a key of " + weak.name + ", signed by nobody",
			in})
	}
	cases = append(cases,
		given[signatureIn]{"65 bytes, the last 0",
			signatureIn{public, message, slices.Concat(good, []byte{0})}},
		given[signatureIn]{"a key of 33 bytes, the last 0",
			signatureIn{slices.Concat(public, []byte{0}), message, good}})
	check(t, "signature.json",
		"Ed25519: which signatures hold; one answer for every implementation", cases,
		func(_ testing.TB, in signatureIn) signatureOut {
			return signatureOut{signed.Verify(in.Key, in.Message, in.Signature)}
		})
}
