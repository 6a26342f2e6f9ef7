// SPDX-License-Identifier: Apache-2.0

// Package host is a participant's daemon: it owns the hot key and the host key, manages workers,
// keeps their leaves, and does on the chain what each phase asks of a participant.
//
//	chain ──poll──▶ Run ──▶ sprint ──goal──▶ fleet ──▶ workers
//	  ▲                       │                │
//	  └─────── submit ◀───────┤                ▼
//	                          └── voter     leaflog
//
// The host keeps no plan of its own. At each block it reads where the epoch stands and what the
// chain already has of it, and brings about what is missing: a goal for the workers, a commitment,
// an opening, a verdict. So it can be killed at any moment and started again; what must not be lost
// is on disk before anyone was told (leaves in leaflog, a verdict's salt and body in its own file).
//
// This package puts the parts together and reads the chain. A phase's part is in package sprint,
// the verdicts in voter, who may work here in machines; the pool has pool, ledger, books and
// settle.
//
// What fails costs what depends on it and nothing else (package board): one machine's log, one
// participant's opening, one file. It is named in the log and the status until it works again.
// Before anything is written old epochs are deleted; below the mark of package disk no new work is
// taken, and what is owed is done.
//
// Everything it does, does not do, and until when, is one Status document: on the terminal, over
// HTTP, as JSON.
package host
