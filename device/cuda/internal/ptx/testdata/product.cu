// SPDX-License-Identifier: Apache-2.0
// C = A * B by tensor cores: blocks of 64 x 64 by four warps, three stages of
// asynchronous copies, swizzled shared memory. B is given by columns.
#include "prelude.h"

static __device__ void fetch(u32 to, const void *from) {
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}
static __device__ u32 at(u32 row, u32 chunk) { return row * 64 + ((chunk ^ (row >> 1 & 3)) << 4); }

extern "C" __global__ __attribute__((launch_bounds(128))) void product(const i8 *a, const i8 *b, int *c, u32 n, u32 k) {
	__shared__ __attribute__((aligned(128))) i8 stages[3 * 128 * 64];
	u32 t = TID, lane = t & 31, wm = t >> 6, wn = t >> 5 & 1;
	u32 rows = __nvvm_read_ptx_sreg_ctaid_y() * 64, columns = CTA * 64, base = address(stages);
	int acc[2][4][4] = {};
	auto load = [&] __attribute__((device)) (u32 step) {
		u32 stage = base + step % 3 * 8192;
#pragma unroll
		for (u32 i = 0; i < 2; i++) {
			u32 row = (t >> 2) + i * 32, chunk = t & 3;
			fetch(stage + at(row, chunk), a + (u64)(rows + row) * k + step * 64 + chunk * 16);
			fetch(stage + 4096 + at(row, chunk), b + (u64)(columns + row) * k + step * 64 + chunk * 16);
		}
	};
	u32 steps = k / 64;
	for (u32 s = 0; s < 2; s++) {
		if (s < steps) load(s);
		asm volatile("cp.async.commit_group;");
	}
	for (u32 step = 0; step < steps; step++) {
		asm volatile("cp.async.wait_group 1;" ::: "memory");
		sync();
		if (step + 2 < steps) load(step + 2);
		asm volatile("cp.async.commit_group;");
		u32 stage = base + step % 3 * 8192;
#pragma unroll
		for (u32 half = 0; half < 2; half++) {
			u32 x[2][4], y[2][4];
#pragma unroll
			for (u32 i = 0; i < 2; i++) {
				asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
					: "=r"(x[i][0]), "=r"(x[i][1]), "=r"(x[i][2]), "=r"(x[i][3])
					: "r"(stage + at(wm * 32 + i * 16 + (lane & 15), half * 2 + (lane >> 4))));
				asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
					: "=r"(y[i][0]), "=r"(y[i][1]), "=r"(y[i][2]), "=r"(y[i][3])
					: "r"(stage + 4096 + at(wn * 32 + i * 16 + (lane & 7) + (lane >> 4) * 8, half * 2 + (lane >> 3 & 1))));
			}
#pragma unroll
			for (u32 i = 0; i < 2; i++)
#pragma unroll
				for (u32 j = 0; j < 4; j++)
					asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
						: "+r"(acc[i][j][0]), "+r"(acc[i][j][1]), "+r"(acc[i][j][2]), "+r"(acc[i][j][3])
						: "r"(x[i][0]), "r"(x[i][1]), "r"(x[i][2]), "r"(x[i][3]), "r"(y[j / 2][j % 2 * 2]), "r"(y[j / 2][j % 2 * 2 + 1]));
		}
	}
	for (u32 i = 0; i < 2; i++)
		for (u32 j = 0; j < 4; j++)
			for (u32 r = 0; r < 4; r++)
				c[(rows + wm * 32 + i * 16 + (lane >> 2) + r / 2 * 8) * n + columns + wn * 32 + j * 8 + (lane & 3) * 2 + r % 2] = acc[i][j][r];
}
