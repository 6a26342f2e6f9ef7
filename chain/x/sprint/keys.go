// SPDX-License-Identifier: Apache-2.0

package sprint

import "cosmossdk.io/collections"

// Name is the module's name and store key.
const Name = "sprint"

var (
	// parameters voted, in force from the second epoch after that on
	prefixParams   = collections.NewPrefix(0)
	prefixFrozen   = collections.NewPrefix(1) // parameters of the next epoch
	prefixCurrent  = collections.NewPrefix(2) // number of the epoch that runs
	prefixEpochs   = collections.NewPrefix(3) // number -> record
	prefixMembers  = collections.NewPrefix(4) // (epoch, participant) -> member
	prefixCommits  = collections.NewPrefix(5) // (epoch, participant, node, segment) -> commit
	prefixOpenings = collections.NewPrefix(6) // (epoch, participant) -> what it opened
	prefixVerdicts = collections.NewPrefix(7) // (epoch, voter) -> its part in the validation
	// (epoch, participant) -> what the epoch meant for it
	prefixOutcomes = collections.NewPrefix(9)
	prefixProgress = collections.NewPrefix(10) // counts of the epoch that runs
	// sprintv1.ArchivePrefix: epoch -> what stays of it for ever; named in api, because files prove
	// it
	prefixAttempts = collections.NewPrefix(20) // (epoch, participant, duty) -> free attempts used
	// what an epoch keeps of judging the streams of the epoch before it: (epoch, participant) ->
	prefixStreams        = collections.NewPrefix(21) // claim
	prefixStreamOpenings = collections.NewPrefix(22)
	prefixStreamVerdicts = collections.NewPrefix(23)
	prefixStreamOutcomes = collections.NewPrefix(24)
)
