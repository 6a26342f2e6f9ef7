// SPDX-License-Identifier: Apache-2.0

// Package enginetest holds an engine to the definition, exact to the bit. It is
// for tests: of package cpu, cuda, opencl and of whichever engine comes next.
//
//	Vectors                    the published vectors of matmul/1 and transformer/1
//	Units, Models              whole units, in calls of the sizes that an engine's
//	                           blocks and batches make interesting
//	RandomUnits, RandomModels  any others, on several engines at a time
//	Concurrent                 callers side by side
//	Refuses                    calls that do not fit, and contexts that have ended
//	Products, Limits, Product  the bare product that all else is made of
//
// What an engine takes at a time is its own affair: a test sets its limits, then
// asks for sizes around them. What only one engine has stays with it.
//
// The definition is slow, and asked the same for every instruction set, target
// or variant of an engine. So it is remembered what it said, for as long as the
// tests of a package run.
//
// The vectors are found from the folder of a package next to this one, which is
// where go test runs its tests. An engine that pretends, for tests of everything
// else, is in worker/enginetest.
package enginetest
