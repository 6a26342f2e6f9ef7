// SPDX-License-Identifier: Apache-2.0

package registry

import "cosmossdk.io/collections"

// Name is the name of the module and of its store.
const Name = "registry"

var (
	// prefixParams holds the parameters in force, prefixPending those of the next epoch.
	prefixParams  = collections.NewPrefix(0)
	prefixPending = collections.NewPrefix(1)
	// prefixParticipants holds each participant's record without its machines, by
	// bech32 address; prefixNodes holds the machines by the same key. Marks are set
	// several times an epoch, lists of machines are long and change rarely.
	prefixParticipants = collections.NewPrefix(2)
	prefixNodes        = collections.NewPrefix(3)
	// prefixConsensus leads from a consensus address (20 bytes) to the participant that registered
	// the key first. An entry stays for ever: no such key is ever registered again.
	prefixConsensus = collections.NewPrefix(4)
	// prefixKeys holds every key in use, 32 bytes, with its owner: "<address> <role>".
	prefixKeys = collections.NewPrefix(5)
	// prefixReviews lists the participants by review_epoch, so that what has to be
	// checked at an epoch's begin is found without walking the rest.
	prefixReviews = collections.NewPrefix(6)
	// prefixRotations lists the participants with an open rotation by the epoch it is due in.
	prefixRotations = collections.NewPrefix(7)
)
