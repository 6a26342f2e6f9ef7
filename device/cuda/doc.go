// SPDX-License-Identifier: Apache-2.0

// Package cuda is the engine for NVIDIA's devices from Turing on: the reference's
// bytes from their tensor cores.
//
// It needs nothing but the driver. Kernels are CUDA C without NVIDIA's headers
// (kernels/*.cu); clang makes PTX of them, which is committed, embedded and
// compiled for the device at hand by the driver. The driver itself is loaded at
// run time, without cgo (package dynlib), through the thirty functions of
// libcuda.go.
//
// # What runs where
//
// All that a unit is made of is made on the device, and only digests leave it:
//
//	matmul/1       expand A, expand B -> condensed (the product) -> tileDigests
//	               -> leaves -> fold, fold: the unit's root
//	transformer/1  once per model: expandWeights
//	               embed, per layer: norm -> narrow (q,k,v) -> attend -> residual (o)
//	               -> norm -> gated (g,u) -> residual (down); condense -> digests, norms
//
// Five of these are the same product (kernels/product.h) with another epilogue.
// A CTA of 8 warps computes 128 x 256 results, a warp 64 x 64, which it holds in
// registers: as many as there are room for, since each byte that is read from
// shared memory is then used most. The operands come 64 bytes of depth at a time,
// by cp.async four stages deep on sm_80 and through registers on sm_75. There is
// no C: a warp's 64 x 64 results are just one tile of matmul/1, and are condensed,
// requantised, gated or added to the residual stream where they are. So that a
// lane may write its part of a row at once, the weights' rows are permuted when
// they are expanded, and those of gating and up alternate, so that a lane which
// has a g has its u.
//
// Sums wrap at 32 bits, as the definition's do; no saturating instruction and no
// float is used. The only table, transformer's EXP2, comes from that package.
//
// # Memory
//
// A unit of matmul/1 holds its factors, at most 256 MiB each: a larger one is cut
// into blocks, and rows of A are kept while the columns of B pass. Small ones, which
// would leave most of the device idle, are computed several at a time, by the same
// launches. A model holds its weights, 16 d^2 bytes a layer. A batch holds 9 d bytes
// a row, four rows to a unit: up to 2048 units, fewer where two batches would take
// more than an eighth of the device. Full batches are what makes it fast.
//
// Two calls are under way at a time, each in a stream, with memory and with an OS
// thread of its own: what the end of one leaves idle, the next one takes, and
// waiting for one does not keep the other from being started. All calls of a
// device go through these two goroutines.
//
// # How it is known to be right
//
// The tests execute the shipped PTX itself, of both targets, in an interpreter
// (internal/ptx) under this very engine: published vectors, random products,
// whole units. It runs warps in random order and finds races in shared memory,
// copies that nobody waited for, and accesses out of bounds. Where there is a
// device the same tests run on it too. Of the binding to libcuda only the passing
// of arguments can be tested without one.
//
// THIS ENGINE HAS NEVER RUN ON A GPU. Its PTX was interpreted, and assembled by
// NVIDIA's ptxas 11.8 for sm_75, sm_80, sm_86, sm_89 and sm_90, without spills.
// Nothing was ever timed, and nothing may be said of its speed: neither the CTA of
// 128 x 256 nor the stages, two streams, 512 CTAs or batches of 2048 were chosen by
// measuring. There are no kernels for wgmma (sm_90a), which Hopper needs for all of
// its peak. What decides is the self-test at start (work.SelfTest), and again now
// and then: a device that fails it is not used.
//
// # Changing the kernels
//
// go generate ./device/cuda compiles them again; kernels/generate.sh names the
// version of clang whose text is committed. NVIDIA's assembler says what the
// registers and spills are, where somebody has it (it comes with the CUDA toolkit,
// and is neither needed nor shipped):
//
//	ptxas -v -arch=sm_80 kernels/matmul_sm_80.ptx -o /dev/null
//
// On a device, compute-sanitizer checks memory and races:
//
//	go test -c ./device/cuda && compute-sanitizer --tool racecheck ./cuda.test
package cuda
