// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/assaynet/assay/internal/kept"

// Kept is what a node keeps, below the home that it shares with its host. Its blocks
// and states grow with the chain, as far as pruning in app.toml and the state's own
// pruners let them.
func Kept() []kept.Thing {
	return []kept.Thing{
		{What: "settings of the node", Where: "config/*.toml", Record: 30 << 10, Most: 4, Per: "home", Pruner: "rewritten"},
		{What: "genesis, participant, address book and keys", Where: "config/*.json", Record: 1 << 20, Most: 8, Per: "home", Pruner: "the address book forgets old peers; the rest is made once"},
		{What: "an address book that was damaged", Where: "config/addrbook.json.damaged", Record: 1 << 20, Most: 1, Per: "home", Pruner: "the next damaged one takes its place"},
		{What: "the participant, for whoever makes a genesis", Where: "participant.json", Record: 2 << 10, Most: 1, Per: "home", Pruner: "rewritten"},
		{What: "the VRF key", Where: "config/*.key", Record: 65, Most: 2, Per: "home", Pruner: "none: made once"},
		{What: "what the validator signed last", Where: "data/priv_validator_state.json", Record: 300, Most: 1, Per: "home", Pruner: "rewritten"},
		{What: "blocks, states and their indexes", Where: "data/*.db/*", Record: 10 << 10, PerDay: 14_400, Most: 1 << 40, Per: "home", Pruner: "pruning and min-retain-blocks in app.toml", Sealed: "checksums of the database; hashes of the chain"},
		{What: "the consensus log", Where: "data/cs.wal/*", Record: 10 << 20, Most: 100, Per: "home", Pruner: "rotated at 1 GB", Sealed: "checksum of each record"},
		{What: "snapshots", Where: "data/snapshots/*", Record: 10 << 20, Most: 1000, Per: "home", Pruner: "snapshot-keep-recent in app.toml"},
		{What: "snapshots, by height", Where: "data/snapshots/*/*", Record: 10 << 20, Most: 1000, Per: "home", Pruner: "snapshot-keep-recent in app.toml"},
		{What: "an upgrade that is due", Where: "data/upgrade-info.json", Record: 200, Most: 1, Per: "home", Pruner: "rewritten"},
	}
}
