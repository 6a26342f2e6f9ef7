// SPDX-License-Identifier: Apache-2.0

package registry

import "cosmossdk.io/collections"

// Name is the name of the module and of its store.
const Name = "registry"

var (
	// paramsPrefix holds the parameters in force, pendingPrefix those of the next epoch.
	paramsPrefix  = collections.NewPrefix(0)
	pendingPrefix = collections.NewPrefix(1)
	// participantsPrefix holds each participant's record without its machines, by
	// bech32 address; nodesPrefix holds the machines by the same key. Marks are set
	// several times an epoch, lists of machines are long and change rarely.
	participantsPrefix = collections.NewPrefix(2)
	nodesPrefix        = collections.NewPrefix(3)
	// consensusPrefix leads from a consensus address (20 bytes) to the participant.
	consensusPrefix = collections.NewPrefix(4)
	// keysPrefix holds every key in use, 32 bytes, with its owner: "<address> <role>".
	keysPrefix = collections.NewPrefix(5)
	// reviewsPrefix lists the participants by review_epoch, so that what has to be
	// checked at an epoch's begin is found without walking the rest.
	reviewsPrefix = collections.NewPrefix(6)
)
