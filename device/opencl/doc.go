// SPDX-License-Identifier: Apache-2.0

// Package opencl is the engine for GPUs of any maker: the reference's bytes,
// computed by kernels in OpenCL C 1.2 that the device's own driver compiles when
// the engine starts. It needs neither cgo nor a vendor's SDK.
//
//	matmul/1       prf -> quads -> product, condensed in registers -> SHA-256
//	transformer/1  weights expanded once; up to a thousand nonces at a time run
//	               through all layers; digests and norms come back
//
// A product's factors lie in quads: words of four neighbouring elements along
// the depth, side by side for neighbouring rows. It is the order in which the
// prf writes, the products read and the products' own epilogues write again, so
// nothing is ever transposed. A group of work-items keeps a block of results in
// registers, 128 by 128, and what is left of it when the product ends goes
// through one epilogue: condensed words, requantised activations, the gate, or
// the residual stream. The int32 results themselves never reach memory.
//
// Units too large for the device are cut into blocks, and long kernels into
// pieces, because drivers of graphics cards stop a kernel that takes seconds.
// Two blocks, or batches, are under way at a time, so the device does not wait
// for the host. One that has no memory for a class says how much it needs.
//
// What multiplies is chosen when the engine starts. Where the driver offers
// packed dot products (cl_khr_integer_dot_product) these are tried first, and
// used if the self-test passes with them; else sums of four widened bytes, which
// AMD's compiler turns into dot instructions itself. Falling back is logged. The
// matrix units of AMD, Intel and NVIDIA are not used.
//
// How far this is known to work: the tests run it on a processor's runtime
// (PoCL), where every result is compared with the reference, and clang compiles
// it for several AMD GPUs without spilling registers. It has not run on a GPU,
// and nothing is claimed about its speed on one. Package device runs the
// self-test before it uses a device, whatever the device is.
package opencl
