// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// An account on the chain is written in bech32 (BIP 173): the prefix cpc, a 1,
// 20 bytes in groups of 5 bits, and a checksum of 6 more.
const (
	payoutPrefix = "cpc"
	payoutLength = len(payoutPrefix) + 1 + 20*8/5 + 6
	alphabet     = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

// checkPayout says what is wrong with an account that pay is to go to: a slip in
// it would be found out by the host at best, and by nobody at worst.
func checkPayout(s string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("--payout %q is no account on the chain: %s", s,
			fmt.Sprintf(format, args...))
	}
	lower := strings.ToLower(s)
	prefix, data, found := strings.Cut(lower, "1")
	switch {
	case s != lower && s != strings.ToUpper(s):
		return wrong("capital and small letters are mixed; copy it again")
	case !found:
		return wrong("it does not begin with %s1", payoutPrefix)
	case prefix != payoutPrefix:
		return wrong("it begins with %s1, not with %s1; that is another chain's, or a validator's",
			prefix, payoutPrefix)
	}
	values := expand(prefix)
	for i, c := range data {
		v := strings.IndexRune(alphabet, c)
		if v < 0 {
			return wrong("character %d, %q, does not occur in addresses; copy it again",
				len(prefix)+2+i, c)
		}
		values = append(values, byte(v))
	}
	switch {
	case len(s) != payoutLength:
		return wrong("it has %d characters, not %d; copy it again, to its end",
			len(s), payoutLength)
	case checksum(values) != 1:
		return wrong("its checksum is wrong, so a character is; copy it again")
	}
	return nil
}

// expand is the prefix as the checksum takes it.
func expand(prefix string) (values []byte) {
	for _, c := range []byte(prefix) {
		values = append(values, c>>5)
	}
	values = append(values, 0)
	for _, c := range []byte(prefix) {
		values = append(values, c&31)
	}
	return values
}

// checksum is BIP 173's, 1 for what is whole.
func checksum(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
