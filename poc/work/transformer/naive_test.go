// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/bits"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
)

// naive is a second implementation of transformer/1, written from the
// formulas alone and as plainly as they are, with places to cheat. It shares
// the expanded weights with the model under test and nothing else.
type naive struct {
	m *ReferenceModel
	// The cheats; nil means honest.
	embed   func(h *[Tokens][]int32)            // tamper with the embeddings
	see     func(l, i, j int) bool              // may row i attend to j?
	logits  func(l, i int, lg []int32)          // tamper with the logits of row i
	query   func(l int, q *[Tokens][]int8)      // tamper with q
	input   func(l, id, t int, x []int8) []int8 // another input for one product
	hidden  func(l int, z []int8)               // tamper with one position's z
	frozen  func(l, t int) bool                 // leave position t of layer l as it was
	observe func(tensor string, l int, v []int8)
	stream  func(l int, h []int32)
}

type naiveResult struct {
	Output
	last []int32 // the last position's final vector
}

func nRsh(x int64, s int) int64 { return (x + 1<<(s-1)) >> s }

func nClamp(x, c int64) int64 {
	if x > c {
		return c
	}
	if x < -c {
		return -c
	}
	return x
}

// nSh is sh(k) of spec W-9, for a power of two.
func nSh(k int) int {
	log := bits.TrailingZeros(uint(k))
	return 6 + (log+1)/2
}

func nRecip(r uint64) (int64, int) {
	e := bits.Len64(r)
	inv := new(big.Int).Lsh(big.NewInt(1), uint(30+e))
	inv.Quo(inv, new(big.Int).SetUint64(r))
	if inv.Cmp(big.NewInt(1<<31-1)) > 0 {
		return 1<<31 - 1, e
	}
	return inv.Int64(), e
}

func nNorm(h []int32) []int8 {
	d := len(h)
	ss := new(big.Int)
	for _, v := range h {
		ss.Add(ss, big.NewInt(int64(v)*int64(v)))
	}
	ss.Rsh(ss, uint(bits.TrailingZeros(uint(d))))
	ss.Lsh(ss, 16)
	r := new(big.Int).Sqrt(ss).Uint64()
	if r == 0 {
		r = 1
	}
	inv, e := nRecip(r)
	x := make([]int8, d)
	for i, v := range h {
		x[i] = int8(nClamp(nRsh(int64(v)*inv, 17+e), 127))
	}
	return x
}

func nMatVec(w []int8, x []int8) []int32 {
	out := make([]int32, len(w)/len(x))
	for n := range out {
		row := w[n*len(x):][:len(x)]
		var s int32
		for i, v := range row {
			s += int32(v) * int32(x[i])
		}
		out[n] = s
	}
	return out
}

func nRequant(acc []int32, k int) []int8 {
	out := make([]int8, len(acc))
	for i, v := range acc {
		out[i] = int8(nClamp(nRsh(int64(v), nSh(k)), 127))
	}
	return out
}

func nWeight(below int64) int64 {
	n := below >> 4
	if n > 4095 {
		n = 4095
	}
	return int64(exp2[n&255]) >> (n >> 8)
}

func nFmix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

func nDigest(c Class, tag string, h *[Tokens][]int32) [32]byte {
	msg := append([]byte(tag), c.ID)
	for t := range Tokens {
		for col := range c.D / 64 {
			var w uint32
			for j := range 64 {
				w += nFmix(uint32(h[t][64*col+j]) + uint32(t*c.D+64*col+j)*0x9E3779B9)
			}
			msg = binary.LittleEndian.AppendUint32(msg, w)
		}
	}
	return sha256.Sum256(msg)
}

func (n *naive) run(input seed.Seed) naiveResult {
	c := n.m.class
	var h [Tokens][]int32
	for t := range Tokens {
		raw := make([]byte, c.D)
		prf.Fill(raw, &n.m.embed, binary.LittleEndian.Uint64(input[8*t:]), uint64(t*c.D))
		h[t] = make([]int32, c.D)
		for i, b := range raw {
			if b != 0x80 {
				h[t][i] = int32(int8(b)) << 8
			}
		}
	}
	if n.embed != nil {
		n.embed(&h)
	}
	var out naiveResult
	for l := range c.Layers {
		if l == c.Layers-1 {
			out.Middle = nDigest(c, "assay/1/xf/middle", &h)
		}
		n.layer(l, &h)
		if n.stream != nil {
			for t := range Tokens {
				n.stream(l, h[t])
			}
		}
	}
	out.Digest = nDigest(c, "assay/1/xf/digest", &h)
	for _, v := range h[Tokens-1] {
		out.Norm += uint64(int64(v) * int64(v))
	}
	out.last = h[Tokens-1]
	return out
}

// product multiplies position t's input x by a matrix, through the hooks.
func (n *naive) product(l, id, t int, x []int8) []int32 {
	if n.input != nil {
		x = n.input(l, id, t, x)
	}
	return nMatVec(n.m.layers[l][id], x)
}

func (n *naive) note(tensor string, l int, v []int8) {
	if n.observe != nil {
		n.observe(tensor, l, v)
	}
}

func (n *naive) layer(l int, h *[Tokens][]int32) {
	c := n.m.class
	var q, k, v [Tokens][]int8
	for t := range Tokens {
		x := nNorm(h[t])
		n.note("x", l, x)
		q[t] = nRequant(n.product(l, Query, t, x), c.D)
		k[t] = nRequant(n.product(l, Key, t, x), c.D)
		v[t] = nRequant(n.product(l, Value, t, x), c.D)
		n.note("q", l, q[t])
		n.note("k", l, k[t])
		n.note("v", l, v[t])
	}
	if n.query != nil {
		n.query(l, &q)
	}
	for t := range Tokens {
		if n.frozen != nil && n.frozen(l, t) {
			continue
		}
		o := n.attend(l, t, q[t], &k, &v)
		n.note("o", l, o)
		n.add(h[t], n.product(l, Out, t, o), c.D)
		x := nNorm(h[t])
		n.note("x", l, x)
		g := nRequant(n.product(l, Gating, t, x), c.D)
		u := nRequant(n.product(l, Up, t, x), c.D)
		n.note("g", l, g)
		n.note("u", l, u)
		zshift := 7
		if bits.TrailingZeros(uint(c.D))%2 == 1 {
			zshift = 6
		}
		z := make([]int8, c.FF)
		for i := range z {
			a := int64(g[i])
			if 4*a > a {
				a *= 4
			}
			z[i] = int8(nClamp(nRsh(a*int64(u[i]), zshift), 127))
		}
		if n.hidden != nil {
			n.hidden(l, z)
		}
		n.note("z", l, z)
		n.add(h[t], n.product(l, Down, t, z), c.FF)
	}
}

func (n *naive) add(h []int32, acc []int32, k int) {
	for i, v := range acc {
		h[i] = int32(nClamp(int64(h[i])+nRsh(int64(v), nSh(k)-9), 1<<23-1))
	}
}

// attend returns row i of the attention output.
func (n *naive) attend(l, i int, q []int8, k, v *[Tokens][]int8) []int8 {
	o := make([]int8, len(q))
	for head := 0; head < len(q); head += 64 {
		var lg []int32
		var who []int
		for j := 0; j <= i; j++ {
			if n.see != nil && !n.see(l, i, j) {
				continue
			}
			var dot int32
			for c := head; c < head+64; c++ {
				dot += int32(q[c]) * int32(k[j][c])
			}
			lg, who = append(lg, dot), append(who, j)
		}
		if n.logits != nil {
			n.logits(l, i, lg)
		}
		m := int64(0)
		for _, y := range lg {
			m = max(m, int64(y))
		}
		sum := nWeight(m)
		for _, y := range lg {
			sum += nWeight(m - int64(y))
		}
		inv, b := nRecip(uint64(sum))
		for c := head; c < head+64; c++ {
			acc := int64(0)
			for at, j := range who {
				acc += nWeight(m-int64(lg[at])) * int64(v[j][c])
			}
			o[c] = int8(nClamp(nRsh(acc*inv, 30+b), 127))
		}
	}
	return o
}
