// SPDX-License-Identifier: Apache-2.0

package main

// broadcast loads an argument of 8 bytes into every element.
func (k *kernel) broadcast(a arrangement, d vec, name string) { k.dup(a, d, k.arg(name)) }

// right loads a shift count for sshl and srshl, to which left is positive.
func (k *kernel) right(a arrangement, d vec, name string) {
	r := k.arg(name)
	k.op("NEG", "%s, %s", r, r)
	k.dup(a, d, r)
}

// lowest is -127 in every byte, which narrowing with saturation misses.
func (k *kernel) lowest(d vec) { k.op("VMOVI", "$0x81, V%d.B16", d) }

func requant(w *writer) {
	k := w.function("Requant", "dst *int8, stride int, src *int32, rows, round, shift int", "",
		"Requant narrows a panel of [rows][8]int32: (x+round)>>shift, limited to -127..127.",
		"Rows of dst are stride bytes apart.")
	d, stride, s, n := k.arg("dst"), k.arg("stride"), k.arg("src"), k.arg("rows")
	const round, shift, low = 29, 30, 31
	k.broadcast(s4, round, "round")
	k.right(s4, shift, "shift")
	k.lowest(low)
	k.loop("row", n, func() {
		k.op("FLDPQ.P", "32(%s), (F0, F1)", s)
		for v := range vec(2) {
			k.add(s4, v, v, round)
			k.raw(sshl(s4, v, v, shift))
		}
		k.raw(sqxtn(h4, 2, 0))
		k.raw(sqxtn(h8, 2, 1))
		k.raw(sqxtn(b8, 2, 2))
		k.raw(smax(b8, 2, 2, low))
		k.op("FMOVD", "F2, (%s)", d)
		k.step(d, stride)
	})
	k.end()
}

func residual(w *writer) {
	k := w.function("Residual", "h *int32, stride int, src *int32, rows, round, shift, limit int",
		"",
		"Residual adds (x+round)>>shift of a panel of [rows][8]int32 to rows of h, stride",
		"bytes apart, and limits the sums to -limit..limit.")
	h, stride, s, n := k.arg("h"), k.arg("stride"), k.arg("src"), k.arg("rows")
	const round, shift, high, low = 28, 29, 30, 31
	k.broadcast(s4, round, "round")
	k.right(s4, shift, "shift")
	limit := k.arg("limit")
	k.dup(s4, high, limit)
	k.op("NEG", "%s, %s", limit, limit)
	k.dup(s4, low, limit)
	k.loop("row", n, func() {
		k.op("FLDPQ.P", "32(%s), (F0, F1)", s)
		k.load2(2, 3, h, 0)
		for v := range vec(2) {
			k.add(s4, v, v, round)
			k.raw(sshl(s4, v, v, shift))
			k.add(s4, v, v, v+2)
			k.raw(smin(s4, v, v, high))
			k.raw(smax(s4, v, v, low))
		}
		k.store2(0, 1, h, 0)
		k.step(h, stride)
	})
	k.end()
}

func gate(w *writer) {
	k := w.function("Gate", "dst, gates, ups *int8, n, round, shift int", "",
		"Gate writes (max(g,4g)*u + round)>>shift of gates g and ups u, limited to -127..127;",
		"n is a multiple of 16 and dst may be gates.")
	z, g, u, n := k.arg("dst"), k.arg("gates"), k.arg("ups"), k.arg("n")
	const round, shift, low = 29, 30, 31
	k.broadcast(s4, round, "round")
	k.right(s4, shift, "shift")
	k.lowest(low)
	k.op("LSR", "$4, %s, %s", n, n)
	k.loop("sixteen", n, func() {
		k.op("FMOVQ.P", "16(%s), F0", g)
		k.op("FMOVQ.P", "16(%s), F1", u)
		for half, a := range []arrangement{b8, b16} { // of the sixteen
			x, y, t := vec(2), vec(3), vec(4)
			k.raw(sshll(a, x, 0))
			k.raw(sshll(a, y, 1))
			k.immediate("VSHL", h8, t, x, 2)
			k.raw(smax(h8, x, x, t))
			k.raw(smull(h4, 5, x, y))
			k.raw(smull(h8, 6, x, y))
			for v := vec(5); v <= 6; v++ {
				k.add(s4, v, v, round)
				k.raw(sshl(s4, v, v, shift))
			}
			k.raw(sqxtn(h4, 7, 5))
			k.raw(sqxtn(h8, 7, 6))
			k.raw(sqxtn([]arrangement{b8, b16}[half], 8, 7))
		}
		k.raw(smax(b16, 8, 8, low))
		k.op("FMOVQ.P", "F8, 16(%s)", z)
	})
	k.end()
}

func squares(w *writer) {
	k := w.function("Squares", "src *int32, n int", "uint64",
		"Squares is the sum of squares of n values, n a multiple of 8.")
	s, n := k.arg("src"), k.arg("n")
	k.op("LSR", "$3, %s, %s", n, n)
	for v := range vec(4) {
		k.zero(v)
	}
	k.loop("eight", n, func() {
		k.op("FLDPQ.P", "32(%s), (F4, F5)", s)
		for v := range vec(2) {
			k.raw(smlal(s2, 2*v, 4+v, 4+v))
			k.raw(smlal(s4, 2*v+1, 4+v, 4+v))
		}
	})
	k.add(d2, 0, 0, 1)
	k.add(d2, 2, 2, 3)
	k.add(d2, 0, 0, 2)
	k.three("VADDP", d2, 0, 0, 0)
	k.op("FMOVD", "F0, %s", k.args["ret"])
	k.end()
}

// multiplier scales int32 by inv/2^shift in 64 bits.
type multiplier struct{ inv, shift, low vec }

const multiplierArgs = "inv, shift uint64"

func (k *kernel) multiplier() multiplier {
	m := multiplier{29, 30, 31}
	k.broadcast(s4, m.inv, "inv")
	k.right(d2, m.shift, "shift")
	k.lowest(m.low)
	return m
}

// narrow scales the 16 values of x to x+3 and stores them as bytes. It spoils
// t, t+1 and x.
func (k *kernel) narrow(m multiplier, x, t vec, to gp) {
	for i := range vec(4) {
		k.raw(smull(s2, t, x+i, m.inv))
		k.raw(smull(s4, t+1, x+i, m.inv))
		k.raw(srshl(d2, t, t, m.shift))
		k.raw(srshl(d2, t+1, t+1, m.shift))
		k.raw(sqxtn(s2, x+i, t))
		k.raw(sqxtn(s4, x+i, t+1))
	}
	for i := vec(0); i < 4; i += 2 {
		k.raw(sqxtn(h4, x+i, x+i))
		k.raw(sqxtn(h8, x+i, x+i+1))
	}
	k.raw(sqxtn(b8, x, x))
	k.raw(sqxtn(b16, x, x+2))
	k.raw(smax(b16, x, x, m.low))
	k.op("FMOVQ.P", "F%d, 16(%s)", x, to)
}

func scale(w *writer) {
	k := w.function("Scale", "dst *int8, src *int32, n int, "+multiplierArgs, "",
		"Scale narrows n values, a multiple of 16: x*inv/2^shift, halves rounded up, limited",
		"to -127..127. inv is below 2^31, shift at least 1.")
	d, s, n := k.arg("dst"), k.arg("src"), k.arg("n")
	m := k.multiplier()
	k.op("LSR", "$4, %s, %s", n, n)
	k.loop("sixteen", n, func() {
		k.op("FLDPQ.P", "32(%s), (F0, F1)", s)
		k.op("FLDPQ.P", "32(%s), (F2, F3)", s)
		k.narrow(m, 0, 4, d)
	})
	k.end()
}

func scores(w *writer) {
	k := w.function("Scores", "dst *[4][4]int32, q, k *int8, stride int", "",
		"Scores writes the dot products of the rows i of q with the rows j <= i of k to",
		"dst[i][j]: four rows of 64, stride bytes apart.")
	d, q, keys, stride := k.arg("dst"), k.arg("q"), k.arg("k"), k.arg("stride")
	const key, query, sum = vec(0), vec(16), vec(20)
	row := func(v vec, p gp) {
		k.load2(v, v+1, p, 0)
		k.load2(v+2, v+3, p, 32)
		k.step(p, stride)
	}
	for j := range vec(4) {
		row(key+4*j, keys)
	}
	for i := range vec(4) {
		row(query, q)
		for j := range i + 1 {
			k.zero(sum + j)
		}
		for c := range vec(4) {
			for j := range i + 1 {
				k.raw(sdot(sum+j, query+c, key+4*j+c))
			}
		}
		for j := range i + 1 {
			k.op("VADDV", "V%d.S4, V%d", sum+j, sum+j)
			k.op("FMOVS", "F%d, %d(%s)", sum+j, 16*i+4*j, d)
		}
	}
	k.end()
}

func mix(w *writer) {
	k := w.function("Mix", "dst, v *int8, stride int, weights *int32, rows int, "+multiplierArgs,
		"",
		"Mix writes sum_j weights[j]*v[j] over the first rows rows of v, 64 wide and stride",
		"bytes apart, to dst, scaled and limited as by Scale. rows is 4 at most.")
	d, v, stride, weights, n := k.arg("dst"), k.arg("v"), k.arg("stride"),
		k.arg("weights"), k.arg("rows")
	m := k.multiplier()
	const acc, bytes, wide, weight = vec(0), vec(16), vec(20), vec(22)
	for i := range vec(16) {
		k.zero(acc + i)
	}
	k.loop("row", n, func() {
		k.op("FMOVS.P", "4(%s), F%d", weights, weight)
		k.load2(bytes, bytes+1, v, 0)
		k.load2(bytes+2, bytes+3, v, 32)
		for c := range vec(4) {
			for half, from := range []arrangement{b8, b16} {
				k.raw(sshll(from, wide, bytes+c))
				for quarter, from := range []arrangement{h4, h8} {
					k.raw(sshll(from, wide+1, wide))
					k.raw(mlaBy(acc+4*c+vec(2*half+quarter), wide+1, weight, 0))
				}
			}
		}
		k.step(v, stride)
	})
	for c := range vec(4) {
		k.narrow(m, acc+4*c, wide, d)
	}
	k.end()
}
