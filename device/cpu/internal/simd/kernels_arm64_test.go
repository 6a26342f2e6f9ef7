// SPDX-License-Identifier: Apache-2.0

package simd

import (
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/assaynet/assay/device/enginetest"
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/work/condense"
)

func needDotProd(t *testing.T) {
	if !DotProd() {
		t.Skip("this processor has no dot products")
	}
}

// bytesOf are any bytes; one in eight calls gives the extremes alone.
func bytesOf(r *rand.Rand, n int) []int8 {
	v, extreme := make([]int8, n), r.IntN(8) == 0
	for i := range v {
		v[i] = int8(r.Uint32())
		if extreme {
			v[i] = []int8{-128, 127}[r.IntN(2)]
		}
	}
	return v
}

// packed is the first of bytes as the word that the functions ask for.
func packed(v []int8) *uint32 { return (*uint32)(unsafe.Pointer(&v[0])) }

func clamp(x int64) int8 { return int8(min(max(x, -127), 127)) }

func TestProduct(t *testing.T) {
	needDotProd(t)
	r := enginetest.Random(t)
	for range 300 {
		tiles, quads, stride, add := 1+r.IntN(3), 4*(1+r.IntN(12)), 8+r.IntN(9), r.IntN(2)
		a, b := bytesOf(r, tiles*quads*48), bytesOf(r, quads*32)
		got := enginetest.Words(r, tiles*12*stride, 30)
		want := slices.Clone(got)
		for tile := range tiles {
			for row := range 12 {
				for col := range 8 {
					sum := int32(0)
					for k := range 4 * quads {
						sum += int32(a[tile*quads*48+k/4*48+row*4+k%4]) * int32(b[k/4*32+col*4+k%4])
					}
					c := &want[(tile*12+row)*stride+col]
					if add == 1 {
						sum += *c
					}
					*c = sum
				}
			}
		}
		Product(tiles, 4*quads, packed(a), packed(b), &got[0], 4*stride, add)
		enginetest.Same(t, "Product", got, want)
	}
}

func TestExpand(t *testing.T) {
	r := enginetest.Random(t)
	for range 100 {
		var key prf.Key
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		var nonces [4]uint64
		var state [16][4]uint32
		first, blocks, pitch := r.Uint64()>>r.IntN(64)&^(1<<31), 1+r.IntN(4), 16*(1+r.IntN(3))
		for lane := range 4 {
			nonces[lane] = r.Uint64()
			for w, v := range []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574} {
				state[w][lane] = v
			}
			for w := range 8 {
				state[4+w][lane] = uint32(key[4*w]) | uint32(key[4*w+1])<<8 | uint32(key[4*w+
					2])<<16 | uint32(key[4*w+3])<<24
			}
			state[12][lane], state[13][lane] = uint32(first), uint32(first>>32)
			state[14][lane], state[15][lane] = uint32(nonces[lane]), uint32(nonces[lane]>>32)
		}
		copied := state
		got, weights := make([]int8, 16*blocks*pitch), make([]int8, 16*blocks*pitch)
		want, wantWeights := slices.Clone(got), slices.Clone(got)
		for lane, nonce := range nonces {
			stream := make([]byte, 64*blocks)
			for b := range blocks {
				prf.Block((*[64]byte)(stream[64*b:]), &key, nonce, first+uint64(b))
			}
			for i, v := range stream {
				at := i/4*pitch + 4*lane + i%4
				want[at], wantWeights[at] = int8(v), int8(v)
				if v == 128 {
					wantWeights[at] = 0
				}
			}
		}
		Expand(packed(got), pitch, &state[0][0], blocks)
		enginetest.Same(t, "Expand", got, want)
		ExpandWeights(packed(weights), pitch, &copied[0][0], blocks)
		enginetest.Same(t, "ExpandWeights", weights, wantWeights)
		if state[12][3] != uint32(first)+uint32(blocks) || copied != state {
			t.Fatalf("counter %d after %d blocks from %d", state[12][3], blocks, first)
		}
	}
}

func TestTranspose(t *testing.T) {
	r := enginetest.Random(t)
	for range 100 {
		n, pitch := 1+r.IntN(5), 16*(1+r.IntN(3))
		stride := 16*n + r.IntN(40)
		src := bytesOf(r, 4*stride)
		got := make([]int8, 4*n*pitch)
		want := slices.Clone(got)
		for row := range 4 {
			for i := range 16 * n {
				want[i/4*pitch+4*row+i%4] = src[row*stride+i]
			}
		}
		Transpose(packed(got), pitch, &src[0], stride, 16*n)
		enginetest.Same(t, "Transpose", got, want)
	}
}

func TestCondense(t *testing.T) {
	r := enginetest.Random(t)
	for range 200 {
		n, gap, pos, step := 1+r.IntN(9), 64+r.IntN(100), r.Uint32(), r.Uint32N(1000)
		src := make([]int32, n*gap)
		for i := range src {
			src[i] = int32(r.Uint32())
		}
		got, want := make([]uint32, n), make([]uint32, n)
		Condense(&got[0], &src[0], n, 4*gap, pos, step)
		for i := range want {
			want[i] = condense.Word((*[64]int32)(src[i*gap:]), pos+uint32(i)*step)
		}
		enginetest.Same(t, "Condense", got, want)
	}
}

func TestSteps(t *testing.T) {
	needDotProd(t)
	r := enginetest.Random(t)
	for range 300 {
		rows, stride, shift := 1+r.IntN(9), 8+r.IntN(9), 1+r.IntN(20)
		round := 1 << (shift - 1)
		x := enginetest.Words(r, 8*rows, 30)
		got := bytesOf(r, rows*stride)
		want := slices.Clone(got)
		h := enginetest.Words(r, rows*stride, 23)
		sum, limit := slices.Clone(h), 1+r.IntN(1<<23)
		for row := range rows {
			for i := range 8 {
				v := (int64(x[8*row+i]) + int64(round)) >> shift
				want[row*stride+i] = clamp(v)
				s := &sum[row*stride+i]
				*s = int32(min(max(int64(*s)+v, int64(-limit)), int64(limit)))
			}
		}
		Requant(&got[0], stride, &x[0], rows, round, shift)
		enginetest.Same(t, "Requant", got, want)
		Residual(&h[0], 4*stride, &x[0], rows, round, shift, limit)
		enginetest.Same(t, "Residual", h, sum)

		n := 16 * (1 + r.IntN(9))
		g, u := bytesOf(r, n), bytesOf(r, n)
		got, want = make([]int8, n), make([]int8, n)
		for i := range g {
			want[i] = clamp((max(int64(g[i]), 4*int64(g[i]))*int64(u[i]) + int64(round)) >> shift)
		}
		Gate(&got[0], &g[0], &u[0], n, round, shift)
		enginetest.Same(t, "Gate", got, want)
		Gate(&g[0], &g[0], &u[0], n, round, shift)
		enginetest.Same(t, "Gate in place", g, want)

		values := enginetest.Words(r, n, 30)
		squares := uint64(0)
		for _, v := range values {
			squares += uint64(int64(v) * int64(v))
		}
		enginetest.Same(t, "Squares", []uint64{Squares(&values[0], n)}, []uint64{squares})

		inv, right := r.Uint64N(1<<31)>>r.IntN(31), uint64(18+r.IntN(32))
		values = enginetest.Words(r, n, 23)
		scaled := func(x int32) int8 { return clamp((int64(x)*int64(inv) + 1<<(right-1)) >> right) }
		for i, v := range values {
			want[i] = scaled(v)
		}
		Scale(&got[0], &values[0], n, inv, right)
		enginetest.Same(t, "Scale", got, want)

		gap := 64 + r.IntN(64)
		q, k := bytesOf(r, 4*gap), bytesOf(r, 4*gap)
		var dots, wantDots [4][4]int32
		for i := range 4 {
			for j := range i + 1 {
				for c := range 64 {
					wantDots[i][j] += int32(q[i*gap+c]) * int32(k[j*gap+c])
				}
			}
		}
		Scores(&dots, &q[0], &k[0], gap)
		enginetest.Same(t, "Scores", dots[:], wantDots[:])

		weights := make([]int32, 1+r.IntN(4))
		for i := range weights {
			weights[i] = r.Int32N(65536)
		}
		got, want = make([]int8, 64), make([]int8, 64)
		for c := range want {
			mixed := int32(0)
			for j, w := range weights {
				mixed += w * int32(k[j*gap+c])
			}
			want[c] = scaled(mixed)
		}
		Mix(&got[0], &k[0], gap, &weights[0], len(weights), inv, right)
		enginetest.Same(t, "Mix", got, want)
	}
}

func TestHash2(t *testing.T) {
	if !SHA() {
		t.Skip("this processor has no SHA2 instructions")
	}
	r := enginetest.Random(t)
	for range 100 {
		blocks := 1 + r.IntN(5)
		var msgs [2][]byte
		var got, want [2][32]byte
		for i := range msgs {
			n := 64*blocks - 9 - r.IntN(56)
			msgs[i] = make([]byte, 64*blocks)
			for j := range n {
				msgs[i][j] = byte(r.Uint32())
			}
			want[i] = sha256.Sum256(msgs[i][:n])
			msgs[i][n] = 0x80
			for j := range 8 {
				msgs[i][64*blocks-1-j] = byte(uint64(8*n) >> (8 * j))
			}
		}
		Hash2(&got[0], &got[1], &msgs[0][0], &msgs[1][0], blocks)
		enginetest.Same(t, "Hash2", got[:], want[:])
	}
}
