// SPDX-License-Identifier: Apache-2.0

// Package mpoc is Merkle proof of compute: what a machine and the host that
// pays it say to each other, and what either can prove afterwards.
//
//	host                                   device
//	Terms (signed)              ->         computes loops 0, 1, 2, ... of the seed
//	                            <-         Commit: loops, root (signed)
//	Draw: the nonce (signed)    ->         what is checked follows from it
//	                            <-         Proof: openings (signed)
//	Receipt (signed)            ->         countersigned
//
// Loop i is unit i of matmul/1 under the challenge's seed. Its leaf carries the
// challenge, the device's key and i, so a leaf is of use nowhere else, and the
// log of all leaves is an RFC 6962 tree (package commit).
//
// Neither side chooses what is checked. The host's signed terms carry a hash
// of its nonce, so the host cannot wait for the log; the device's signed commit
// carries the root, so the device cannot wait for the nonce. Samples, picks,
// whether the audit is full or light, and every later round all follow from
// challenge, root, loops and nonce (package seed, MPoCDraw). Later rounds need
// no new nonce: the log does not change any longer.
//
//   - Samples are one loop of each of s equal parts of the log, opened down to
//     the unit's digest. Some of them are recomputed whole.
//   - Picks are (loop, tile) pairs, uniform over all tiles of the log. Each is
//     opened down to the tile and recomputed, which costs one tile. They are
//     what the stated detection rests on: samples alone are checked only where
//     they are.
//
// Wrong tiles are met with more rounds until a sequential test (audit.Flaky)
// says what they are. A faulty machine loses the share that its tiles leave
// possible; fraud loses the submission and what is locked. A Receipt about
// either carries the wrong openings, and whoever reads it recomputes them. A
// receipt that rejects without evidence that holds counts as accepted.
//
// The terms hold the rules of the pay too: when it is due, what a proven cheat
// forfeits, how many of them ban the key. A host changes them for what it offers
// next. Two offers of one challenge are evidence, so an open one keeps its rules.
//
// The rules are spec M-1 to M-20. Everything signed has one encoding: a tag and the fields, each
// behind its length. JSON is strict: Parse of a receipt or of evidence accepts what Marshal writes,
// apart from white space.
package mpoc
