// SPDX-License-Identifier: Apache-2.0

package ptx

import (
	"encoding/binary"
	"math"
)

// ldmatrix loads 8 x 8 matrices of 16-bit elements: lane i gives the address of
// row i%8 of matrix i/8; lane i receives two elements of row i/4 of each, or of
// column i/4 with .trans.
func ldmatrix(b *builder) exec {
	n, trans := b.matrices()
	if !b.args(2, 2) {
		return nil
	}
	d, from := b.dests32(b.s.args[0], n), b.address(b.s.args[1], shared)
	return func(w *warp, m uint32) error {
		if err := w.converged(m); err != nil {
			return err
		}
		// Addresses are read before the first register is written.
		var rows [32][]byte
		for i := range n * 8 {
			b, err := w.readAt(shared, from.address(w, i), 16, i, reading)
			if err != nil {
				return err
			}
			rows[i] = b
		}
		for q, d := range d {
			r := &w.r32[d]
			for lane := range r {
				if trans {
					low, high := rows[q*8+lane%4*2], rows[q*8+lane%4*2+1]
					at := lane / 4 * 2
					r[lane] = uint32(binary.LittleEndian.Uint16(low[at:])) | uint32(
						binary.LittleEndian.Uint16(high[at:]))<<16
				} else {
					r[lane] = binary.LittleEndian.Uint32(rows[q*8+lane/4][lane%4*4:])
				}
			}
		}
		return nil
	}
}

// stmatrix is the way back.
func stmatrix(b *builder) exec {
	n, trans := b.matrices()
	if !b.args(2, 2) {
		return nil
	}
	to, s := b.address(b.s.args[0], shared), b.sources32(b.s.args[1], n)
	return func(w *warp, m uint32) error {
		if err := w.converged(m); err != nil {
			return err
		}
		for i := range n * 8 {
			row, err := w.writeAt(shared, to.address(w, i), 16, i)
			if err != nil {
				return err
			}
			r := &w.r32[s[i/8]]
			for j := range 8 {
				// Element j of row i%8 is in lane row*4 + j/2, or transposed.
				x, y := i%8, j
				if trans {
					x, y = j, i%8
				}
				binary.LittleEndian.PutUint16(row[2*j:], uint16(r[x*4+y/2]>>(y%2*16)))
			}
		}
		return nil
	}
}

func (b *builder) matrices() (n int, trans bool) {
	b.need("sync")
	b.need("aligned")
	b.need("m8n8")
	n = map[string]int{"x1": 1, "x2": 2, "x4": 4}[b.need("x1", "x2", "x4")]
	trans = b.take("trans") != ""
	b.need("shared", "shared::cta")
	b.typ("b16")
	return n, trans
}

// mmaShape is a shape of mma.sync for bytes: so many registers of each operand.
type mmaShape struct{ rows, depth, a, b, c int }

var mmaShapes = map[string]mmaShape{
	"m8n8k16":  {8, 16, 1, 1, 2},
	"m16n8k16": {16, 16, 2, 1, 4},
	"m16n8k32": {16, 32, 4, 2, 4},
}

// mma multiplies bytes into 32-bit words. With group g = lane/4 and t = lane%4,
// register r of A holds row g + 8*(r%2), bytes 4t to 4t+3 of the half r/2 of
// the depth; register r of B column g, the same bytes of half r; register r of
// C row g + 8*(r/2), column 2t + r%2.
func mma(b *builder) exec {
	b.need("sync")
	b.need("aligned")
	shape := mmaShapes[b.need("m8n8k16", "m16n8k16", "m16n8k32")]
	b.need("row")
	b.need("col")
	saturate := b.take("satfinite") != ""
	b.typ("s32")
	at, bt := b.typ("s8 u8"), b.typ("s8 u8")
	b.typ("s32")
	if !b.args(4, 4) {
		return nil
	}
	d, ra := b.dests32(b.s.args[0], shape.c), b.sources32(b.s.args[1], shape.a)
	rb, rc := b.sources32(b.s.args[2], shape.b), b.sources32(b.s.args[3], shape.c)
	return func(w *warp, m uint32) error {
		if err := w.converged(m); err != nil {
			return err
		}
		w.block.machine.products += uint64(shape.rows * 8 * shape.depth)
		var x [16][32]int64
		for r, from := range ra {
			for lane, v := range &w.r32[from] {
				row := x[lane/4+8*(r%2)][lane%4*4+16*(r/2):]
				row[0], row[1], row[2], row[3] = element(at, v), element(at, v>>8),
					element(at, v>>16), element(at, v>>24)
			}
		}
		// Two columns in one word, 32 bits apart: the sums stay far below 2^31,
		// so that the upper one is off by the lower one's sign and no more.
		var y [32][4]int64
		for r, from := range rb {
			for lane, v := range &w.r32[from] {
				k, column := lane%4*4+16*r, lane/4
				for i := range 4 {
					y[k+i][column/2] += element(bt, v>>(8*i)) << (column % 2 * 32)
				}
			}
		}
		var sums [16][8]int32
		for i := range shape.rows {
			var s0, s1, s2, s3 int64
			for k := range shape.depth {
				v := x[i][k]
				s0 += v * y[k][0]
				s1 += v * y[k][1]
				s2 += v * y[k][2]
				s3 += v * y[k][3]
			}
			for j, s := range [4]int64{s0, s1, s2, s3} {
				low := int32(s)
				sums[i][2*j], sums[i][2*j+1] = low, int32((s-int64(low))>>32)
			}
		}
		var out [4]lanes32
		for r, from := range rc {
			c := &w.r32[from]
			for lane := range c {
				sum := int64(int32(c[lane])) + int64(sums[lane/4+8*(r/2)][lane%4*2+r%2])
				if saturate {
					sum = clamp(sum, math.MinInt32, math.MaxInt32)
				}
				out[r][lane] = uint32(sum)
			}
		}
		for r, to := range d {
			w.r32[to] = out[r]
		}
		return nil
	}
}

func element(t typ, v uint32) int64 {
	if t.signed() {
		return int64(int8(v))
	}
	return int64(uint8(v))
}
