// SPDX-License-Identifier: Apache-2.0

// Package lint holds the tree to rules that no compiler checks.
//
// Layers: who may import whom (ARCHITECTURE.md), so that the verifier stays free
// of the chain, a machine's program free of the network's, and consensus code
// free of those that serve it.
//
// Determinism: consensus code has to give the same bytes on every machine. What
// commonly breaks that (floating point, the order of a map, the clock, goroutines,
// the environment, randomness) does not occur in it, or stands in a short list of
// exceptions that says why it cannot reach the state.
//
// Files: whatever a program keeps is written through internal/durable, or stands in
// a short list that says why it is not, so that a crash never leaves half of it.
//
// Dates: code that keeps deadlines of others takes them from internal/clock and not
// from the wall clock, or stands in a short list that says why.
//
// Papers: prose in Markdown has one width, its links lead to files and names that
// exist, and ARCHITECTURE.md names every package.
//
// All checks come with a test that plants violations and insists on their being
// found.
package lint
