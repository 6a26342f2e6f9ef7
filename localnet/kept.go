// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"slices"

	"github.com/assaynet/assay/chain/node"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/localnet/crew"
	"github.com/assaynet/assay/worker"
)

// Kept is all that a network keeps in its folder: its own files, and what each participant's
// processes keep in theirs.
func Kept() []kept.Thing {
	return slices.Concat([]kept.Thing{
		{What: "the network", Where: stateFile, Record: 1 << 10, Most: 16,
			Per: "network, a participant each", Pruner: "rewritten", Sealed: "checksum",
			Damaged: "localnet.TestFlipsInANetwork"},
		{What: "the lock", Where: lockFile, Record: 20, Most: 1, Per: "network",
			Pruner: "rewritten at each start", Damaged: "localnet.TestFlipsInANetwork"},
		{What: "where the running network takes commands", Where: crew.ControlFile, Record: 200,
			Most: 1, Per: "network", Pruner: "rewritten at each start", Sealed: "checksum",
			Damaged: "localnet.TestFlipsInANetwork"},
		{What: "logs", Where: "p*/*.log", Record: 1 << 20, Most: 1000, Per: "process",
			Pruner: "its owner: with the network", Damaged: "none: for people; nothing reads them"},
	}, kept.Below("p*", host.Kept()), kept.Below("p*", node.Kept()),
		kept.Below("p*/worker", worker.Kept()))
}
