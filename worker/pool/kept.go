// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"github.com/assaynet/assay/internal/kept"
	"github.com/assaynet/assay/poc/mpoc"
)

// day is how many submissions a device makes in one, at the plan of a minute each. A fast one whose
// plan is shorter makes up to six times as many.
const day = 24 * 60

// Kept is all that a device keeps of its work for pools, by files below its home.
var Kept = []kept.Thing{
	{What: "the challenge under way, and the counts", Where: "mpoc/state.json", Record: 3000,
		Most: 1, Per: "device", Pruner: "rewritten at each step", Sealed: "checksum, and the " +
			"host's signature", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "digests of the loops under way", Where: "mpoc/units", Record: 32, PerDay: 0,
		Most: mpoc.MaxLoops, Per: "device", Pruner: "emptied at the next challenge",
		Sealed: "checksum of each slice", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "submissions whose receipt is missing", Where: "mpoc/missing.json", Record: 3000,
		Most: keepMissing, Per: "device", Pruner: "when the receipt is there; the oldest",
		Sealed: "checksum", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "what hosts have paid, and the store's id", Where: "mpoc/paid.json", Record: 6000,
		Most: 1000, Per: "device, a host each", Pruner: "rewritten at each payment; a host each " +
			"that its owner chose", Sealed: "checksum", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "receipts with pay", Where: "receipts/[0-9]*.json", Record: 2200, PerDay: day,
		Most: MaxOwed, Per: "device and host, and 512 MiB", Pruner: "when a transfer covers " +
			"them; at the bound no more is computed", Sealed: "signatures of both",
		Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "receipts that were paid", Where: "receipts/[0-9]*-paid.json", Record: 2200, PerDay: day,
		Most: keepPaid, Per: "device and host", Pruner: "the oldest, when one is paid",
		Sealed: "signatures of both", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "receipts without pay", Where: "receipts/[0-9]*.json", Record: 2200, PerDay: day / 100,
		Most: keepUnpaid, Per: "device and host", Pruner: "the oldest, when one comes",
		Sealed: "signatures of both", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "payments that hosts signed", Where: "transfers/*.json", Record: 600, PerDay: 24,
		Most: MaxTransfers, Per: "device and host", Pruner: "its owner; at the bound no more is " +
			"computed", Sealed: "the host's signature", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "evidence against hosts", Where: "evidence/*.json", Record: mpoc.MaxFileSize,
		Most: keepHostEvidence, Per: "device", Pruner: "its owner; each ends the work for its host",
		Sealed: "signatures", Damaged: "verify.TestFlipsInEvidence"},
	{What: "the id of the store", Where: "*/.assay-id", Record: 33, Most: 4, Per: "device",
		Pruner: "rewritten", Damaged: "worker/pool.TestFlipsInADevice"},
	{What: "damaged files whose loss was accepted", Where: "mpoc/*.aside*", Record: 6000,
		Most: 3 * keepAside, Per: "device", Pruner: "its owner", Damaged: "none: for people; " +
			"nothing reads them"},
	{What: "receipts by challenge", Memory: "pool.proofs.names", Record: 120, PerDay: day,
		Most: MaxOwed + keepPaid + keepUnpaid, Per: "device and host", Pruner: "with the files"},
	{What: "receipts in order", Memory: "pool.proofs.hosts", Record: 160, PerDay: day,
		Most: MaxOwed + keepPaid + keepUnpaid, Per: "device and host", Pruner: "with the files"},
	{What: "transfers that were shown", Memory: "pool.Machine.transfers", Record: 90, Most: 10,
		Per: "device", Pruner: "rewritten at each look at the account"},
	{What: "transfers that do not count", Memory: "pool.Machine.disputed", Record: 90, Most: 10,
		Per: "device", Pruner: "rewritten at each look at the account"},
	{What: "loops of the last 15 minutes", Memory: "pool.meter.slots", Record: 16, Most: 900,
		Per: "device", Pruner: "a slot a second, again and again"},
}
