// SPDX-License-Identifier: Apache-2.0

package worker

import (
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/worker/pool"
	"github.com/assaynet/assay/worker/runner"
)

// segments is how many of them there are in a day at most, at an epoch an hour and ten segments
// each.
const segments = 24 * 10

// maxDevices is how many devices a home may have for what is counted by device.
const maxDevices = 64

// Kept is all that a worker keeps.
func Kept() []kept.Thing {
	all := []kept.Thing{
		{What: "the machine's key", Where: KeyFile, Record: 130, Most: 1, Per: "home",
			Pruner: "none: made once", Sealed: "the public key beside it",
			Damaged: "worker.TestFlipsInAHome"},
		{What: "the key of a further device", Where: "devices/*/" + KeyFile, Record: 130,
			Most: maxDevices, Per: "home", Pruner: "none: made once",
			Sealed: "the public key beside it", Damaged: "worker.TestFlipsInAHome"},
		{What: "the parts of the home", Where: HomeFile, Record: 100, Most: maxDevices + 3,
			Per: "home", Pruner: "rewritten", Sealed: "checksum",
			Damaged: "worker.TestFlipsInAHome"},
		{What: "the lock", Where: LockFile, Record: 10, Most: 1, Per: "home",
			Pruner: "rewritten at each start", Damaged: "worker.TestFlipsInAHome"},
		{What: "the socket of status and pause", Where: "worker.sock", Record: 1, Most: 1,
			Per: "home", Pruner: "made again at each start and where it is gone",
			Damaged: "none: a socket holds nothing"},
		{What: "the id of the store", Where: "*/.assay-id", Record: 33, Most: 3, Per: "home",
			Pruner: "rewritten", Damaged: "worker.TestFlipsInAHome"},
		{What: "the id of the store, of devices", Where: "devices/*/.assay-id", Record: 33,
			Most: maxDevices, Per: "home", Pruner: "rewritten", Damaged: "worker.TestFlipsInAHome"},
		{What: "what was signed for one node of one host", Where: SignedName + "/*", Record: 190,
			PerDay: 0, Most: keepBatches, Per: "node, of which there are 1,000 at most",
			Pruner: "rewritten at each segment", Sealed: "checksum of each line",
			Damaged: "worker.TestFlipsInAHome"},
		{What: "the host's receipts for leaves",
			Where: ReceiptsName + "/" + receivedName + "-*.json", Record: 2000, PerDay: segments,
			Most: keepReceipts, Per: "host", Pruner: "the oldest, when one comes",
			Sealed: "signatures of both", Damaged: "worker.TestFlipsInAHome"},
		{What: "what the host holds against leaves",
			Where: ReceiptsName + "/" + accusedName + "-*.json", Record: delivery.MaxFileSize,
			Most: keepEvidence, Per: "host", Pruner: "the oldest, when one comes",
			Sealed: "signatures", Damaged: "verify.TestFlipsInEvidence"},
		{What: "units that the host has not stored", Memory: "worker.backlog", Record: 40,
			Most: maxUnacked, Per: "worker", Pruner: "the host's acknowledgement; nothing more " +
				"is computed at the bound"},
		{What: "batches of the latest segment", Memory: "worker.journal.batches", Record: 120,
			Most: keepBatches, Per: "worker", Pruner: "the next segment"},
		{What: "samples to run again", Memory: "worker.desk.jobs", Record: 16 << 10,
			Most: workerv1.MaxReruns, Per: "worker", Pruner: "done, or the session's end"},
		{What: "models", Memory: "runner.models.all", Record: 1 << 30, Most: runner.ModelsKept,
			Per: "device", Pruner: "the one that was used least lately"},
		{What: "events that nobody took", Memory: "worker.teller.events", Record: 500,
			Most: eventRoom, Per: "worker", Pruner: "left out, and counted"},
		{What: "what devices were last said to be", Memory: "worker.history", Record: 300,
			Most: maxDevices, Per: "worker", Pruner: "rewritten"},
		{What: "receipts to be written", Memory: "worker.receipts.latest", Record: 4000,
			Most: keepWaiting, Per: "worker", Pruner: "written each second; one a segment, and " +
				"the oldest where the disk fails"},
	}
	for _, t := range pool.Kept {
		if t.Where != "" {
			t.Where = "devices/*/" + t.Where
		}
		all = append(all, t)
	}
	return all
}
