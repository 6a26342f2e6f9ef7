// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/assaynet/assay/internal/kept"

// Kept is what a node keeps, below the home that it shares with its host. Its blocks
// and states grow with the chain, as far as pruning in app.toml and the state's own
// pruners let them.
func Kept() []kept.Thing {
	return []kept.Thing{
		{What: "settings of the node", Where: "config/*.toml", Record: 30 << 10, Most: 4,
			Per: "home", Pruner: "rewritten", Damaged: "chain/node.TestFlipsInANode"},
		{What: "the genesis", Where: "config/genesis.json", Record: 1 << 20, Most: 1, Per: "home",
			Pruner: "none: put there once", Sealed: "the sum that a node keeps once it has " +
				"begun, and that localnet keeps", Damaged: "chain/node.TestFlipsInANode"},
		{What: "the key that signs blocks", Where: "config/priv_validator_key.json", Record: 400,
			Most: 1, Per: "home", Pruner: "none: made once", Sealed: "the public key and the " +
				"address beside it", Damaged: "chain/node.TestFlipsInANode"},
		{What: "the key by which peers know the node", Where: "config/node_key.json", Record: 200,
			Most: 1, Per: "home", Pruner: "none: made once", Sealed: "the public key inside it",
			Damaged: "chain/node.TestFlipsInANode"},
		{What: "the VRF key", Where: "config/vrf_key.json", Record: 200, Most: 1, Per: "home",
			Pruner: "none: made once", Sealed: "the public key beside it",
			Damaged: "chain/node.TestFlipsInANode"},
		{What: "the address book", Where: "config/addrbook.json", Record: 1 << 20, Most: 1,
			Per: "home", Pruner: "it forgets old peers", Sealed: "none: peers are learned again",
			Damaged: "chain/node.TestFlipsInANode"},
		{What: "an address book that was damaged", Where: "config/addrbook.json.damaged",
			Record: 1 << 20, Most: 1, Per: "home", Pruner: "the next damaged one takes its place",
			Damaged: "none: for people; nothing reads it"},
		{What: "the participant, for whoever makes a genesis", Where: "participant.json",
			Record: 2 << 10, Most: 1, Per: "home", Pruner: "rewritten",
			Damaged: "chain/node.TestFlipsInANode"},
		{What: "what the validator signed last", Where: "data/priv_validator_state.json",
			Record: 300, Most: 1, Per: "home", Pruner: "rewritten",
			Damaged: "chain/node.TestFlipsInANode"},
		{What: "keys of later rotations", Where: "config/rotation-*/*", Record: 400, Most: 1000,
			Per: "home", Pruner: "none: two files a rotation, at most one in six epochs",
			Sealed: "the public keys beside them", Damaged: "chain/node.TestFlipsInANode"},
		{What: "what keys of later rotations signed last", Where: "data/rotation-*/*",
			Record: 300, Most: 500, Per: "home", Pruner: "rewritten, one file a rotation",
			Damaged: "chain/node.TestFlipsInANode"},
		{What: "blocks, states and their indexes", Where: "data/*.db/*", Record: 10 << 10,
			PerDay: 14_400, Most: 1 << 40, Per: "home", Pruner: "pruning and min-retain-blocks " +
				"in app.toml", Sealed: "checksums of the database; hashes of the chain",
			Damaged: "none: of the databases, the SDK and CometBFT, with checks of their own"},
		{What: "the consensus log", Where: "data/cs.wal/*", Record: 10 << 20, Most: 100,
			Per: "home", Pruner: "rotated at 1 GB", Sealed: "checksum of each record",
			Damaged: "none: of the databases, the SDK and CometBFT, with checks of their own"},
		{What: "snapshots", Where: "data/snapshots/*", Record: 10 << 20, Most: 1000, Per: "home",
			Pruner: "snapshot-keep-recent in app.toml", Damaged: "none: the databases', the " +
				"SDK's and CometBFT's own, with checks of their own"},
		{What: "snapshots, by height", Where: "data/snapshots/*/*", Record: 10 << 20, Most: 1000,
			Per: "home", Pruner: "snapshot-keep-recent in app.toml",
			Damaged: "none: of the databases, the SDK and CometBFT, with checks of their own"},
		{What: "an upgrade that is due", Where: "data/upgrade-info.json", Record: 200, Most: 1,
			Per: "home", Pruner: "rewritten", Damaged: "none: the databases', the SDK's and " +
				"CometBFT's own, with checks of their own"},
	}
}
