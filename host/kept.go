// SPDX-License-Identifier: Apache-2.0

package host

import (
	"github.com/assaynet/assay/accounts"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/internal/kept"
)

// What is counted by machine, and how much a machine brings in a day: a submission of
// its pool each 20 seconds, leaves of 24 epochs of ten segments.
const (
	submissions = 24 * 3600 / 20
	segments    = 24 * 10
)

// LogName is where the log is while the host's screen has the terminal, below its home. It has at
// most LogBytes, and the one before it, host.log.1, as many.
const (
	LogName  = "data/host.log"
	LogBytes = 8 << 20
)

// Kept is all that a host keeps, below the home that it shares with its node.
func Kept() []kept.Thing {
	return append(accounts.Kept(), []kept.Thing{
		{What: "settings", Where: configName, Record: 4 << 10, Most: 1, Per: "home",
			Pruner: "rewritten", Damaged: "host.TestFlipsInAHome"},
		{What: "the host's key", Where: "config/host.key", Record: 130, Most: 1, Per: "home",
			Pruner: "none: made once", Sealed: "the public key beside it",
			Damaged: "host.TestFlipsInAHome"},
		{What: "the marks of its folders", Where: homeMark, Record: 33, Most: 1, Per: "home",
			Pruner: "none: made once", Damaged: "host.TestFlipsInAHome"},
		{What: "the marks of its folders", Where: dataMark, Record: 33, Most: 1, Per: "home",
			Pruner: "none: made once", Damaged: "host.TestFlipsInAHome"},
		{What: "locks", Where: "data/*.lock", Record: 20, Most: 3, Per: "home",
			Pruner: "rewritten at each start", Damaged: "host.TestFlipsInAHome"},
		{What: "what machines are owed: an account and the latest sources of each",
			Where: ledgerName, Record: 900, PerDay: submissions, Most: 150, Per: "machine",
			Pruner:  "entries become sums, the 128 latest sources stay",
			Sealed:  "checksum of each record, accounts twice, counts of all",
			Damaged: "host/ledger.TestFlipsPayNobodyTwice"},
		{What: "judged challenges with their receipts", Where: poolName, Record: 2200,
			PerDay: submissions, Most: 128, Per: "machine", Pruner: "the oldest of a machine; " +
				"all after 30 days; with a key that has not worked for 30 days, and of more than " +
				"16,384 the weakest", Sealed: "checksum of each record, counts of all; receipts " +
				"are signed", Damaged: "host/pool.TestFlipsLoseOneRecord"},
		{What: "files of an older version, or damaged", Where: "data/*.db.*", Record: 8 << 20,
			Most: 1000, Per: "home", Pruner: "the owner", Damaged: "none: for people; nothing " +
				"reads them"},
		{What: "leaves of the latest epochs", Where: leavesName + "/*/*", Record: 40, PerDay: 0,
			Most: 10_000_000, Per: "machine", Pruner: "deleted with their epoch, before anything " +
				"is written", Sealed: "checksum of each batch; signatures",
			Damaged: "host/leaflog.TestFlipsInAStore"},
		{What: "the lock and the mark of leaves", Where: leavesName + "/*", Record: 20, Most: 2,
			Per: "home", Pruner: "rewritten at each start", Damaged: "host.TestFlipsInAHome"},
		{What: "verdicts until they are revealed", Where: verdictName + "/*", Record: 1 << 20,
			PerDay: 24, Most: 10, Per: "home", Pruner: "deleted with their epoch",
			Sealed: "checksum", Damaged: "host.TestFlipsInAHome"},
		{What: "verdicts about streams until they are revealed",
			Where: streamVerdictName + "/*", Record: 1 << 20, PerDay: 24, Most: 10, Per: "home",
			Pruner: "deleted with their epoch", Sealed: "checksum",
			Damaged: "host.TestFlipsInAHome"},
		{What: "evidence", Where: EvidenceName + "/epoch-*", Record: 8 << 10,
			Most: sprint.KeepEvidence, Per: "home", Pruner: "the oldest epochs' at each epoch",
			Sealed: "signatures; the chain's archive", Damaged: "verify.TestFlipsInEvidence"},
		{What: "logs that were left out, and why", Where: EvidenceName + "/left-out-*",
			Record: 8 << 10, Most: sprint.KeepEvidence, Per: "home, with the evidence",
			Pruner: "the oldest epochs' at each epoch", Sealed: "signatures; a checksum where " +
				"there is no evidence", Damaged: "host.TestFlipsInAHome"},
		{What: "the log of a host on a terminal, and the one before it", Where: LogName + "*",
			Record: LogBytes, Most: 2, Per: "home", Pruner: "the older one is replaced",
			Damaged: "none: for people; nothing reads it"},

		{What: "logs under audit", Memory: "sprint.Audits.logs", Record: 1 << 10, Most: 10_000,
			Per: "machine and epoch", Pruner: "the next epoch"},
		{What: "sizes of logs that are over", Memory: "sprint.Logs.pinned", Record: 100,
			Most: 10_000, Per: "epoch", Pruner: "deleted with the leaves"},
		{What: "logs that are recomputed", Memory: "sprint.Openings.restores", Record: 80 << 10,
			Most: 1000, Per: "epoch", Pruner: "the next epoch"},
		{What: "machines that may be nodes, and their places", Memory: "host.Host.admitted",
			Record: 150, Most: 1 << 14, Per: "home", Pruner: "with the device, in the pool"},
		{What: "machines that found no place in this epoch", Memory: "host.Host.waiting",
			Record: 60, Most: 1 << 14, Per: "home", Pruner: "the next epoch"},
		{What: "evidence that is written", Memory: "sprint.Evidence.done", Record: 100,
			Most: 10_000, Per: "home", Pruner: "the next epoch"},
		{What: "epochs that are credited, nodes that were condemned", Memory: "host.Host.paid",
			Record: 60, Most: 10_000, Per: "home", Pruner: "after 1,000 epochs"},
		{What: "messages under way", Memory: "submit.Queue.wishes", Record: 10 << 10, Most: 10_000,
			Per: "epoch", Pruner: "100 blocks after their window"},
		{What: "blocks that were read", Memory: "submit.Blocks.kept", Record: 1 << 20, Most: 64,
			Per: "reader", Pruner: "the oldest"},
		{What: "nodes that are not connected", Memory: "fleet.Fleet.nodes", Record: 500, Most: 1000,
			Per: "home", Pruner: "when one comes"},
		{What: "keys that nobody knows", Memory: "fleet.Fleet.unknown", Record: 50, Most: 256,
			Per: "home", Pruner: "none: no more are said"},
		{What: "the latest asking of each key", Memory: "pool.Pool.asked", Record: 200,
			Most: 1 << 16, Per: "home", Pruner: "those older than the skew, when there are more"},
		{What: "devices with requests under way", Memory: "pool.Pool.locks", Record: 50,
			Most: 10_000, Per: "connection", Pruner: "the request's end"},
		{What: "rates and connections of addresses", Memory: "gate.Rates.by", Record: 150,
			Most: 1 << 16, Per: "home", Pruner: "when idle"},
	}...)
}
