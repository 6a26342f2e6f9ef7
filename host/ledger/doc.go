// SPDX-License-Identifier: Apache-2.0

// Package ledger is what a host owes the machines that work for it, and what
// it has paid.
//
// There is one ledger for everything a machine can be credited for: loops of
// M-PoC, leaves of the Sprint, continuous leaves. Credit is verified operations
// at the host's published rate. An amount goes one way:
//
//	promised --audited--> locked --W clean submissions later--> due --transaction signed--> settling --in a block--> settled
//	                         \--a cheat is proven--> forfeited   ^------ can never enter a block -----/
//
// Locked pay is what a machine has to lose: it is the S of the audit rule, and
// a proven cheat forfeits it. What is due is the machine's, whatever it does
// next. Every entry keeps the rules it was made under ([Ledger.Under]), whatever
// the host's are when its time comes. An entry is one while it is locked; from
// then on it counts in the sums of its account, and what is left of it says
// that its source is used up. So the ledger grows with machines, not with time.
//
// Nothing is paid twice and nothing is lost, whenever the program is killed.
// What is credited has a source (a challenge, a log of a segment) that the
// ledger takes once. A settlement is written down, with the very bytes of its
// transaction, before these leave the host: after a crash the same bytes are
// sent again or looked for, and only when they can never enter a block any longer
// do the amounts become due again.
//
// What was paid, the chain knows better than any file: a file can be a backup.
// So the ledger has an id, and knows the sequence number that the paying account
// must have ([Books]); where the chain has another one, nothing is paid until the
// payments in between were read from blocks and entered ([Ledger.Book]). What was
// credited since the backup comes back by the receipts that machines hold
// ([Ledger.Reclaim]), and what the chain paid of it is not paid again: it is ahead.
//
// All of it lies in one file (package store), every change is one transaction of it, flushed to
// disk before the call returns; concurrent calls share a flush. Accounts are written twice, so that
// one damaged record costs nothing. One whose sums do not add up is set aside: it earns and is paid
// nothing until it is made again by [Ledger.Restore], and the others go on. Amounts are integers of
// the chain's base unit. For every account
//
//	credited = locked + due + settling + settled + forfeited
package ledger
