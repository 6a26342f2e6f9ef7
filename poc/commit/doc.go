// SPDX-License-Identifier: Apache-2.0

// Package commit binds work before anyone knows which part will be checked.
//
// A node that computes records puts each one, as a canonical binary Leaf whose body only its kind
// of work reads, into an append-only Merkle log in the form of RFC 6962. What it publishes is a
// Statement: root and count, signed by its host. From then on it can open any leaf but change none.
//
//	leaves  ->  Log or Frontier  ->  (root, count)  ->  signed Statement
//	                 |
//	                 +-> Inclusion, Multi: "leaf i is this"
//	                 +-> Consistency:      "the log has only grown"
//
// Leaf i IS index i. Indices are dense, so a log has neither gaps nor
// duplicates, and its count is its claim. Leaf and node hashes start with
// different bytes, and nothing is duplicated at the right edge, so a node
// cannot pass for a leaf nor one shape of tree for another.
//
// Provers need only the roots of complete subtrees, so whoever stores leaves
// in files decides how much of the tree to keep: implement Subtrees. Verifiers
// need nothing. Every verifying function here is total: it takes whatever came
// off the wire, does work that is bounded by the length of its inputs and the
// depth of 48, and has one answer. Proofs that are too long, too short, out of
// order or out of range are refused, so a proof has one form.
//
// The rules are spec C-1 to C-17. A multiproof opens many leaves of one log and lists each hash
// once: 200 openings of a million leaves take about 2,450 hashes instead of 4,000.
package commit
