// SPDX-License-Identifier: Apache-2.0

// Package poc is the front door of the primitive that the whole network stands
// on, and of a verifier library that knows nothing of the network:
//
//	deterministic work  ->  commitment  ->  random audit  ->  credit
//
// # Verifying a document
//
// Hosts, machines and auditors hand each other JSON files that prove something
// by themselves: that a leaf is forged, that a host has a machine's leaves, that
// a submission was judged by its terms. Open takes any of them:
//
//	doc, err := poc.Open(data)                        // which document is it?
//	cost := doc.Cost()                                // what will checking it compute?
//	report, err := doc.Verify(ctx, engine, poc.Options{})
//
// An error says why the claim is not shown. Otherwise report.Proves is what the
// document shows, in one sentence; report.Assumed lists what was taken from it
// and nothing in it shows, such as whose key it is; report.Cost is what was
// computed. Work that the document calls wrong is computed again, by the engine
// or, where the document accuses somebody, by the plain definition. A nil engine
// is the definition too.
//
// The fields of a document are in its concrete type, such as *Evidence with its
// evidence.File. What no document can show by itself, the chain keeps for ever:
// give Verify the epoch's Anchor, and evidence about a participant is proven.
// Package verify gets that from a node or from a trusted block's hash; it needs
// a network, so it is not here.
//
// # The floors
//
// From the bottom up; each imports only what is above it in this list:
//
//	seed               every seed by name: what follows from which randomness
//	signed             bytes that are signed, of which no two messages share any
//	prf                bytes from a seed, at any offset, on any device
//	coin               amounts of the network's coin
//	document           the one spelling of a JSON file
//	commit             leaves with opaque bodies, logs, proofs, signed statements
//	record             the body of a leaf of transformer/1
//	work/condense      64 exact results to one word, before hashing
//	work/quad          exact int8 dot products in plain Go
//	work/transformer   transformer/1: what Sprints compute
//	work/matmul        matmul/1: what loops and matrix tasks compute
//	work               kinds of work, and Engine: the line behind which devices compute
//	audit              which leaves are sampled, and what a sample proves
//	credit             verdicts to weight, weight to voting power
//	evidence           files that show a committed leaf to be forged or honest
//	mpoc               loops between a machine and its host: terms, receipts
//	delivery           leaves between a machine and its host: signatures, receipts
//
// Everything here is a pure function of its arguments, in integers. There are
// no files, no network, no clock, no randomness of its own, no goroutines, no
// floating point and nothing outside the standard library; a test next to this
// file holds it to that. So it may run inside consensus, in a worker, in a page
// of a browser (it builds for GOOS=js GOARCH=wasm), or in the program of somebody
// who trusts neither. Values that another language must reproduce are published
// under test/vectors; the rules are in docs/spec.
//
// # What stays compatible
//
// Documents are for ever: every version that a release has written is opened by
// all later ones, with the same result, or with a report that says why it is now
// worth less (Report.Unbound). A version's bytes, rules and signed messages never
// change; what has to change gets a new version. Within a major version of this
// module, names that this package exports keep their meaning, fields may be added
// to structs, kinds and versions to those that Open reads, and methods to no
// interface that others implement. Texts of errors and of Report.Proves are for
// people and may be reworded: compare with errors.Is, Kind and Claim. The packages
// below make the same promise for what they sign, hash and read, and may rename
// what is Go's alone.
package poc
