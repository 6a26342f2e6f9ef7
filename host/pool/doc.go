// SPDX-License-Identifier: Apache-2.0

// Package pool is the host's side of Merkle proof of compute: it hands out
// challenges, looks at what was committed, and enters what was verified into
// the ledger. The protocol itself is package mpoc's, its bodies api/mpoc/v1's.
//
//	register  ->  challenge  ->  commit  ->  proof (rounds)  ->  receipt
//	              offered        committed   judged              countersigned
//
// Machines are strangers. A key costs nothing, so nothing is believed of it: the
// first submissions of a key are always audited in full, and later ones with
// the published probability that its locked pay warrants (audit.Adaptive). The
// host's clock measures; what a machine says of its speed only sizes its first
// challenge.
//
// One challenge per key is alive. Its record is written to disk before each
// answer, so that a restart, of either side, at any moment, continues it: the
// same question gets the same answer, and no other. The nonce that draws the
// audit is made with the challenge and announced by its hash; it leaves the host
// only in the answer to a commit, which is then the only one.
//
// Whatever is judged has a receipt, late commits too, that its key can ask for by
// the challenge: the same one each time, for 30 days in which the host runs, the latest 1,000 of
// a key. A rejection carries its evidence or counts as accepted. So nothing is judged that
// could not be checked: what the engine cannot compute plain Go does, and an
// answer for which there was no core stays open until the machine sends it again,
// for an hour. Nor is it accepted for that, or a flood of keys would be a way to
// be paid unseen.
//
// What a key may cost the host before others follows from its work of the recent
// past (standing.go), and so does whether it is remembered. A submission has a least
// size (least.go).
//
// Deadlines and ages count the time that the host lived through (clock.go): a clock
// that is set, a pause and a restart make nobody late. A damaged record costs what
// it is about, and the next challenge of its machine is another.
//
// Money is the ledger's, which takes a challenge once. A verdict is written down
// before the ledger is told, so a crash between the two files is mended by
// telling it again.
//
// What a hostile machine can do: waste its own time, and of the host's what the
// limits allow. Every body is bounded; each key and each address has a rate;
// audits wait in line for a bounded number of cores, one per key. Unanswered
// questions cost the submission, and what is locked waits again; they take
// nothing, because nobody can show that there was no answer.
package pool
