// SPDX-License-Identifier: Apache-2.0

// Package sprint runs the Sprint: epoch after epoch it lets participants compute, makes them commit
// before anyone knows what will be checked, draws what is checked from a later beacon, has members
// re-run it, and hands verified operations to x/credit.
//
//	Prepare -> Compute -> WrapUp -> Challenge -> Proof -> Draw -> Validate -> Reveal -> Check -> Dispute -> Finalised
//	 Seed_1    Seed_2,     last     beacon draws  open    beacon   commit      show     beacon   judge      weights
//	 ready     segments    commits  the leaves    them    draws    verdicts             draws
//	                                                      members                       digests
//
// Who takes part. Holders of weight are members from the epoch's begin. Everybody else becomes one
// by reporting ready: at once if it was credited not long ago, through a lottery otherwise, in
// proportion to what it has locked. So work and state follow those who announced themselves.
//
// Who judges. Duties fit their bearers (sizes.go): all together they are a twentieth of the
// operations last credited, for each member at most a fifth of its own. committee.go draws them and
// counts what was said, pure over the record. More of what was said must pass a target than fail
// it, and more than a third of its committee must; abstention and silence decide nothing, and cut
// the own credit of whoever owed its word. Whom nobody judged the chain judges, by recomputing a
// sample of what it opened (validate.go).
//
// The rules are docs/spec/sprint.md. Truth is never voted on. Named leaves, and middle digests of
// verdicts that the beacon drew, are recomputed by x/court; case.go says what its judgements mean
// here. finalise.go turns what was proven into outcomes. archive.go keeps what evidence of any age
// leads to: class, seeds and the root over all commits of each epoch, for ever.
//
// phase.go says where an epoch stands at a height; advance.go moves it at the end of each block, by
// counts in Progress, so that members are read only when a phase turns. A phase closes early once
// everyone who owes something has given it. owed.go tells the protocol lane what is owed, msgs.go
// and verdicts.go take it.
package sprint
