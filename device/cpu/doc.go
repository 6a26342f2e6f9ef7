// SPDX-License-Identifier: Apache-2.0

// Package cpu is the engine for processors: the reference's bytes at close to
// the speed of the multipliers, on all cores, in Go and Go assembly.
//
// All work is one kind of product: int8 by int8, exact in int32. AVX2 has no
// exact instruction for full-range bytes (the obvious one saturates), so both
// factors are widened to int16 and multiplied in pairs. Everything else is
// there to keep that loop fed and to stay out of its way:
//
//	matmul/1       prf -> packed panels -> product -> condense -> SHA-256
//	transformer/1  up to 48 nonces at a time: their 192 positions are the rows
//	               of A, the epoch's weights, packed once, are B
//
// Panels are the order in which the product reads: A six rows at a time, B
// sixteen columns, both by pairs along the depth. The prf expands eight streams
// side by side, which is that order already, so matrices are never transposed.
// Of four neighbouring bytes 0 and 2 make a pair, and 1 and 3: any pairing that
// both factors share gives the same sum, and this one is two shifts.
//
// New picks the engine: this one where the processor has AVX2 and a self-test
// finds it right, else the reference. Sums uses the SHA extensions to hash two
// messages at a time.
package cpu
