// SPDX-License-Identifier: Apache-2.0

// Package transformer is transformer/1, the work of a Sprint: an integer-only
// transformer whose result is the same to the bit on every device.
//
// One unit takes a nonce to an Output. The nonce, the node and the segment
// make an input seed; its four 64-bit tokens are expanded into embeddings; the
// layers (attention with a sink, then a gated hidden layer) run over the four
// positions; the final vectors are hashed. What is published is the squared
// norm of the last vector and a digest over all four. The norm is for people,
// it can be guessed; the digest binds. Both are compared.
//
//	h = embed(tokens)
//	per layer:  x = norm(h);  q,k,v = Wx;  h += Wo attention(q,k,v)
//	            x = norm(h);  g,u = Wx;    h += Wd gate(g,u)
//	digest = SHA-256(condense(h)),  norm = |h[3]|^2
//
// Everything is exact: products of int8 summed in int32, rescaled by shifts
// alone; two small normalisers use one integer reciprocal; the only table has
// 256 entries. There is no tolerance, so any device may order its sums as it
// likes and every shortcut shows: the tests leave out layers, heads, tokens
// and small values and find no digest unchanged.
//
// Weights come from Sprint_Seed_1 by prf, the same for everyone in an epoch,
// and rows are streams of their own, so one output needs one row. Tokens come
// from a 64-bit space, so there is no vocabulary and no prefix to cache.
//
// Output.Middle is the digest of the state before the last layer. It is never
// published by who works, so a checker that shows it (see seed.Middle) has run
// the unit.
//
// The steps are spec W-9 to W-17. ReferenceModel is the definition. Engines for devices implement
// Model and are held against it; the specification's steps are exported one by one for them. The
// prf streams are the same on all: Weights, Embed.
package transformer
