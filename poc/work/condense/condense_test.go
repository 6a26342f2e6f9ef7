// SPDX-License-Identifier: Apache-2.0

package condense

import (
	"math/rand/v2"
	"testing"
)

// Published values of MurmurHash3's finaliser.
func TestFmix32(t *testing.T) {
	for in, want := range map[uint32]uint32{0: 0, 1: 0x514e28b7, 2: 0x30f4c306,
		0xffffffff: 0x81f16f39} {
		if got := Fmix32(in); got != want {
			t.Errorf("fmix32(%#x) = %#x, want %#x", in, got, want)
		}
	}
}

// The four sums are the definition's one.
// Holds spec W-7.
func TestWordIsTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var c [Width]int32
		for i := range c {
			c[i] = int32(rng.Uint32())
		}
		pos := rng.Uint32()
		var want uint32
		for p := range uint32(Width) {
			want += Fmix32(uint32(c[p]) + (pos+p)*0x9E3779B9)
		}
		if got := Word(&c, pos); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
		// One element off by one, or two elements swapped, shows.
		at := rng.IntN(Width)
		c[at]++
		if Word(&c, pos) == want {
			t.Fatalf("element %d off by one does not show", at)
		}
		c[at]--
		if other := (at + 1) % Width; c[at] != c[other] {
			c[at], c[other] = c[other], c[at]
			if Word(&c, pos) == want {
				t.Fatal("swapped elements do not show")
			}
		}
	}
}

func BenchmarkWord(b *testing.B) {
	var c [Width]int32
	b.SetBytes(4 * Width)
	for b.Loop() {
		Word(&c, 64)
	}
}
