// SPDX-License-Identifier: Apache-2.0

package beacon

import "cosmossdk.io/collections"

// Name is the name of the module and of its store.
const Name = "beacon"

var (
	prefixOrigin  = collections.NewPrefix(0) // the value before the first block
	prefixOutputs = collections.NewPrefix(1) // height -> output
)
