// SPDX-License-Identifier: Apache-2.0

package opencl

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"testing"

	"github.com/assaynet/assay/device/enginetest"
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

// unquad reads rows of activations, of n elements each, out of quads.
func unquad(words []uint32, rows, n int) (x []int8) {
	for row := range rows {
		for i := range n {
			x = append(x, int8(words[i/4*rows+row]>>(8*(i%4))))
		}
	}
	return x
}

// quad is the inverse.
func quad(x []int8, rows, n int) []uint32 {
	words := make([]uint32, n/4*rows)
	for i, v := range x {
		words[i%n/4*rows+i/n] |= uint32(uint8(v)) << (8 * (i % 4))
	}
	return words
}

func TestNorms(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	o, r, p, g := on{t, e}, enginetest.Random(t), e.program, narrow
	for _, c := range transformer.Classes() {
		const units = 16
		rows := units * transformer.Tokens
		enginetest.Norms(t, r, c, units, func(h []int32) ([]int8, []uint64) {
			stream := put(o, h, 4)
			x := put(o, make([]uint32, rows*c.D/4), 4)
			results := put(o, make([]uint32, units*resultWords), 4)
			o.run(p.norm, [2]int{units * g.items(), 1}, g.items(), stream, uint32(c.D),
				uint32(bits.TrailingZeros(uint(c.D))), x, uint32(rows))
			o.run(p.lastNorm, [2]int{units * g.items(), 1}, g.items(), stream, uint32(c.D), results,
				uint32(resultNorm), uint32(resultWords))
			words, squares := get[uint32](o, units*resultWords, results), make([]uint64, units)
			for i := range squares {
				squares[i] = uint64(words[i*resultWords+resultNorm]) | uint64(words[i*resultWords+
					resultNorm+1])<<32
			}
			return unquad(get[uint32](o, rows*c.D/4, x), rows, c.D), squares
		})
	}
}

// Digests of all classes: their words end at different places of a block.
func TestDigestsOfStates(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	o, r, p := on{t, e}, enginetest.Random(t), e.program
	for _, c := range transformer.Classes() {
		const units = 3
		h := enginetest.Streams(r, units, c.D)
		stream, words := put(o, h, 4), put(o, make([]uint32, units*c.Words()), 4)
		results := put(o, make([]uint32, units*resultWords), 4)
		o.run(p.condenseStates, [2]int{c.D / 64, units * transformer.Tokens}, 0,
			stream, uint32(c.D), words)
		for tag, at := range map[string]int{"assay/1/xf/digest": 0,
			"assay/1/xf/middle": resultMiddle} {
			prefix, last := prefixOf(tag, c)
			o.run(p.hashStates, [2]int{sumGroup, 1}, sumGroup, words, uint32(c.Words()), prefix,
				last, results, uint32(at), uint32(resultWords), uint32(units))
		}
		got := get[uint32](o, units*resultWords, results)
		want := make([]uint32, c.Words())
		for i := range units {
			transformer.Condense(want, h[i*transformer.Tokens*c.D:][:transformer.Tokens*c.D])
			for at, sum := range map[int][32]byte{0: c.Digest(want),
				resultMiddle: c.MiddleDigest(want)} {
				for w := range 8 {
					if got[i*resultWords+at+w] != binary.LittleEndian.Uint32(sum[4*w:]) {
						t.Fatalf("%s, unit %d: word %d of the digest at %d is wrong",
							c.Name, i, w, at)
					}
				}
			}
		}
	}
}

func TestAttend(t *testing.T) {
	e := openAs(t, variant{geometry: narrow})
	o, r, p := on{t, e}, enginetest.Random(t), e.program
	c, exp2 := transformer.Nano, transformer.Exp2()
	const units = 48
	rows := units * transformer.Tokens
	enginetest.Attention(t, r, c, units, func(q, k, v []int8) []int8 {
		qkv := slices.Concat(quad(q, rows, c.D), quad(k, rows, c.D), quad(v, rows, c.D))
		out := put(o, make([]uint32, c.D/4*rows), 4)
		o.run(p.attend, [2]int{rows, c.Heads}, 0, put(o, qkv, 4), uint32(rows),
			out, put(o, exp2[:], 2))
		return unquad(get[uint32](o, c.D/4*rows, out), rows, c.D)
	})
}
