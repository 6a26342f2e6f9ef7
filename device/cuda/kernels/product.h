// SPDX-License-Identifier: Apache-2.0

// The product that everything here is made of: C = A*B for int8, exact in int32
// (sums wrap). A is rows of k bytes, B is columns of k bytes, k a multiple of 64.
//
// A CTA of 8 warps computes 128 rows by 256 columns, a warp 64 by 64, which is
// also the tile that is condensed. The operands go through shared memory 64
// bytes of depth at a time, rows of 64 bytes whose 16-byte chunks are permuted so
// that ldmatrix meets no bank twice. What becomes of the results is the epilogue's
// affair; C is never in memory.
//
// A and B are read up to the next multiple of 128 rows and of 256 columns: there
// must be memory, and what lies in it does not matter.

#pragma once
#include "prelude.h"

static const u32 ctaRows = 128, ctaCols = 256, depth = 64;
static const u32 threads = 256;
static const u32 stageBytes = (ctaRows + ctaCols) * depth;

#if __CUDA_ARCH__ >= 800
static const u32 stages = 4; // 96 KiB
#else
static const u32 stages = 2; // 48 KiB
#endif

extern __shared__ __attribute__((aligned(128))) i8 staged[];

// Acc is what one lane holds of its warp's 64 x 64 results. Of element
// [i][j][2*half + e] the row is 16*i + 8*half + lane/4 and the column 8*j +
// 2*(lane%4) + e.
typedef i32 Acc[4][8][4];

// swizzled is where chunk c (0..3) of row r is in a stage's part.
static __device__ u32 swizzled(u32 r, u32 c) { return r * depth + ((c ^ (r >> 1 & 3)) << 4); }

static __device__ void loadMatrices(u32 (&r)[4], u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

// multiplyAdd is d += a*b, 16 x 32 by 32 x 8.
static __device__ void multiplyAdd(i32 (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  // The same in quarters: Turing's instruction is 8 x 16 by 16 x 8.
#pragma unroll
  for (int half = 0; half < 2; half++)
#pragma unroll
    for (int k = 0; k < 2; k++)
      asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
                   : "+r"(d[2 * half]), "+r"(d[2 * half + 1]) : "r"(a[2 * k + half]), "r"(k ? b1 : b0));
#endif
}

// multiplyStage adds the products over one stage, whose address is given.
static __device__ void multiplyStage(Acc &acc, u32 stage, u32 warpRow, u32 warpCol, u32 lane) {
  u32 a = stage, b = stage + ctaRows * depth;
#pragma unroll
  for (u32 k = 0; k < depth / 32; k++) {
    u32 fa[4][4], fb[4][4];
#pragma unroll
    for (u32 i = 0; i < 4; i++) loadMatrices(fa[i], a + swizzled(warpRow + 16 * i + (lane & 15), 2 * k + (lane >> 4)));
#pragma unroll
    for (u32 j = 0; j < 4; j++) loadMatrices(fb[j], b + swizzled(warpCol + 16 * j + (lane & 7) + (lane >> 4 << 3), 2 * k + (lane >> 3 & 1)));
#pragma unroll
    for (u32 i = 0; i < 4; i++)
#pragma unroll
      for (u32 j = 0; j < 8; j++) multiplyAdd(acc[i][j], fa[i], fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
  }
}

// product computes the results of this CTA and gives each warp's to use(acc, unit,
// row, col, lane): row and col are where its 64 x 64 results begin. A unit has
// rowBlocks x colBlocks CTAs; there may be several, whose operands lie one behind
// the other, in whole CTAs.
template <class Use>
static __device__ void product(const i8 *a, const i8 *b, u32 k, u32 rowBlocks, u32 colBlocks, Use use) {
  // CTAs that run together form a square rather than a line: they share more of
  // what they read. Eight blocks of rows are walked column by column.
  const u32 group = 8;
  u32 unit = cta() / (rowBlocks * colBlocks), place = cta() % (rowBlocks * colBlocks);
  u32 inGroup = group * colBlocks, first = place / inGroup * group;
  u32 tall = rowBlocks - first < group ? rowBlocks - first : group;
  u32 row = (first + place % inGroup % tall) * ctaRows, col = place % inGroup / tall * ctaCols;
  a += (u64)unit * rowBlocks * ctaRows * k;
  b += (u64)unit * colBlocks * ctaCols * k;

  // Each thread carries a chunk of every 64th row.
  u32 t = thread(), lane = t & 31, warp = t >> 5;
  u32 chunkRow = t >> 2, chunk = t & 3, to = swizzled(chunkRow, chunk);
  const i8 *fromA = a + (u64)(row + chunkRow) * k + chunk * 16, *fromB = b + (u64)(col + chunkRow) * k + chunk * 16;
  u64 stride = (u64)64 * k;
  u32 shared = (u32)(u64)(__attribute__((address_space(3))) i8 *)staged;
  u32 warpRow = warp / 4 * 64, warpCol = warp % 4 * 64, steps = k / depth;

  Acc acc;
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 8; j++)
#pragma unroll
      for (int r = 0; r < 4; r++) acc[i][j][r] = 0;

#if __CUDA_ARCH__ >= 800
  auto load = [&] __inlined__ (u32 step) {
    u32 at = shared + step % stages * stageBytes + to;
#pragma unroll
    for (u32 i = 0; i < stageBytes / depth / 64; i++) {
      const i8 *from = (i < ctaRows / 64 ? fromA + i * stride : fromB + (i - ctaRows / 64) * stride) + step * depth;
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at + i * 64 * depth), "l"(from) : "memory");
    }
  };
  auto commit = [] __inlined__ () { asm volatile("cp.async.commit_group;" ::: "memory"); };
#pragma unroll
  for (u32 s = 0; s < stages - 1; s++) {
    if (s < steps) load(s);
    commit(); // also where it is empty, so that the count below is right to the end
  }
  for (u32 step = 0; step < steps; step++) {
    // All but the youngest stages-2 groups have come, so this step's has; and
    // nobody reads any more what the next load overwrites.
    asm volatile("cp.async.wait_group %0;" ::"n"(stages - 2) : "memory");
    barrier();
    if (step + stages - 1 < steps) load(step + stages - 1);
    commit();
    multiplyStage(acc, shared + step % stages * stageBytes, warpRow, warpCol, lane);
  }
#else
  u32x4 chunks[stageBytes / depth / 64];
  auto load = [&] __inlined__ (u32 step) {
#pragma unroll
    for (u32 i = 0; i < stageBytes / depth / 64; i++)
      chunks[i] = *(const u32x4 *)((i < ctaRows / 64 ? fromA + i * stride : fromB + (i - ctaRows / 64) * stride) + step * depth);
  };
  auto keep = [&] __inlined__ (u32 step) {
#pragma unroll
    for (u32 i = 0; i < stageBytes / depth / 64; i++) *(u32x4 *)(staged + step % stages * stageBytes + to + i * 64 * depth) = chunks[i];
  };
  load(0);
  keep(0);
  barrier();
  for (u32 step = 0; step < steps; step++) {
    if (step + 1 < steps) load(step + 1);
    multiplyStage(acc, shared + step % stages * stageBytes, warpRow, warpCol, lane);
    if (step + 1 < steps) keep(step + 1); // nobody has read that half since the last barrier
    barrier();
  }
#endif
  use(acc, unit, row + warpRow, col + warpCol, lane);
}
