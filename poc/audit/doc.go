// SPDX-License-Identifier: Apache-2.0

// Package audit decides what is sampled, and what a sample proves.
//
// After a commitment is on record, randomness that did not exist before it
// draws which leaves must be opened (Draw) and who re-runs each of them
// (Assign). Who works never chooses. Drawing is over all leaves, without
// replacement, each set as likely as any other, and everybody who knows the
// seed gets the same set.
//
// A sample of n leaves in which x are wrong is then read three ways:
//
//   - Is it more than faulty hardware? Tail gives the probability of x or
//     more faults at the tolerated rate; Threshold the x from which the answer
//     is yes. That is a Fail.
//   - What can be credited? Upper bounds the share of bad leaves that the
//     sample leaves possible; credit is reduced by it, so forging less than
//     the sample can see earns nothing.
//   - What would a cheat have met? Detection is the probability that forging
//     so many leaves is caught, and is printed next to the parameters.
//
// The rules are spec. All of it is consensus code: exact integers of package math/big,
// no floats, one rounding at the end in the direction that harms no honest participant and
// overstates nothing. Results are Q64, fractions of 2^64.
package audit
