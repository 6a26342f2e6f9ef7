// SPDX-License-Identifier: Apache-2.0

// Package settle pays what the ledger says is due, by bank transfers on the
// chain, each exactly once.
//
// The order of things is the whole trick. A transaction is signed for one
// sequence number of the paying account and one timeout height, and written to
// the ledger with its bytes; only then does it leave the host. From there on
// [Settler.Step], called once a block, looks where it stands:
//
//	it is in a block             its entries are settled, with hash and height
//	it failed in a block         they are due again
//	not there yet                the same bytes are sent again
//	the timeout height is over,
//	and the account's sequence
//	has not passed it            it never can be: they are due again
//
// What became of it is read from the blocks that could hold it.
//
// The chain is the truth about what was paid, and a ledger may be a backup. So
// nothing is begun unless the account's sequence is the one that the ledger wants
// next. Where it is not, the settler stops, says so, and reads the account's
// transactions from the blocks since they last agreed. Each names its ledger and
// its settlement in the memo, and the machines it pays. What that comes to is a
// [Plan], which a person looks at and has entered ([Settler.Resolve]): payments of
// this ledger count as paid, and other uses of the account are passed over.
//
// A crash at any point repeats a step that has no second effect.
package settle
