// SPDX-License-Identifier: Apache-2.0

// Package credit turns verified compute into voting power.
//
// The Sprint ends an epoch by handing over, for each participant, the operations that were verified
// (Finalise). Credit keeps that as the participant's weight, derives voting power under the rails of
// poc/credit, and gives CometBFT the changes at the end of the block. Three things make it safe to let
// compute rule the chain:
//
//   - the cap: nobody holds more than max(25 %, 1/n + 5 points) of the power;
//   - the move limit: at most a third of the power moves in one epoch, so those who were honest yesterday
//     still hold two thirds while today's claims settle;
//   - cuts are not moves: a double sign or proven fraud takes the whole power in the block that proves it (Cut).
//
// The set is never empty: whatever would remove the last validator leaves the set as it is. Validators that
// join in one epoch enter one per block in an order that the beacon draws, because CometBFT lets those who
// join together propose in one run, and the beacon rule counts on distinct proposers.
//
// Consensus keys stay in the index after their power is gone, so that late evidence still finds its owner.
package credit
