// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/quad"
	"github.com/assaynet/assay/poc/work/transformer"
)

// short is the epoch's model without its last layer: the honest steps, one fewer time.
type short struct {
	class  transformer.Class
	embed  prf.Key
	layers [][7][]int8
}

func shorten(class transformer.Class, seed1 seed.Seed) *short {
	s := &short{class: class, embed: prf.Key(seed.Embed(seed1, class.Name))}
	key := prf.Key(seed.Weights(seed1, class.Name))
	s.layers = make([][7][]int8, class.Layers-1)
	for l := range s.layers {
		for id := range s.layers[l] {
			rows, cols := class.Matrix(id)
			s.layers[l][id] = make([]int8, rows*cols)
			transformer.Weights(s.layers[l][id], &key, l, id, 0)
		}
	}
	return s
}

func (s *short) unit(input seed.Seed) (out transformer.Output) {
	const t = transformer.Tokens
	c := s.class
	h := make([]int32, t*c.D)
	x, o := make([]int8, t*c.D), make([]int8, t*c.D)
	q, k, v := make([]int8, t*c.D), make([]int8, t*c.D), make([]int8, t*c.D)
	g, u := make([]int8, t*c.FF), make([]int8, t*c.FF)
	words := make([]uint32, c.Words())
	transformer.Embed(h, &s.embed, input)
	for _, w := range s.layers {
		transformer.Norm(x, h)
		transformer.Requant(q, product(w[transformer.Query], x, c.D, c.D), c.D)
		transformer.Requant(k, product(w[transformer.Key], x, c.D, c.D), c.D)
		transformer.Requant(v, product(w[transformer.Value], x, c.D, c.D), c.D)
		transformer.Attend(o, q, k, v)
		transformer.Residual(h, product(w[transformer.Out], o, c.D, c.D), c.D)
		transformer.Norm(x, h)
		transformer.Requant(g, product(w[transformer.Gating], x, c.FF, c.D), c.D)
		transformer.Requant(u, product(w[transformer.Up], x, c.FF, c.D), c.D)
		c.Gate(g, g, u)
		transformer.Residual(h, product(w[transformer.Down], g, c.D, c.FF), c.FF)
	}
	transformer.Condense(words, h)
	// nobody asks a cheat for its middle state; what it would be shows in tests that only a layer
	// is missing
	out.Digest, out.Middle, out.Norm = c.Digest(words), c.MiddleDigest(words),
		transformer.SquaredNorm(h)
	return out
}

// product multiplies four positions of x (4 x k) by w (n x k), giving 4 x n.
func product(w, x []int8, n, k int) []int32 {
	packed := make([]int64, 2*k)
	quad.Pack(packed, x[:k], x[k:2*k], x[2*k:3*k], x[3*k:4*k])
	acc := make([]int32, transformer.Tokens*n)
	for i := range n {
		acc[i], acc[n+i], acc[2*n+i], acc[3*n+i] = quad.Dot(w[i*k:(i+1)*k], packed)
	}
	return acc
}
