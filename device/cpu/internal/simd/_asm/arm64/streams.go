// SPDX-License-Identifier: Apache-2.0

package main

// expand: ChaCha8, one state word of four streams per register, which leaves
// half the registers free. The four quarter rounds of a round are interleaved.
func expand(w *writer, name string, weights bool) {
	out := "[16*blocks][4][4]int8, entries pitch bytes apart."
	if weights {
		out = "[16*blocks][4][4]int8, entries pitch bytes apart, with -128 made 0."
	}
	k := w.function(name, "dst *uint32, pitch int, state *uint32, blocks int", "",
		name+" writes blocks of 64 bytes of four ChaCha8 streams (package prf) side by side:",
		out,
		"state is [16][4]uint32, words of the streams' states; word 12 moves on and must not wrap.")
	d, pitch, state, n := k.arg("dst"), k.arg("pitch"), k.arg("state"), k.arg("blocks")
	const by8, one, lowest = vec(29), vec(30), vec(31)
	k.op("VMOVQ", "$0x0605040702010003, $0x0e0d0c0f0a09080b, V%d", by8)
	r := k.free()
	k.op("MOVD", "$1, %s", r)
	k.dup(s4, one, r)
	if weights {
		k.op("VMOVI", "$0x80, V%d.B16", lowest)
	}
	k.loop("block", n, func() {
		// word[i] is where state word i is, spare what is free: a rotation by
		// shift and insert moves a word to another register.
		var word, spare [16]vec
		for i := range word {
			word[i], spare[i] = vec(i), vec(16+i)
		}
		for i := 0; i < 16; i += 2 {
			k.load2(word[i], word[i+1], state, 16*i)
		}
		round := func(diagonal int) {
			at := func(i, q int) int { return 4*i + (q+diagonal*i)%4 }
			step := func(a, b, d, rotate int) {
				for q := range 4 {
					k.add(s4, word[at(a, q)], word[at(a, q)], word[at(b, q)])
				}
				for q := range 4 {
					k.eor(word[at(d, q)], word[at(d, q)], word[at(a, q)])
				}
				for q := range 4 {
					x := &word[at(d, q)]
					switch rotate {
					case 16:
						k.op("VREV32", "V%d.H8, V%d.H8", *x, *x)
					case 8:
						k.op("VTBL", "V%d.B16, [V%d.B16], V%d.B16", by8, *x, *x)
					default:
						k.immediate("VSHL", s4, spare[q], *x, rotate)
						k.immediate("VSRI", s4, spare[q], *x, 32-rotate)
						*x, spare[q] = spare[q], *x
					}
				}
			}
			step(0, 1, 3, 16)
			step(2, 3, 1, 12)
			step(0, 1, 3, 8)
			step(2, 3, 1, 7)
		}
		for range 4 {
			round(0)
			round(1)
		}
		t, u := spare[0], spare[1]
		for i := 0; i < 16; i += 2 {
			k.load2(t, u, state, 16*i)
			for j, initial := range []vec{t, u} {
				x := word[i+j]
				k.add(s4, x, x, initial)
				if weights {
					mask := spare[2+j]
					k.three("VCMEQ", b16, mask, x, lowest)
					k.raw(bic(x, x, mask))
				}
				k.store(x, d, 0)
				k.step(d, pitch)
				if i+j == 12 {
					k.add(s4, initial, initial, one)
					k.store(initial, state, 16*12)
				}
			}
		}
	})
	k.end()
}

// condense: fmix32 of MurmurHash3 on four registers at a time.
func condense(w *writer) {
	const golden = 0x9E3779B9
	k := w.function("Condense", "dst *uint32, src *int32, words, stride int, pos, step uint32", "",
		"Condense makes words words of 64 elements each (package condense). stride is the",
		"bytes from one 64 to the next, pos the first one's position and step the distance",
		"in positions to the next.")
	d, s, n, stride := k.arg("dst"), k.arg("src"), k.arg("words"), k.arg("stride")
	pos, step, g := k.arg32("pos"), k.arg32("step"), k.free()
	const x, t, sum, place, base, next, sixteen, m1, m2 = vec(0), vec(4), vec(8), vec(12), vec(16),
		vec(20), vec(21), vec(22), vec(23)
	constant := func(v vec, c uint32) {
		k.op("MOVW", "$%#x, %s", c, g)
		k.dup(s4, v, g)
	}
	var lanes [4]uint32
	for i := range uint32(4) {
		lanes[i] = i * golden
	}
	constant(t, 4*golden&0xffffffff)
	constant(sixteen, 16*golden&0xffffffff)
	constant(m1, 0x85ebca6b)
	constant(m2, 0xc2b2ae35)
	k.op("MOVW", "$%#x, %s", golden, g)
	k.op("MULW", "%s, %s, %s", g, pos, pos)
	k.op("MULW", "%s, %s, %s", g, step, step)
	k.dup(s4, next, step)
	k.op("VMOVQ", "$%#x, $%#x, V%d", uint64(lanes[1])<<32|uint64(lanes[0]),
		uint64(lanes[3])<<32|uint64(lanes[2]), x)
	k.dup(s4, base, pos)
	k.add(s4, base, base, x)
	for i := range vec(3) {
		k.add(s4, base+1+i, base+i, t)
	}
	each := func(f func(i vec)) {
		for i := range vec(4) {
			f(i)
		}
	}
	k.loop("word", n, func() {
		each(func(i vec) { k.move(place+i, base+i) })
		for part := range 4 {
			for i := range vec(2) {
				k.load2(x+2*i, x+2*i+1, s, 64*part+32*int(i))
			}
			each(func(i vec) { k.add(s4, x+i, x+i, place+i) })
			if part < 3 {
				each(func(i vec) { k.add(s4, place+i, place+i, sixteen) })
			}
			for j, shift := range []int{16, 13, 16} {
				each(func(i vec) { k.immediate("VUSHR", s4, t+i, x+i, shift) })
				each(func(i vec) { k.eor(x+i, x+i, t+i) })
				if j < 2 {
					each(func(i vec) { k.raw(mul(s4, x+i, x+i, m1+vec(j))) })
				}
			}
			each(func(i vec) {
				if part == 0 {
					k.move(sum+i, x+i)
				} else {
					k.add(s4, sum+i, sum+i, x+i)
				}
			})
		}
		k.add(s4, sum, sum, sum+1)
		k.add(s4, sum+2, sum+2, sum+3)
		k.add(s4, sum, sum, sum+2)
		k.op("VADDV", "V%d.S4, V%d", sum, sum)
		k.op("FMOVS.P", "F%d, 4(%s)", sum, d)
		each(func(i vec) { k.add(s4, base+i, base+i, next) })
		k.step(s, stride)
	})
	k.end()
}
