// SPDX-License-Identifier: Apache-2.0

// What CUDA's headers would give, as far as it is needed: clang compiles these
// kernels without a file of NVIDIA's.

#pragma once

#define __global__ __attribute__((global))
// Everything is inlined: results are in registers, which no call could pass.
#define __inlined__ __attribute__((device, always_inline))
#define __device__ __inlined__ inline
#define __shared__ __attribute__((shared))
#define __bounds__(threads, ctas) __attribute__((launch_bounds(threads, ctas)))
#define ENTRY extern "C" __global__

typedef signed char i8;
typedef unsigned char u8;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef u32 u32x2 __attribute__((ext_vector_type(2)));
typedef u32 u32x4 __attribute__((ext_vector_type(4)));
typedef i32 i32x4 __attribute__((ext_vector_type(4)));

static __device__ u32 thread() { return __nvvm_read_ptx_sreg_tid_x(); }
static __device__ u32 cta() { return __nvvm_read_ptx_sreg_ctaid_x(); }

// item is the number of a thread in a launch of one dimension.
static __device__ u32 item() { return cta() * __nvvm_read_ptx_sreg_ntid_x() + thread(); }

static __device__ void barrier() { asm volatile("bar.sync 0;" ::: "memory"); }

// xorLane is another lane's value. Every lane of the warp takes part.
static __device__ u32 xorLane(u32 v, u32 mask) { return (u32)__nvvm_shfl_sync_bfly_i32(0xffffffff, (i32)v, (i32)mask, 31); }

static __device__ u32 rotl(u32 x, u32 n) { return x << n | x >> (32 - n); }
static __device__ u32 swapBytes(u32 x) { return __builtin_bswap32(x); }

// Sums wrap, as they do in the definition: unsigned, so that no compiler may
// think otherwise.
static __device__ u32 fmix32(u32 h) {
  h ^= h >> 16;
  h *= 0x85ebca6b;
  h ^= h >> 13;
  h *= 0xc2b2ae35;
  return h ^ h >> 16;
}

static const u32 golden = 0x9E3779B9;
