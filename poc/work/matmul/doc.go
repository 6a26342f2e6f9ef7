// SPDX-License-Identifier: Apache-2.0

// Package matmul is matmul/1, exact integer matrix products whose audit costs
// one tile.
//
// A unit multiplies two matrices of full-range int8 that follow from the
// challenge: A by rows and B by columns, each row and column a prf stream of
// its own, so that any part of the product can be made from nothing but the
// parts of A and B that it needs. C = A*B is exact in int32.
//
//	challenge, unit --prf--> A (M x K), B (K x Q)
//	C = A*B, cut in tiles of 64 x 64
//	tile digest = SHA-256 over its 64 condensed rows
//	unit digest = RFC 6962 root over tile digests
//
// Hashing all of C would cost a GPU as much as the product, so rows of a tile
// are condensed first (package condense). An audit opens a tile under the
// unit's digest and recomputes it: 4096*K multiply-adds, a few milliseconds in
// this portable form, while the unit was M*K*Q. Audits draw (unit, tile) over
// all tiles of a log, so where a detection probability speaks of a forged
// share, it is one of tiles.
//
// The rules are spec W-18, W-19, W-20. Full-range int8 keeps out Strassen's trick on int8 hardware;
// on int16 paths a level of it is legitimate, as credit is for nominal operations.
package matmul
