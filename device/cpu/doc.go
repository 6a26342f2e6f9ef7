// SPDX-License-Identifier: Apache-2.0

// Package cpu is the engine for processors: the reference's bytes at close to
// the speed of the multipliers, on all cores, in Go and Go assembly.
//
// All work is one kind of product: int8 by int8, exact in int32. Everything else
// is there to keep that loop fed and to stay out of its way:
//
//	matmul/1       prf -> packed panels -> product -> condense -> SHA-256
//	transformer/1  up to 48 nonces at a time: their 192 positions are the rows
//	               of A, the epoch's weights, packed once, are B
//
// What differs between processors is in a set: the sizes of a register tile, how
// elements are packed and the loops. Blocks, threads and batches are the same.
//
//	cpu/avx512vnni  bytes by fours; one factor unsigned, which sums start from
//	                a correction for
//	cpu/avx2        has no exact product of full-range bytes (the obvious one
//	                saturates): both factors widened to int16, by pairs
//	cpu/neon-dotprod
//	                arm64: bytes by fours, both signed, as they are
//
// Panels are the order in which the product reads: a few rows of A at a time and
// one or two registers of columns of B, both by words of four bytes along the
// depth. The prf expands as many streams side by side as a register holds, which
// is that order already, so matrices are never transposed. B of a block is
// expanded first, by all cores; of A a strip of 192 rows just before it is used.
//
// New picks the engine: the first in Engines that a self-test finds right, else
// the reference. Sums uses the SHA instructions to hash two messages at a time.
//
// Each test runs for each engine that the processor has; together they compare
// more than 10,000 random products an engine, and thousands of random steps and
// hundreds of random units, with the definitions in poc. Seeds are fresh each
// time and printed, so -count=10 is ten times as many. The benchmarks say what
// share of the peak a whole loop reaches and where the rest goes. arm64 has been
// tested under emulation only (make test-arm64), so nothing is known of its speed.
package cpu
