// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
)

// This file is the specification's steps other than the products, one function
// each, exported so that an engine can use them or be compared step by step.

// bytesToInt8 is the weight map: byte b is int8(b), and -128 becomes 0, which
// keeps the mean at 0.
func bytesToInt8(dst []int8, src []byte) {
	dst = dst[:len(src)]
	for i, b := range src {
		v := int8(b)
		if v == -128 {
			v = 0
		}
		dst[i] = v
	}
}

// Weights expands len(dst) weights of a layer's matrix (Query to Down) from
// element offset on, row-major; key is seed.Weights. Rows start on prf blocks.
func Weights(dst []int8, key *prf.Key, layer, matrix int, offset uint64) {
	var buf [4096]byte
	for len(dst) > 0 {
		chunk := buf[:min(len(buf), len(dst))]
		prf.Fill(chunk, key, uint64(layer)*8+uint64(matrix), offset)
		bytesToInt8(dst, chunk)
		dst = dst[len(chunk):]
		offset += uint64(len(chunk))
	}
}

// Embed writes the four embeddings of an input to h (4 x d, row-major) in the
// residual stream's scale; key is seed.Embed, input is seed.Input. Token t is
// the input's t-th little-endian u64 and names a prf stream, in which position
// t starts at byte t*d: the offset is the positional code.
func Embed(h []int32, key *prf.Key, input seed.Seed) {
	d := len(h) / Tokens
	var buf [512]byte
	var val [512]int8
	for t := range Tokens {
		token := binary.LittleEndian.Uint64(input[8*t:])
		for at := 0; at < d; at += len(buf) {
			n := min(len(buf), d-at)
			prf.Fill(buf[:n], key, token, uint64(t*d+at))
			bytesToInt8(val[:], buf[:n])
			for i, v := range val[:n] {
				h[t*d+at+i] = int32(v) << 8
			}
		}
	}
}

// clamp limits x to [-c, c].
func clamp(x, c int32) int32 { return min(max(x, -c), c) }

// rsh is a rounding arithmetic shift, s >= 1.
func rsh(x int32, s uint) int32 { return (x + 1<<(s-1)) >> s }

// recip approximates 1/r by inv / 2^(30+e), for r >= 1.
func recip(r uint32) (inv int64, e uint) {
	e = uint(bits.Len32(r))
	return int64(min(uint64(1)<<(30+e)/uint64(r), 1<<31-1)), e
}

// rq scales x by inv/2^s, rounding, into int8.
func rq(x int32, inv int64, s uint) int8 {
	v := (int64(x)*inv + 1<<(s-1)) >> s
	return int8(min(max(v, -127), 127))
}

// isqrt is the floor of the square root.
func isqrt(x uint64) uint32 {
	var root uint64
	for bit := uint64(1) << 62; bit != 0; bit >>= 2 {
		if x >= root+bit {
			x -= root + bit
			root = root>>1 + bit
		} else {
			root >>= 1
		}
	}
	return uint32(root)
}

// Norm writes 32*h/rms(h) of each of the four rows of h (4 x d) to x.
func Norm(x []int8, h []int32) {
	d := len(h) / Tokens
	log2d := uint(bits.TrailingZeros(uint(d)))
	for t := range Tokens {
		row := h[t*d : (t+1)*d]
		out := x[t*d : (t+1)*d]
		var ss uint64 // at most 2^60: |h| < 2^23, d <= 2^14
		for _, v := range row {
			ss += uint64(int64(v) * int64(v))
		}
		inv, e := recip(max(1, isqrt(ss>>log2d<<16)))
		for i, v := range row {
			out[i] = rq(v, inv, 17+e)
		}
	}
}

// Requant turns the int32 results of a product over k inputs into int8.
func Requant(dst []int8, acc []int32, k int) {
	s := Shift(k)
	dst = dst[:len(acc)]
	for i, v := range acc {
		dst[i] = int8(clamp(rsh(v, s), 127))
	}
}

// Residual adds the int32 results of a product over k inputs to the stream h.
func Residual(h, acc []int32, k int) {
	s := Shift(k) - ResidualScale
	h = h[:len(acc)]
	for i, v := range acc {
		h[i] = clamp(h[i]+rsh(v, s), MaxResidual)
	}
}

// Attend computes causal attention over four positions with a sink: every row
// also sees a key of logit 0 whose value is 0. q, k, v and o are 4 x d.
func Attend(o, q, k, v []int8) {
	d := len(q) / Tokens
	for head := 0; head < d; head += HeadDim {
		for i := range Tokens {
			qi := q[i*d+head:][:HeadDim]
			var e [Tokens]int32
			m := int32(0)
			for j := range i + 1 {
				kj := k[j*d+head:][:HeadDim]
				var dot int32
				for c, a := range qi {
					dot += int32(a) * int32(kj[c])
				}
				e[j] = dot
				m = max(m, dot)
			}
			sum := uint32(expWeight(m))
			for j := range i + 1 {
				w := expWeight(m - e[j])
				e[j] = int32(w)
				sum += uint32(w)
			}
			inv, b := recip(sum)
			oi := o[i*d+head:][:HeadDim]
			var acc [HeadDim]int32
			for j := range i + 1 {
				vj := v[j*d+head:][:HeadDim]
				w := e[j]
				for c := range acc {
					acc[c] += w * int32(vj[c])
				}
			}
			for c := range oi {
				oi[c] = rq(acc[c], inv, 30+b)
			}
		}
	}
}

// expWeight is 65535 * 2^(-below/4096) from the table, for below >= 0.
func expWeight(below int32) uint16 {
	n := min(below>>4, 4095)
	return exp2[n&255] >> (n >> 8)
}

// Gate writes the hidden activations max(g, 4g)*u, requantised, to z. All are
// 4 x 4d. z may be g.
func (c Class) Gate(z, g, u []int8) {
	s := c.GateShift()
	u, z = u[:len(g)], z[:len(g)]
	for i, v := range g {
		a := int32(v)
		z[i] = int8(clamp(rsh(max(a, 4*a)*int32(u[i]), s), 127))
	}
}

// Condense turns the four vectors h (4 x d) into Words words, in t-major order.
func Condense(words []uint32, h []int32) {
	for i := range words {
		words[i] = condense.Word((*[condense.Width]int32)(h[i*condense.Width:]),
			uint32(i*condense.Width))
	}
}

// Digest is the digest of the final vectors, given their words:
// SHA-256("assay/1/xf/digest" || class id || words as LE32).
func (c Class) Digest(words []uint32) [32]byte { return c.digest("assay/1/xf/digest", words) }

// MiddleDigest is the same over the words of the residual stream before the
// last layer, with the tag "assay/1/xf/middle".
func (c Class) MiddleDigest(words []uint32) [32]byte { return c.digest("assay/1/xf/middle", words) }

func (c Class) digest(tag string, words []uint32) [32]byte {
	h := sha256.New()
	buf := make([]byte, 0, len(tag)+1+4*len(words))
	buf = append(append(buf, tag...), c.ID)
	for _, w := range words {
		buf = binary.LittleEndian.AppendUint32(buf, w)
	}
	h.Write(buf)
	return [32]byte(h.Sum(nil))
}

// SquaredNorm is the squared L2 norm of the last of the four vectors h (4 x d),
// at most d * 2^46.
func SquaredNorm(h []int32) uint64 {
	var n uint64
	for _, v := range h[len(h)/Tokens*(Tokens-1):] {
		n += uint64(int64(v) * int64(v))
	}
	return n
}
