// SPDX-License-Identifier: Apache-2.0

// Package credit turns verified compute into voting power and pay.
//
// The Sprint ends an epoch by handing over, for each participant, the operations that were verified
// (Finalise). Credit keeps that as the participant's weight, derives voting power under the rails
// of poc/credit, and gives CometBFT the changes at the end of the block. Five things make it safe
// to let compute rule the chain:
//
//   - the level: nobody gets more than lambda (6/5) of its share of the weight, nor more than a
//     quarter of the power where lambda leaves that room;
//   - the move limit: at most move_bps of the power moves in one epoch, so those who were honest
//     yesterday still hold most of it while today's claims settle;
//   - joining: newcomers enter the validator set one per block in an order that the beacon draws,
//     because CometBFT lets those who join together propose in one run and the beacon rule counts
//     on distinct proposers. Until they enter, the power they will get stays with those who lose it
//     (advance), so every set on the way obeys the rails, not just the last one;
//   - cuts are not moves: a double sign or proven fraud takes the whole power in the block that
//     proves it (Cut);
//   - power is kept by a key that signs: one that signs no block for long is out of the set until
//     the next settlement (BeginBlock), so that the chain stands another fault.
//
// A void epoch pays nothing and moves no power (Void). Weight that it did not show is halved, so
// that nobody keeps weight by staying away, and the tally history records 0, so that it cannot vote
// with it either. Until two thirds of the weight before the outage are back, the move limit shrinks
// with what is live: an outage of the honest hands nothing to those who stayed.
//
// A participant that rotates its consensus key keeps its seat: a settlement with the new key, which
// its heartbeats have shown alive, has it take the seat over in one block, in the newcomers' order.
//
// The set is never empty: whatever would remove the last validator leaves the set as it is.
//
// A finalised epoch also mints what its blocks earned, and shares it out by weight with the fees.
// Pay stays owed for lock_epochs, so that fraud that is proven late still costs it, and then leaves
// by itself, a bounded number of payments a block. All coins are the bank's: the module's account
// holds what is owed and what is kept for tasks, to the unit (Audit). Settlement and payments run
// on a copy of the state, so one that fails is as if it had not begun, and no block fails with it.
//
// State: a Holding per participant that weighs something or did lately, a Seat per consensus key
// that has power, is about to or lost it by its absence, an Owed per unpaid epoch of a
// participant, and their totals. Every block reads the seats, the absences of those who missed the
// last commit, the totals and the payments that are due.
//
// Hostile parts. A proposer may leave others' signatures out of the commit that it proposes; one
// other proposer in offline_blocks blocks undoes that. A key that votes nil at all times keeps its
// power: it is no worse than a validator that votes for a block once in offline_blocks.
package credit
