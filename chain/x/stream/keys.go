// SPDX-License-Identifier: Apache-2.0

package stream

import "cosmossdk.io/collections"

// Name is the module's name and store key.
const Name = "stream"

var (
	prefixParams    = collections.NewPrefix(0) // parameters in force
	prefixPending   = collections.NewPrefix(1) // parameters voted, in force from the next epoch on
	prefixTerms     = collections.NewPrefix(2) // epoch -> parameters of its stream
	prefixNodes     = collections.NewPrefix(3) // (epoch, participant, node) -> how far it is
	prefixCommits   = collections.NewPrefix(4) // (epoch, participant, node, number) -> commit
	prefixSummaries = collections.NewPrefix(5) // (epoch, participant) -> summary
)
