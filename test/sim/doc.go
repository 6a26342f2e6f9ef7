// SPDX-License-Identifier: Apache-2.0

// Package sim runs a whole Sprint network in one process and tests what docs/spec promises about
// it.
//
// The chain is the real one: chain/app over a database in memory, driven by the calls that CometBFT
// makes (InitChain, and for each block ProcessProposal, FinalizeBlock, Commit), with CometBFT's own
// proposer rotation, the proposer's beacon proof as the first transaction and validator updates
// that act two blocks later. Every message is a signed transaction.
//
// The hosts are plain structs with real keys that do what package host does, block by block and
// without a clock: they report ready, commit logs, open what was drawn, re-run what they were drawn
// for, commit and reveal verdicts and dispute middle digests that they know to be wrong. Each step
// can be bent; see cheat.
//
//	network_test.go  the chain and its blocks
//	host_test.go     an honest host, and the places where it can be bent
//	units_test.go    engines: the real one with a memory, and a stand-in
//	the others       promises, by subject; each cheat and each refusal is a named case
//
// Where arithmetic is the subject, units are computed by poc/work's reference and remembered for
// the whole test run. Where voting is the subject, a stand-in engine gives a hash for a unit: the
// chain takes any engine, and neither votes nor judgements look inside a unit. Everything is
// deterministic; what is random says its seed.
//
// It is one large package on purpose: each test binary that holds the chain takes longer to link
// than to run.
package sim
