// SPDX-License-Identifier: Apache-2.0

// What the kernels use of OpenCL C's library, for a compiler that comes without
// it, so that it can be seen what it makes of them. Nobody runs the result.
#define OVER __attribute__((overloadable, always_inline)) static

OVER int4 wide4(char4 x) { return __builtin_convertvector(x, int4); }
OVER uint turn(uint a, uint b) { return a << (b & 31) | a >> (32 - (b & 31) & 31); }
OVER int within(int x, int a, int b) { return x < a ? a : x > b ? b : x; }
OVER long within(long x, long a, long b) { return x < a ? a : x > b ? b : x; }
OVER int4 within(int4 x, int a, int b) { return (int4)(within(x.s0, a, b), within(x.s1, a, b), within(x.s2, a, b), within(x.s3, a, b)); }
OVER int4 get4(size_t i, __global const int *p) { return (int4)(p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]); }
OVER uint4 get4(size_t i, __global const uint *p) { return (uint4)(p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]); }
OVER void put4(int4 v, size_t i, __global int *p) { p[4 * i] = v.s0; p[4 * i + 1] = v.s1; p[4 * i + 2] = v.s2; p[4 * i + 3] = v.s3; }

#define convert_int4 wide4
#define rotate turn
#define clamp within
#define vload4 get4
#define vstore4 put4
#define bitselect(a, b, c) (((c) & (b)) | (~(c) & (a)))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define clz(x) ((x) ? __builtin_clz(x) : 32)
#define get_local_id(x) __builtin_amdgcn_workitem_id_x()
#define get_group_id(x) __builtin_amdgcn_workgroup_id_x()
#define get_global_id(x) ((x) ? __builtin_amdgcn_workgroup_id_y() : __builtin_amdgcn_workgroup_id_x() * 64 + __builtin_amdgcn_workitem_id_x())
#define get_global_size(x) 64
#define barrier(x)                                       \
  do {                                                   \
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup"); \
    __builtin_amdgcn_s_barrier();                        \
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup"); \
  } while (0)
