// SPDX-License-Identifier: Apache-2.0

// Package poc is the root of the primitive that the whole network stands on,
// and of a verifier library that knows nothing of the network:
//
//	deterministic work  ->  commitment  ->  random audit  ->  credit
//
// It holds no code. From the bottom up:
//
//	seed               every seed by name: what follows from which randomness
//	signed             bytes that are signed, of which no two messages share any
//	prf                bytes from a seed, at any offset, on any device
//	work/condense      64 exact results to one word, before hashing
//	work/quad          exact int8 dot products in plain Go
//	work/transformer   transformer/1: what Sprints compute
//	work/matmul        matmul/1: what loops and matrix tasks compute
//	work               Engine: the line behind which devices compute
//	commit             leaves, logs, proofs, signed statements
//	audit              what is looked at, and what a look proves
//	credit             verdicts to weight, weight to voting power
//	proof              evidence files that anyone can check offline
//	delivery           leaves between a machine and its host: signatures, receipts
//	mpoc               loops between a machine and its host: terms, receipts
//
// Everything here is a pure function of its arguments, in integers. There are
// no files, no network, no clock, no randomness of its own, no goroutines, no
// floating point and nothing outside the standard library; a test next to this
// file holds it to that. So it may run inside consensus, in a worker, or in
// the program of somebody who trusts neither. Values that another language
// must reproduce are published under test/vectors.
package poc
