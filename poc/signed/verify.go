// SPDX-License-Identifier: Apache-2.0

package signed

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
)

// prime is 2^255-19, the modulus of a key's y coordinate, low byte first.
var prime = unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")

// small are the y coordinates of the points of order 1, 2, 4 and 8, low byte first. Each but the
// first two belongs to two points, which differ in the sign of x alone.
var small = [][]byte{
	unhex("0100000000000000000000000000000000000000000000000000000000000000"), // 1: order 1
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // -1: order 2
	unhex("0000000000000000000000000000000000000000000000000000000000000000"), // 0: order 4
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), // order 8
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), // order 8
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// Verify reports whether an Ed25519 key signed a message, as spec C-15 has it: RFC 8032 without the
// cofactor, S below the group's order, R and the key in their one spelling, and no key of small
// order. Anyone who has no secret can sign anything under a key of small order, so such a signature
// shows nothing. Any lengths are taken; wrong ones are false.
func Verify(key, message, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize {
		return false
	}
	y := bytes.Clone(key)
	y[31] &= 0x7f // the sign of x
	if !below(y, prime) {
		return false
	}
	for _, s := range small {
		if bytes.Equal(y, s) { // with 1 and -1 also the second spelling of x = 0
			return false
		}
	}
	return ed25519.Verify(key, message, signature) // holds S and R to their one spelling
}

// below compares numbers of equal length, low byte first.
func below(a, b []byte) bool {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
