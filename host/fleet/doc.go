// SPDX-License-Identifier: Apache-2.0

// Package fleet is the host's side of its workers.
//
// Workers dial in ([link]), say who they are, and are told what to do. The host
// states one [Goal] for all of them ([Fleet.SetGoal], or SetGoals where some have
// another); the fleet keeps every
// connected worker on it, also those that come later or come back, each with
// its own node seed and the resume point of its own log. Artefacts that arrive
// are made durable (package leaflog) and then acknowledged. When SetGoal
// returns, no leaf of an earlier goal is taken any longer: the sizes that the logs
// have then are the ones to commit to.
//
// The chain bounds what all nodes may commit in a segment together ([Goal].Most).
// The fleet grants it to them bit by bit, as fast as each is (allowance.go): the sum
// of what nodes may have never exceeds it, what a machine was granted and has not
// stored returns when it disconnects, and one that stores as much as it was granted
// is told to go on, or that nothing is left.
//
// A node whose leaves cannot be stored is told to idle and stays connected: its
// machine has other duties. It is tried again, more and more rarely. The disk is
// waited for without a lock, so that one that hangs holds up one node's batch.
//
// A batch is kept only if its machine signed it (package delivery), and the
// signature with it: what turns out to be forged can be shown to others. Each
// acknowledgement is the host's receipt, one signature for all batches that came
// since the one before. Both are computed without a lock.
//
// Also, [Fleet.Rerun] spreads other participants' samples over the workers,
// and [Fleet.NodeProof] fetches a device's signature with which its node is
// registered on chain.
//
// A worker owns a connection and nothing more. It cannot name another node, a
// segment it was not told to compute, a position its log does not have or leaves
// beyond what it was granted; any of that, and any message outside the protocol's
// bounds, closes the connection with a reason. What the fleet owes one worker fits a few fixed
// places ("the latest order", "the latest acknowledgement"), not a queue: one
// that does not read costs its connection after a write deadline, and nobody
// else waits for it. Samples that a worker sits on are given to another as
// soon as that one has nothing else to do. What a worker computes is not
// judged here: the host audits its logs before it commits.
//
// One connection per node: a newer one with the same key takes over from the
// older, since the older may be a ghost that the network has not noticed.
package fleet
