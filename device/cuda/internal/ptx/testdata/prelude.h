// SPDX-License-Identifier: Apache-2.0
// What CUDA's headers would give.
#define __global__ __attribute__((global))
#define __device__ __attribute__((device)) inline
#define __constant__ __attribute__((constant))
#define __shared__ __attribute__((shared))
typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define TID __nvvm_read_ptx_sreg_tid_x()
#define CTA __nvvm_read_ptx_sreg_ctaid_x()
static __device__ void sync() { asm volatile("bar.sync 0;" ::: "memory"); }
static __device__ u32 address(const void *p) { return (u32)(u64)(__attribute__((address_space(3))) const void *)p; }
