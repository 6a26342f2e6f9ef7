// SPDX-License-Identifier: Apache-2.0

// Package ptx runs PTX on a CPU, so that tests without a GPU execute the very
// kernels that are shipped.
//
// Parse reads a module and compiles each instruction to a closure over a whole
// warp. A Machine is device memory and what modules keep in it; Launch runs a
// kernel over a grid. It knows the integer part of PTX that clang emits for our
// kernels, with tensor cores and asynchronous copies, and refuses the rest when
// it parses: nothing is skipped.
//
// It is stricter than a device, because a device forgives by accident:
//
//   - an access outside of a live allocation, to a freed one, or misaligned is
//     an error, and so is a read of memory that nothing wrote;
//   - the order of blocks and the turns of warps are drawn from a seed, which a
//     fault prints so that it can be repeated;
//   - shared memory has a race detector (see race.go) that finds a missing
//     barrier whatever the schedule was;
//   - a cp.async lands only when its lane waits for its group, and its bytes are
//     noise before that;
//   - a barrier, shuffle or matrix instruction that only some of its lanes reach
//     is an error, and so is a barrier that can never be complete;
//   - so is a division by zero, whose result no device promises.
//
// What it cannot show: speed, races between lanes of one warp (they run in
// lockstep) and in global memory, and whether the driver's compiler takes the
// source. Lanes that part at a branch meet again at its immediate
// post-dominator, as that compiler has them do. What only sm_90 has (mbarrier,
// bulk copies, wgmma) is refused until a kernel of ours needs it.
//
// It is one package though it is long: the instruction set is wide, not deep.
// scope.go, lex.go and parse.go read; compile.go, arith.go, bits.go, moves.go,
// access.go, collective.go, matrix.go and async.go are the families of opcodes;
// warp.go, schedule.go, race.go, memory.go and machine.go run.
package ptx
