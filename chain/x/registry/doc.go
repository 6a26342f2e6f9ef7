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
// Two marks belong to a participant because they outlive an epoch: JailedUntil,
// the first epoch in which it may vote and be credited again, and SilentEpochs.
// Other modules set them; nothing here decides about them. Participants are
// never removed, so a consensus address that signed evidence is always known.
//
// Hostile parts. Somebody who reads a MsgRegister before it is in a block can
// copy no part of it, since every proof names the participant. Whoever reaches
// a node's Local service gets proofs for the one participant that the node's
// configuration names, and for nobody else.
package registry
