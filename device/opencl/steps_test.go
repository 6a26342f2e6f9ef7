// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/work/transformer"
)

// on gives a test what runs kernels on data of the host's.
type on struct {
	*testing.T
	e *engine
}

func put[T any](o on, data []T, size int) buffer {
	o.Helper()
	b, err := o.e.alloc(uint64(size * len(data)))
	if err != nil {
		o.Fatal(err)
	}
	t := &transfer{queue: o.e.queue}
	defer t.abandon()
	if err := write(t, b, data); err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { o.e.release(&b) })
	return b
}

func get[T any](o on, n int, from buffer) []T {
	o.Helper()
	data := make([]T, n)
	t := &transfer{queue: o.e.queue}
	if err := read(t, data, from); err != nil {
		o.Fatal(err)
	}
	if err := t.wait(); err != nil {
		o.Fatal(err)
	}
	return data
}

func (o on) run(k *kernel, global [2]int, local int, args ...any) {
	o.Helper()
	if err := o.e.queue.run(k, global, local, args...); err != nil {
		o.Fatal(err)
	}
}

// unquad reads a row of activations out of quads.
func unquad(words []uint32, pitch, row, n int) []int8 {
	x := make([]int8, n)
	for i := range x {
		x[i] = int8(words[i/4*pitch+row] >> (8 * (i % 4)))
	}
	return x
}

// streams makes residual streams of all sizes: zeros, limits and what is between.
func streams(r *rand.Rand, units, d int) []int32 {
	h := make([]int32, units*transformer.Tokens*d)
	for i := range h {
		switch row := i / d; row % 8 {
		case 0: // nothing
		case 1:
			h[i] = transformer.MaxResidual
		case 2:
			h[i] = -transformer.MaxResidual
		default:
			h[i] = r.Int32N(2*transformer.MaxResidual+1) - transformer.MaxResidual
			h[i] >>= r.IntN(1 + row%23)
		}
	}
	return h
}

func TestNorms(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	o, r, p, g := on{t, e}, random(t), e.program, narrow
	for _, c := range transformer.Classes() {
		const units = 16
		rows := units * transformer.Tokens
		h := streams(r, units, c.D)
		stream := put(o, h, 4)
		x := put(o, make([]uint32, rows*c.D/4), 4)
		results := put(o, make([]uint32, units*resultWords), 4)
		o.run(p.norm, [2]int{units * g.items(), 1}, g.items(), stream, uint32(c.D), uint32(bits.TrailingZeros(uint(c.D))), x, uint32(rows))
		o.run(p.lastNorm, [2]int{units * g.items(), 1}, g.items(), stream, uint32(c.D), results, uint32(resultNorm), uint32(resultWords))
		quads, norms := get[uint32](o, rows*c.D/4, x), get[uint32](o, units*resultWords, results)
		want := make([]int8, transformer.Tokens*c.D)
		for i := range units {
			of := h[i*transformer.Tokens*c.D:][:transformer.Tokens*c.D]
			transformer.Norm(want, of)
			for row := range transformer.Tokens {
				if d := cmp.Diff(want[row*c.D:][:c.D], unquad(quads, rows, transformer.Tokens*i+row, c.D)); d != "" {
					t.Fatalf("%s, unit %d, row %d: %s", c.Name, i, row, d)
				}
			}
			got := uint64(norms[i*resultWords+resultNorm]) | uint64(norms[i*resultWords+resultNorm+1])<<32
			if want := transformer.SquaredNorm(of); got != want {
				t.Errorf("%s, unit %d: squared norm %d, want %d", c.Name, i, got, want)
			}
		}
	}
}

// Digests of all classes: their words end at different places of a block.
func TestDigestsOfStates(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	o, r, p := on{t, e}, random(t), e.program
	for _, c := range transformer.Classes() {
		const units = 3
		h := streams(r, units, c.D)
		stream, words := put(o, h, 4), put(o, make([]uint32, units*c.Words()), 4)
		results := put(o, make([]uint32, units*resultWords), 4)
		o.run(p.condenseStates, [2]int{c.D / 64, units * transformer.Tokens}, 0, stream, uint32(c.D), words)
		for tag, at := range map[string]int{"assay/1/xf/digest": 0, "assay/1/xf/middle": resultMiddle} {
			prefix, last := prefixOf(tag, c)
			o.run(p.hashStates, [2]int{sumGroup, 1}, sumGroup, words, uint32(c.Words()), prefix, last, results, uint32(at), uint32(resultWords), uint32(units))
		}
		got := get[uint32](o, units*resultWords, results)
		want := make([]uint32, c.Words())
		for i := range units {
			transformer.Condense(want, h[i*transformer.Tokens*c.D:][:transformer.Tokens*c.D])
			for at, sum := range map[int][32]byte{0: c.Digest(want), resultMiddle: c.MiddleDigest(want)} {
				for w := range 8 {
					if got[i*resultWords+at+w] != binary.LittleEndian.Uint32(sum[4*w:]) {
						t.Fatalf("%s, unit %d: word %d of the digest at %d is wrong", c.Name, i, w, at)
					}
				}
			}
		}
	}
}

func TestAttend(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	o, r, p := on{t, e}, random(t), e.program
	c := transformer.Nano
	const units = 48
	rows := units * transformer.Tokens
	qkv := make([]uint32, 3*c.D/4*rows)
	for i := range qkv {
		for j := range 4 {
			v := r.IntN(255) - 127
			switch i % rows / transformer.Tokens % 4 { // units of small, of random and of extreme values
			case 0:
				v /= 64
			case 1:
				v = []int{-127, 127}[r.IntN(2)]
			case 2:
				v = 127
			}
			qkv[i] |= uint32(uint8(int8(v))) << (8 * j)
		}
	}
	exp2 := transformer.Exp2()
	out := put(o, make([]uint32, c.D/4*rows), 4)
	o.run(p.attend, [2]int{rows, c.Heads}, 0, put(o, qkv, 4), uint32(rows), out, put(o, exp2[:], 2))
	got := get[uint32](o, c.D/4*rows, out)
	for i := range units {
		var in [3][]int8
		for row := range transformer.Tokens {
			for part := range in {
				in[part] = append(in[part], unquad(qkv[part*c.D/4*rows:], rows, transformer.Tokens*i+row, c.D)...)
			}
		}
		want := make([]int8, transformer.Tokens*c.D)
		transformer.Attend(want, in[0], in[1], in[2])
		for row := range transformer.Tokens {
			if d := cmp.Diff(want[row*c.D:][:c.D], unquad(got, rows, transformer.Tokens*i+row, c.D)); d != "" {
				t.Fatalf("unit %d, row %d: %s", i, row, d)
			}
		}
	}
}
