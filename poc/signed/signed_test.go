// SPDX-License-Identifier: Apache-2.0

package signed_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/assaynet/assay/poc/signed"
)

// spec C-10
func TestMessageLayout(t *testing.T) {
	got := *signed.Say("tag").Text("ab").Number(258).Part(nil).Hash([32]byte{31: 7})
	want := "03000000746167" + "020000006162" + "080000000201000000000000" +
		"00000000" + "20000000" +
		"0000000000000000000000000000000000000000000000000000000000000007"
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
	if bytes.Equal(*signed.Say("t").Text("ab").Text("c"), *signed.Say("t").Text("a").Text("bc")) {
		t.Error("two lists of fields share their bytes")
	}
}

// order of the group, RFC 8032.
var order,
	_ = new(big.Int).SetString(
	"7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// Keys under which anyone can sign, and second spellings of keys and signatures: spec C-15.
func TestVerifyTakesOneSpelling(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	public, message := key.Public().(ed25519.PublicKey), []byte("message")
	good := ed25519.Sign(key, message)
	if !signed.Verify(public, message, good) {
		t.Fatal("a signature of the key is refused")
	}
	for name, edit := range map[string]func(key, sig []byte) ([]byte, []byte){
		"another message's": func(k, s []byte) ([]byte, []byte) {
			return k, ed25519.Sign(key, []byte("other"))
		},
		"a short key":      func(k, s []byte) ([]byte, []byte) { return k[:31], s },
		"a long signature": func(k, s []byte) ([]byte, []byte) { return k, append(s, 0) },
		"S plus the order": func(k, s []byte) ([]byte, []byte) {
			return k, append(s[:32:32], littleEndian(order, s[32:])...)
		},
	} {
		k, s := edit(bytes.Clone(public), bytes.Clone(good))
		if signed.Verify(k, message, s) {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080", // x = 0 with a sign
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 1 + p
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	} {
		weak, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		found, message := forge(weak)
		if !found {
			t.Fatalf("the key %s is not of small order, or the forgery is wrong", text)
		}
		if signed.Verify(weak, message, forged) {
			t.Errorf("a signature that nobody made is accepted under %s", text)
		}
	}
}

// forged is R = [1]B, S = 1: what crypto/ed25519 accepts under a key A of small order for each
// message whose challenge is a multiple of A's order. It takes no secret.
var forged = append(unhex("5866666666666666666666666666666666666666666666666666666666666666"),
	append([]byte{1}, make([]byte, 31)...)...)

// forge finds such a message by trying.
func forge(key []byte) (bool, []byte) {
	for n := byte(0); n < 255; n++ {
		if message := []byte{n}; ed25519.Verify(key, message, forged) {
			return true, message
		}
	}
	return false, nil
}

func unhex(text string) []byte {
	b, _ := hex.DecodeString(text)
	return b
}

// littleEndian adds n to 32 bytes, low byte first.
func littleEndian(n *big.Int, b []byte) []byte {
	r := bytes.Clone(b)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(r), n).FillBytes(make([]byte, 32))
	for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
		sum[i], sum[j] = sum[j], sum[i]
	}
	return sum
}
