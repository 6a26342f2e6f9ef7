// SPDX-License-Identifier: Apache-2.0

// Package app puts the chain together: the SDK's own modules (auth, bank, authz,
// feegrant, gov, upgrade, consensus) and ours (beacon, registry, credit, sprint).
// There is no staking: voting power is verified compute, and x/credit is the
// only module that returns validator updates.
//
// A block, in the order in which things happen to it:
//
//	PrepareProposal   the proposer puts its beacon proof first, then what is owed,
//	                  then what pays (proposal.go, fill.go, mempool.go)
//	ProcessProposal   every validator checks the proof, runs each transaction's
//	                  ante handler and holds the block to its limits
//	PreBlock          upgrade; then the proof's output goes into x/beacon
//	BeginBlock        x/credit looks at evidence of double signing
//	transactions      the first one is the proof and does nothing any longer
//	EndBlock          bank, gov, feegrant, x/sprint moves the epoch, x/credit
//	                  last, with the validator updates
//
// The protocol lane (lane.go) is for what the state says its sender still owes: a
// duty of the table in api/sprint/v1, in its window, of the size that is expected,
// sent by the participant or by a hot key that it granted the message to. Such a
// transaction pays no fee. Two attempts at each duty are free and the state counts
// them, in a decided block and before the messages run, so that failing uses them
// up, too; later ones pay. Everything else pays, in every block.
//
// A block (fill.go) takes one transaction of each participant with weight in turn,
// then of each newcomer, up to the lane's share; then payments by price. Equals
// are put in an order that each block draws again. A full pool (mempool.go) lets its
// least urgent transaction go for a more urgent one: duties of those with weight
// come before payments, and these before duties of those without.
//
// Governance votes weigh compute: the least weight a voter had over the last
// epochs (tally.go). What a vote may do is a list of messages with bounds
// (gov.go, gov_bounds.go), held at submission and at execution, so that no vote
// stops the chain or puts itself beyond the next one. The bounds that differ
// between networks are the genesis's constitution (constitution.go). Upgrades are
// a table of each release (upgrade.go).
//
// A node has keys of its own beside its state: with a consensus key and a VRF
// key it proposes, without them it follows (identity.go). It proves them, for
// one participant that its configuration names, on its gRPC server (local.go).
package app
