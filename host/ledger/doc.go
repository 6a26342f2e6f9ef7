// SPDX-License-Identifier: Apache-2.0

// Package ledger is what a host owes the machines that work for it, and what
// it has paid.
//
// There is one ledger for everything a machine can be credited for: loops of
// M-PoC, leaves of the Sprint, continuous leaves. Credit is verified operations
// at the host's published rate. An amount goes one way:
//
//	locked --W clean submissions later--> due --transaction signed--> settling --in a block--> settled
//	   \--a cheat is proven--> forfeited          ^------------- never got into a block -------/
//
// Locked pay is what a machine has to lose: it is the S of the audit rule, and
// a proven cheat forfeits it. What is due is the machine's, whatever it does
// next. Every entry keeps the rules it was made under ([Ledger.Under]), whatever
// the host's are when its time comes. Settled means that a bank transfer is in a
// block, and the entry names it.
//
// Nothing is paid twice and nothing is lost, whenever the program is killed.
// What is credited has a source (a challenge, a log of a segment) that the
// ledger takes once. A settlement is written down, with the very bytes of its
// transaction, before these leave the host: after a crash the same bytes are
// sent again or looked for, and only when they can never enter a block any more
// (their timeout height has passed) do the amounts become due again.
//
// All of it lies in one file (bbolt), every change is one transaction of it,
// flushed to disk before the call returns; concurrent calls share a flush.
// Amounts are integers of the chain's base unit. For every account
//
//	credited = locked + due + settling + settled + forfeited
//
// which [Ledger.Check] recounts from the entries.
package ledger
