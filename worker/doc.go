// SPDX-License-Identifier: Apache-2.0

// Package worker is the daemon of a machine that computes.
//
// It dials its host, proves its key, and does what the host states: build the
// epoch's model, compute a segment's records, run samples again, or nothing.
// It decides nothing about the network and keeps its key, the host's receipts and
// what became of challenges (package pool); what it has computed is worth something
// once the host has acknowledged it.
//
// Every batch goes out under the machine's name, every acknowledgement comes back
// under the host's (package delivery). The latest one of a segment is kept below
// receipts/, 2 KB, of a thousand segments: `assay verify` reads them. A machine
// signs what it has computed, never what a host tells it.
//
// The root composes; the parts meet at one desk:
//
//   - the desk (desk.go): what host and owner want, and what is done of it, under one
//     lock. Samples to run again go first. Devices take slices of one log as fast as
//     they are (share.go), and results are put in order; what a device that fails had
//     is done by others.
//   - a place per device (place.go): the goroutine that owns its engine and builds its
//     models (package runner), and its loops for the host's pool between sprints
//     (challenges.go, package pool). One or the other has the device.
//   - the session (session.go, outbox.go): dials, with growing pauses, hands orders in
//     and records out, at least twice a second or a thousand at a time. After a
//     reconnect it goes on from what the host has stored. Unacknowledged
//     records are kept, up to a bound; then computing waits. It also waits where
//     the host wants no more leaves of the segment so far. What was signed is in the
//     journal (journal.go), what the host signed in receipts (receipts.go).
//   - the reporter (snapshot.go) and the teller (tell.go): whenever what the worker
//     does, or why it does nothing, changes, the [Status] is handed out, and as an
//     [Event] what happened. Events are told one by one and in order, each once.
//
// Locks are taken in this order: the teller's, the desk's, then one of a runner, of
// loops or of receipts.
//
// A home has one worker at a time: its lock is held while it runs.
//
// Before anything else an engine must reproduce published answers, and again
// after each model it builds. One unit in 256 is computed twice, before it is sent. A
// device that fails is not used any longer: a wrong answer costs its owner more than no
// answer. The others go on; with the last one
// the worker ends. A device that is too hot pauses.
//
// A hostile host can waste the machine's time. It cannot run code, read files
// or open a port: orders are numbers, the only work is published arithmetic,
// and all connections go out. It cannot make an honest machine look like a forger:
// what is signed names all that it was computed from, and the node's seed is
// recomputed.
package worker
