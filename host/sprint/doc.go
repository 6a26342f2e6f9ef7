// SPDX-License-Identifier: Apache-2.0

// Package sprint does a participant's part in each phase of an epoch:
//
//	prepare   workers build the model; the participant reports ready
//	compute   workers fill their logs; each log is audited and committed
//	proof     the drawn leaves are opened
//	validate  package voter judges others
//	finalised the outcome is noted, evidence is written
//
// Each act is an object of its own. Sprint reads the phase and calls it:
//
//	Logs      a segment's logs, and how much of each may be committed
//	Audits    own logs, audited as the chain will, before anything is committed
//	Commits   the commitments of logs whose audit found nothing
//	Openings  the leaves that the chain drew
//	Evidence  files on what the chain judged
//
// Acts reach the rest of the host through small interfaces (Fleet, Workers, Queue,
// Books, Machines, Voter) and keep no plan: what is missing on chain is wanted at
// every block until it is there. Sprint and its parts belong to one goroutine.
package sprint
