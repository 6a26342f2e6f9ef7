// SPDX-License-Identifier: Apache-2.0

// Package beacon is the chain's randomness.
//
// Every block carries one VRF proof of its proposer over the beacon value
// before it. The proof is the block's first transaction: an ordinary, unsigned
// transaction with one MsgPublish, put there by PrepareProposal (Keeper.Prove)
// and checked by every validator before it votes (Keeper.Verify). When the
// block is decided, Keeper.Publish checks it again, because a node that catches
// up never sees proposals, and stores the block's Output:
//
//	alpha = seed.BeaconAlpha(chain, height, previous value)
//	beta  = VRF(proposer's registered key, alpha)
//	value = seed.BeaconValue(chain, height, previous value, beta, proposer)
//
// A proposer has exactly one valid beta, so it cannot try out values; it can
// only not propose, which costs it the slot and gives it one bit. That is why
// nobody reads a single value. What draws samples, committees and seeds is the
// mix of the beacon rule (Resolve): all values from the block after a deadline
// on, taken at the first height at which at least two blocks have passed and
// the distinct proposers since the deadline held more than 1/3 of the power.
// Proposer order is deterministic and identities that join together propose in
// one run; the second condition makes such a run wait for an outsider as long
// as the run's owner holds at most 1/3.
//
// Hostile parts. A client: cannot submit a proof, the ante handler refuses
// MsgPublish everywhere but at position 0 of a decided block. A proposer: any
// transaction at position 0 that is not byte for byte the one its key gives is
// rejected, and so is its block. More than 2/3 of the power: can decide a block
// without a valid proof; every honest node then stops rather than go on.
//
// The last Keep outputs stay in state; pruning removes at most two per block.
package beacon
