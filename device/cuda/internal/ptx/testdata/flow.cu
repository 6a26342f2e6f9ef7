// SPDX-License-Identifier: Apache-2.0
// Control flow, types and memory spaces as clang compiles them.
#include "prelude.h"

// Steps of the Collatz sequence: loops of different lengths, with branches inside.
extern "C" __global__ void collatz(u32 *out, const u32 *in, u32 n) {
	u32 i = CTA * 64 + TID;
	if (i >= n) return;
	u64 x = in[i];
	u32 steps = 0;
	while (x != 1) {
		if (x & 1) {
			x = 3 * x + 1;
			if (x % 5 == 0) steps += 1000;
		} else {
			x >>= 1;
		}
		steps++;
		if (steps > 100000) { steps = ~0u; break; }
	}
	out[i] = steps;
}

// Nested loops whose bounds differ by lane, with continue and break.
extern "C" __global__ void nested(u32 *out, const u32 *in) {
	u32 x = in[TID], sum = 0;
	for (u32 i = 0; i < (x & 15); i++) {
		for (u32 j = i; j < (x >> 4 & 31); j++) {
			if ((i ^ j) % 3 == 0) continue;
			if (i * j > 100) break;
			sum += i * j + 1;
			volatile u32 sink = sum;
			sum = sink;
		}
		if (sum % 17 == 11) { sum ^= x; if (sum & 1) goto done; }
	}
done:
	out[TID] = sum;
}

// Every case leaves another value; the compiler makes jump tables or trees of it.
extern "C" __global__ void cases(u32 *out, const u32 *in) {
	u32 x = in[TID], y = 0;
	volatile u32 *o = out;
	switch (x) {
	case 0: o[TID] = 5; y = 1; break;
	case 1: y = o[TID + 256] + 3;
	case 2: y += 7; o[TID] = y; break;
	case 3: y = x * 9; break;
	case 4: o[TID] = 1; o[TID] = o[TID] + 1; y = 4; break;
	case 5: return;
	case 6: y = o[TID + 257]; break;
	default: y = 99;
	}
	o[TID] = y * 3 + x;
}

struct pair { u64 a; u16 b; i8 c[5]; };
__constant__ const short table[16] = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 13, -14, 15, -16};
__device__ u32 counters[4] = {7, 8, 9};

// Structures as parameters, constant and global variables, local arrays, bytes.
extern "C" __global__ void spaces(u64 *out, const i8 *in, pair p) {
	u32 t = TID;
	u8 stack[24];
	for (u32 i = 0; i < 24; i++) stack[(i * 7 + t) % 24] = (u8)(in[t] * i + p.c[i % 5]);
	long long sum = p.a / (t + 1) + p.b;
	for (u32 i = 0; i < 24; i++) sum = sum * 31 + stack[(i + in[t + 1]) % 24 & 15];
	sum += table[t & 15] + (long long)counters[t & 3] * (short)in[t + 2];
	out[t] = sum;
}

// The sum of a block by shared memory and shuffles, then atomically over blocks.
extern "C" __global__ void total(u32 *out, const u32 *in, u32 n) {
	__shared__ u32 part[8];
	u32 sum = 0;
	for (u32 i = CTA * 256 + TID; i < n; i += 512) sum += in[i];
	for (u32 d = 16; d; d >>= 1) asm volatile("{ .reg .u32 t; shfl.sync.bfly.b32 t, %0, %1, 31, -1; add.u32 %0, %0, t; }" : "+r"(sum) : "r"(d));
	if (TID % 32 == 0) part[TID / 32] = sum;
	sync();
	if (TID == 0) {
		u32 all = 0;
		for (u32 i = 0; i < 8; i++) all += part[i];
		asm volatile("red.global.add.u32 [%0], %1;" ::"l"(out), "r"(all) : "memory");
	}
}
