// SPDX-License-Identifier: Apache-2.0

// Package pool is a machine's side of Merkle proof of compute: it asks a host
// for challenges, computes loops on one device, commits, answers what is asked
// and keeps the receipts. The protocol itself is package poc/mpoc's, its bodies
// api/mpoc/v1's. The host's WebSocket offers the same; HTTP suffices here, a
// challenge being five requests.
//
//	register -> challenge -> computing -> committed -> drawn -> receipt
//
// The host is a stranger too. Its terms, its draw and its receipts are verified,
// with what is checked derived here; what does not hold is kept as a file that
// anybody can verify, and Run ends: there is no point in working for a cheat.
//
// The device is not trusted either. One loop in SelfAudit is computed twice, and
// every loop whose tiles are opened is computed again; what differs says that the
// device is unstable. Then the submission is abstained: nothing that is known to
// be wrong is sent, and the device rests.
//
// Loops are computed in slices of a tenth of a second. The owner of the device
// takes it away with the [Gate], for a Sprint or a pause, and a slice under way
// ends with its next loop. Answers do not wait for the gate: they take a moment,
// and one that is missed costs the submission.
//
// A Machine may be killed at any time. Its file holds the challenge and how far
// it has come, written before each step; digests are appended with checksums
// after each slice. Started again it goes on: with the same loops, the same
// commit, the same answers.
//
// Nor is a receipt lost with the answer it came in. What was committed and has none
// is kept in a file, and its receipt asked for until the host gives it or knows of
// none. One that was kept before it was signed back must come again as it was: two
// receipts for one commit are evidence.
//
// A receipt with pay is the machine's until it is paid: numbered by the machine, with room of its
// own for each host, and let go by nothing but a transfer that the host signed, to the account that
// the machine names, and that the chain has where the owner names a node to ask. A host that does
// not pay gets no more work once its room is full. What is missing or damaged in the folder is
// refused.
//
// One Machine is one device with one key and one Home. A computer with several
// devices runs several: so every device has its own challenge, figures and
// standing, and one that is unstable costs the others nothing.
package pool
