// SPDX-License-Identifier: Apache-2.0

package prf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"golang.org/x/crypto/chacha20"
	"pgregory.net/rapid"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 8439, section 2.1.1.
func TestQuarterRoundOfRFC8439(t *testing.T) {
	a, b, c, d := quarter(0x11111111, 0x01020304, 0x9b8d6f43, 0x01234567)
	if a != 0xea2a92f4 || b != 0xcb1cf8ce || c != 0x4581472e || d != 0x5881c4bb {
		t.Errorf("%08x %08x %08x %08x", a, b, c, d)
	}
}

// RFC 8439, section 2.3.2: with 20 rounds the core is the RFC's block
// function. Its 96-bit nonce covers the high counter word and our nonce.
// Holds spec W-6.
func TestBlockOfRFC8439(t *testing.T) {
	var key Key
	for i := range key {
		key[i] = byte(i)
	}
	n := unhex(t, "000000090000004a00000000")
	in := state(&key,
		uint64(binary.LittleEndian.Uint32(n[4:]))|uint64(binary.LittleEndian.Uint32(n[8:]))<<32)
	var got [BlockSize]byte
	block(&got, &in, 1|uint64(binary.LittleEndian.Uint32(n))<<32, 20)
	want := unhex(t, "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"+
		"d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e")
	if !bytes.Equal(got[:], want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// The ChaCha8 key stream for an all-zero 256-bit key and nonce, from
// J. Strombergson, "Test Vectors for the Stream Cipher ChaCha", TC1.
// Holds spec W-6.
func TestPublishedChaCha8Vector(t *testing.T) {
	var got [2 * BlockSize]byte
	Fill(got[:], &Key{}, 0, 0)
	want := unhex(t, "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"+
		"984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42")
	if !bytes.Equal(got[:BlockSize], want) {
		t.Errorf("got  %x\nwant %x", got[:BlockSize], want)
	}
}

// With 20 rounds the core agrees with another implementation on random input.
func TestCoreEqualsXCrypto(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := Key(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		nonce := rapid.Uint64().Draw(t, "nonce")
		counter := rapid.Uint64().Draw(t, "counter")
		n := binary.LittleEndian.AppendUint32(nil, uint32(counter>>32))
		n = binary.LittleEndian.AppendUint64(n, nonce)
		c, err := chacha20.NewUnauthenticatedCipher(key[:], n)
		if err != nil {
			t.Fatal(err)
		}
		c.SetCounter(uint32(counter))
		var want, got [BlockSize]byte
		c.XORKeyStream(want[:], want[:])
		in := state(&key, nonce)
		block(&got, &in, counter, 20)
		if got != want {
			t.Fatalf("got  %x\nwant %x", got, want)
		}
	})
}

// Any part of a stream is the same bytes as in the whole.
// Holds spec W-6.
func TestFillIsRandomAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := Key(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		nonce := rapid.Uint64().Draw(t, "nonce")
		base := rapid.Uint64Range(0, 1<<56).Draw(t, "block") * BlockSize
		from := rapid.IntRange(0, 400).Draw(t, "from")
		n := rapid.IntRange(0, 400).Draw(t, "n")
		whole := make([]byte, 1024)
		for i := range len(whole) / BlockSize {
			Block((*[BlockSize]byte)(whole[i*BlockSize:]), &key, nonce, base/BlockSize+uint64(i))
		}
		part := make([]byte, n)
		Fill(part, &key, nonce, base+uint64(from))
		if !bytes.Equal(part, whole[from:from+n]) {
			t.Fatalf("bytes %d to %d differ", from, from+n)
		}
	})
}

// Key, nonce and both halves of the counter all matter.
func TestStreamsDiffer(t *testing.T) {
	seen := map[[BlockSize]byte]string{}
	for name, at := range map[string]struct {
		key            Key
		nonce, counter uint64
	}{
		"base":         {},
		"key":          {key: Key{31: 1}},
		"nonce low":    {nonce: 1},
		"nonce high":   {nonce: 1 << 32},
		"counter low":  {counter: 1},
		"counter high": {counter: 1 << 32},
	} {
		var b [BlockSize]byte
		Block(&b, &at.key, at.nonce, at.counter)
		if other, again := seen[b]; again {
			t.Errorf("%s gives the same block as %s", name, other)
		}
		seen[b] = name
	}
}

func TestFillAllocatesNothing(t *testing.T) {
	dst := make([]byte, 200)
	key := &Key{1}
	if n := testing.AllocsPerRun(100, func() { Fill(dst, key, 1, 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
