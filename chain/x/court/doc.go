// SPDX-License-Identifier: Apache-2.0

// Package court settles by recomputing. Whatever modules dispute, one leaf at a time: the court
// runs the unit, compares it with what its owner opened, and tells the module that brought the
// case. It knows nothing of epochs, committees or votes beyond the interface Case.
//
//	verdict, dispute, chain --File--> queue --budget a block--> judgement --Case.Judged--> who was wrong
//	                                                                \--> Punish(who, offence)
//
// A leaf is judged once, whoever names it and however often. The budget counts operations, so that
// a block costs the same whatever the model's class; the gas of a message pays for its bytes and
// its place in the queue.
//
// Claims are not free to the one who is wrong. A claimant with weight has a budget for each epoch,
// 4 and 2 more per thousandth of the weight; one without locks a bond, of which the accused gets
// half when the claim is refuted and nobody the rest. The first refutation discards whatever the
// same claimant has waiting and ends its claims for the epoch: a lie buys one recomputation.
//
// Punish is the only door to jail, to cuts of power and to slashes. Its table says for every
// offence what it costs; an offence is either proven by recomputation or by signatures (fraud,
// double sign, false verdict), or it is silence, which jails when repeated and never takes power or
// coins by itself. What is slashed lies in x/collateral until the epoch is finalised (Conclude):
// then it is burnt but for a bounty, or held where many failed at once.
package court
