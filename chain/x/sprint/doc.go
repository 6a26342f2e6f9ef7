// SPDX-License-Identifier: Apache-2.0

// Package sprint runs the Sprint (DESIGN 4.1, seed 000): epoch after epoch it lets participants compute, makes
// them commit before anyone knows what will be checked, draws what is checked from a later beacon, has peers
// re-run it, judges every quarrel by recomputing the one leaf it is about, and hands verified operations to
// x/credit.
//
//	Prepare -> Compute -> WrapUp -> Challenge -> Proof -> Draw -> Validate -> Reveal -> Dispute -> Finalised
//	 Seed_1    Seed_2,     last     beacon draws  open    beacon   commit      show     judge       weights
//	           segments    commits  the leaves    them    draws    verdicts
//	                                                      members
//
// Who reads what: phase.go says where an epoch stands at a height, as pure functions over its record;
// advance.go moves it at the end of each block; msgs.go is what participants may say in each phase; draw.go is
// all sampling (leaves, members, duties), pure over the record; judge.go recomputes named leaves within a budget
// per block; finalise.go turns what was proven into outcomes; archive.go keeps what evidence of any age leads to: class, seeds
// and the root over all commits of each epoch, for ever.
//
// Truth is never voted on. A vote can withhold credit, but a mismatch counts only after the chain recomputed the
// leaf, and a voter that named an honest leaf, or revealed a middle digest that the unit does not give, is
// proven false and leaves both sides of the count. A phase closes early once everyone who owes something has
// given it; its boundary in the record is then the height at which it closed.
package sprint
