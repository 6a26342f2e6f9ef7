// SPDX-License-Identifier: Apache-2.0

// Package registry knows who takes part.
//
// A participant is an account with three keys and a list of machines: the
// consensus key of its validator, the VRF key with which that validator feeds
// the beacon, the host key that signs commit statements and is pinned by its
// workers, and one device key per node. MsgRegister brings them all, each with
// a proof that its owner holds the private half: a signature (or VRF proof)
// over seed.Possession, which names the chain, the role and the participant, so
// that nobody can register a key that is not theirs or replay a proof of
// somebody else. Keys are unique over all participants and all roles: a key
// that signs in two roles could have a signature of one used in the other, and
// two participants with one consensus key would share one validator.
//
// Every key has to be a canonical point of the prime-order group (vrf.ValidKey).
// Signatures are checked with crypto/ed25519, which wants canonical scalars and
// no cofactor; with such keys there is one answer for any implementation.
//
// Being registered gives nothing: power comes from x/credit, and only after the
// consensus key was seen alive. That is shown by heartbeats. A node signs one
// over the beacon value of a block it has just committed (Local, served by the
// node itself, not by the chain); x/sprint checks it with VerifyHeartbeat.
//
// A name costs a deposit (x/collateral) for as long as its record is kept, or
// names would be free and a jail would mean nothing. The record ends in two ways:
// its owner leaves (MsgLeave), or it lapses, having been in no roster for
// lapse_epochs. Either way it stays until nothing can name it any longer: no epoch
// whose evidence is kept, no evidence of a double sign that CometBFT would still
// take, no jail that has not ended. So a consensus address that signed evidence
// always leads to its owner. Then deposit and other keys are free again. Lapse does all
// of this at an epoch's begin, for the few records whose review has come due; an
// idle participant costs nobody anything, however many there are.
//
// Keys can be replaced (MsgRotateKeys) with the begin of the epoch after the next one (Rotate): a
// VRF key has then been registered for a whole epoch, and x/credit hands the validator's seat to a
// new consensus key after an epoch in which its heartbeats were seen. Consensus addresses are never
// forgotten: each leads to its participant while that has a record, for evidence of whatever age
// CometBFT takes, and no such key is ever registered again, since one that signed may be known to
// others or sign two blocks of a height.
//
// Some marks belong to a participant because they outlive an epoch: its jail, its
// silence, when it was last credited, the lottery. Other modules set them (Mark);
// nothing here decides about them. The list of machines changes at any time and
// counts from the next epoch on: the record keeps the list before the change, so
// that an epoch's list is frozen without being copied (NodesAt).
//
// Hostile parts. Somebody who reads a MsgRegister before it is in a block can
// copy no part of it, since every proof names the participant. Anyone who reaches
// a node's Local service gets proofs for the one participant that the node's
// configuration names, and for nobody else. Somebody with many deposits has many
// names, pays for each, and delays the end of other idle records at most.
package registry
