// SPDX-License-Identifier: Apache-2.0

// matmul/1: rows of A and columns of B from the prf, their product condensed
// tile by tile, and the tiles' digests.

#include "prf.h"
#include "product.h"
#include "sha256.h"

// expand makes streams first, first+1, ... of each unit's key, rows of them, one
// below the other; a unit's begin at a multiple of room rows. A stream has blocks
// blocks, and count is the number of blocks in all.
ENTRY void expand(i8 *dst, const Key *keys, u32 first, u32 rows, u32 room, u32 blocks, u32 count) {
  u32 i = item();
  if (i >= count) return;
  u32 unit = i / blocks / rows, row = i / blocks % rows, block = i % blocks;
  u32 out[16];
  prfBlock(out, keys[unit], first + row, block);
  store(dst + (((u64)unit * room + row) * blocks + block) * 64, out);
}

template <bool mix>
static __device__ void toWords(Acc &acc, u32 unit, u32 row, u32 col, u32 lane, u32 down, u32 across, u32 *words) {
  u32 ti = row / 64, tj = col / 64;
  if (ti >= down || tj >= across) return; // the whole warp
  u32 *dst = words + (((u64)unit * down + ti) * across + tj) * 64 + lane / 4;
  u32 position = lane % 4 * 2 * golden;
#pragma unroll
  for (u32 i = 0; i < 4; i++)
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
      u32 sum = 0;
#pragma unroll
      for (u32 j = 0; j < 8; j++)
#pragma unroll
        for (u32 e = 0; e < 2; e++) {
          u32 c = (u32)acc[i][j][2 * half + e];
          sum += mix ? fmix32(c + position + (8 * j + e) * golden) : c;
        }
      sum += xorLane(sum, 1);
      sum += xorLane(sum, 2);
      if (lane % 4 == 0) dst[16 * i + 8 * half] = sum;
    }
}

// condensed writes the 64 words of each of a unit's down x across tiles, row-major.
ENTRY void __bounds__(threads, 1) condensed(const i8 *a, const i8 *b, u32 k, u32 down, u32 across, u32 *words) {
  product(a, b, k, (down + 1) / 2, (across + 3) / 4, [&] __inlined__ (Acc &acc, u32 unit, u32 row, u32 col, u32 lane) {
    toWords<true>(acc, unit, row, col, lane, down, across, words);
  });
}

// summed is condensed without the mixing: to measure what that costs.
ENTRY void __bounds__(threads, 1) summed(const i8 *a, const i8 *b, u32 k, u32 down, u32 across, u32 *words) {
  product(a, b, k, (down + 1) / 2, (across + 3) / 4, [&] __inlined__ (Acc &acc, u32 unit, u32 row, u32 col, u32 lane) {
    toWords<false>(acc, unit, row, col, lane, down, across, words);
  });
}

// bare writes the product itself, m x n: to compare.
ENTRY void __bounds__(threads, 1) bare(const i8 *a, const i8 *b, u32 k, u32 m, u32 n, i32 *c) {
  product(a, b, k, (m + ctaRows - 1) / ctaRows, (n + ctaCols - 1) / ctaCols, [&] __inlined__ (Acc &acc, u32, u32 row, u32 col, u32 lane) {
#pragma unroll
    for (u32 i = 0; i < 4; i++)
#pragma unroll
      for (u32 j = 0; j < 8; j++)
#pragma unroll
        for (u32 r = 0; r < 4; r++) {
          u32 y = row + 16 * i + 8 * (r / 2) + lane / 4, x = col + 8 * j + lane % 4 * 2 + r % 2;
          if (y < m && x < n) c[(u64)y * n + x] = acc[i][j][r];
        }
  });
}

// tileDigests hashes the 64 words of each of down x across tiles. The digest of
// tile (i, j) goes to place i*stride + j.
ENTRY void tileDigests(u32 *dst, const u32 *words, u32 across, u32 stride, u32 count) {
  u32 i = item();
  if (i >= count) return;
  Sha256 sha;
  sha.start();
  const u32x4 *from = (const u32x4 *)(words + (u64)i * 64);
#pragma unroll 1
  for (u32 block = 0; block < 5; block++) {
    u32 w[16];
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
      u32x4 v = {0, 0, 0, 0}; // the fifth block is padding
      if (block < 4) v = from[block * 4 + j];
#pragma unroll
      for (u32 c = 0; c < 4; c++) w[4 * j + c] = swapBytes(v[c]);
    }
    if (block == 4) {
      w[0] = 0x80000000;
      w[15] = 64 * 32;
    }
    sha.block(w);
  }
  sha.end(dst + ((u64)(i / across) * stride + i % across) * 8);
}

// Nodes of the RFC 6962 tree are kept as SHA-256's words: big-endian ones, read.
// shiftedIn puts a byte before 32: what it pushes out is the next first byte.
static __device__ u32 shiftedIn(u32 *w, u32 before, const u32 (&node)[8]) {
#pragma unroll
  for (u32 i = 0; i < 8; i++) {
    w[i] = before << 24 | node[i] >> 8;
    before = node[i] & 0xff;
  }
  return before;
}

// leaves makes tree leaves of tile digests: SHA-256 of 0x00 and the digest.
ENTRY void leaves(u32 *dst, const u32 *digests, u32 count) {
  u32 i = item();
  if (i >= count) return;
  u32 digest[8], w[16];
#pragma unroll
  for (u32 j = 0; j < 8; j++) digest[j] = swapBytes(digests[(u64)i * 8 + j]);
  w[8] = shiftedIn(w, 0x00, digest) << 24 | 0x800000;
#pragma unroll
  for (u32 j = 9; j < 15; j++) w[j] = 0;
  w[15] = 33 * 8;
  Sha256 sha;
  sha.start();
  sha.block(w);
#pragma unroll
  for (u32 j = 0; j < 8; j++) dst[(u64)i * 8 + j] = sha.h[j];
}

// fold replaces every 256 of a unit's count nodes, and what is left at the end, by
// the root over them. A CTA of 128 threads makes one. The last one's bytes are in
// order: where one node is left of a unit, it is the digest.
ENTRY void fold(u32 *dst, const u32 *src, u32 count) {
  u32 ctas = (count + 255) / 256, first = cta() % ctas * 256, t = thread();
  src += (u64)(cta() / ctas) * count * 8;
  static __shared__ u32 nodes[8][256];
  u32 n = count - first < 256 ? count - first : 256;
  for (u32 i = t; i < n; i += 128)
#pragma unroll
    for (u32 j = 0; j < 8; j++) nodes[j][i] = src[(u64)(first + i) * 8 + j];
  barrier();
#pragma unroll 1
  while (n > 1) {
    u32 left[8], right[8];
    bool pair = 2 * t + 1 < n, single = 2 * t + 1 == n; // an odd one out moves up
    if (pair || single)
#pragma unroll
      for (u32 j = 0; j < 8; j++) left[j] = nodes[j][2 * t];
    if (pair) {
#pragma unroll
      for (u32 j = 0; j < 8; j++) right[j] = nodes[j][2 * t + 1];
      u32 w[16];
      u32 last = shiftedIn(w + 8, shiftedIn(w, 0x01, left), right);
      Sha256 sha;
      sha.start();
#pragma unroll 1
      for (u32 block = 0; block < 2; block++) {
        sha.block(w);
        w[0] = last << 24 | 0x800000;
#pragma unroll
        for (u32 j = 1; j < 15; j++) w[j] = 0;
        w[15] = 65 * 8;
      }
#pragma unroll
      for (u32 j = 0; j < 8; j++) left[j] = sha.h[j];
    }
    barrier();
    if (pair || single)
#pragma unroll
      for (u32 j = 0; j < 8; j++) nodes[j][t] = left[j];
    n = (n + 1) / 2;
    barrier();
  }
  if (t < 8) dst[cta() * 8 + t] = count <= 256 ? swapBytes(nodes[t][0]) : nodes[t][0];
}
