// SPDX-License-Identifier: Apache-2.0

// The product: a group computes a block of BM x BN in registers, a work-item
// four by four elements of it, MG down and NG across. Operands pass through
// local memory, KW words of the depth at a time, while the next ones are on
// their way. Every kernel differs only in what it does with the result.

// Where a work-item's rows and columns are in a block.
#define ROW(r) (4 * WY * ((r) / 4) + 4 * (item / WX) + (r) % 4)
#define COL(c) (4 * WX * ((c) / 4) + 4 * (item % WX) + (c) % 4)

// What a group loads at a time of A and of B, in vectors of four words.
#define LOADA (BM * KW / 4 / ITEMS)
#define LOADB (BN * KW / 4 / ITEMS)
#define ROOM (2 * KW * (BM + BN)) // words of local memory, both halves

#define PRODUCT_ARGS \
  __global const uint *a, uint pitchA, __global const uint *b, uint pitchB, uint words, uint firstBlock, uint downBlocks, uint acrossBlocks

// Groups take blocks in bands of eight rows of blocks, columns first, so that
// those at work together share operands in the cache.
#define PRODUCT(result)                                                                    \
  __local uint room[ROOM] __attribute__((aligned(16)));                                    \
  const uint item = get_local_id(0);                                                       \
  uint row0, col0;                                                                         \
  place(&row0, &col0, firstBlock, downBlocks, acrossBlocks);                               \
  int result[TR][TC];                                                                      \
  product(result, item, a, pitchA, b, pitchB, words, row0, col0, room)

static inline void place(uint *row, uint *col, uint firstBlock, uint downBlocks, uint acrossBlocks) {
  const uint id = get_group_id(0), band = id / (8 * acrossBlocks), in = id % (8 * acrossBlocks);
  const uint down = min(8u, downBlocks - 8 * band);
  *row = BM * (firstBlock + 8 * band + in % down);
  *col = BN * (in / down);
}

// Vectors of four words in local and global memory, which are aligned to their
// size: rows are padded to more than that.
#define LOCAL4(p) (*(__local uint4 *)(p))
#define GLOBAL4(p) (*(__global const uint4 *)(p))

static inline void spread(uint to[4], uint4 v) {
  to[0] = v.s0;
  to[1] = v.s1;
  to[2] = v.s2;
  to[3] = v.s3;
}

static inline void multiply(int c[TR][TC], uint item, __local uint *a, __local uint *b) {
  a += 4 * (item / WX);
  b += 4 * (item % WX);
#pragma unroll UNROLL
  for (int k = 0; k < KW; k++) {
    uint x[TR], y[TC];
#pragma unroll
    for (int g = 0; g < MG; g++) spread(&x[4 * g], LOCAL4(&a[k * BM + 4 * WY * g]));
#pragma unroll
    for (int g = 0; g < NG; g++) spread(&y[4 * g], LOCAL4(&b[k * BN + 4 * WX * g]));
#pragma unroll
    for (int i = 0; i < TR; i++)
#pragma unroll
      for (int j = 0; j < TC; j++) c[i][j] = DOT4(x[i], y[j], c[i][j]);
  }
}

static inline void product(int c[TR][TC], uint item, __global const uint *a, uint pitchA, __global const uint *b, uint pitchB, uint words, uint row0, uint col0, __local uint *room) {
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j++) c[i][j] = 0;
  __local uint *at = room;
  uint4 nextA[LOADA], nextB[LOADB];
  for (uint k = 0; k <= words; k += KW) { // once more than there is to load
    if (k < words) {
#pragma unroll
      for (int i = 0; i < LOADA; i++) {
        const uint n = item + i * ITEMS;
        nextA[i] = GLOBAL4(&a[(size_t)(k + n / (BM / 4)) * pitchA + row0 + n % (BM / 4) * 4]);
      }
#pragma unroll
      for (int i = 0; i < LOADB; i++) {
        const uint n = item + i * ITEMS;
        nextB[i] = GLOBAL4(&b[(size_t)(k + n / (BN / 4)) * pitchB + col0 + n % (BN / 4) * 4]);
      }
    }
    if (k > 0) {
      multiply(c, item, at, at + KW * BM);
      at = at == room ? room + KW * (BM + BN) : room;
    }
    if (k < words) {
#pragma unroll
      for (int i = 0; i < LOADA; i++) LOCAL4(&at[4 * (item + i * ITEMS)]) = nextA[i];
#pragma unroll
      for (int i = 0; i < LOADB; i++) LOCAL4(&at[KW * BM + 4 * (item + i * ITEMS)]) = nextB[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}

// The result itself, for tests and for the limit of what follows.
KERNEL(ITEMS) void bare(PRODUCT_ARGS, __global int *out, uint rows, uint cols) {
  PRODUCT(c);
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j++)
      if (row0 + ROW(i) < rows && col0 + COL(j) < cols) out[(size_t)(row0 + ROW(i)) * cols + col0 + COL(j)] = c[i][j];
}

// The product alone, to be timed: a sum keeps it from being left out.
KERNEL(ITEMS) void idle(PRODUCT_ARGS, __global int *out) {
  PRODUCT(c);
  int sum = 0;
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j++) sum ^= c[i][j];
  out[get_global_id(0)] = sum;
}

// The words of a block's tiles of matmul/1, [tile][row]. Tiles is how many there
// are side by side, columns beyond are padding, as are rows beyond rows. What
// each work-item makes of its columns is added up in local memory.
KERNEL(ITEMS) void condense(PRODUCT_ARGS, __global uint *out, uint rows, uint tiles) {
  PRODUCT(c);
#pragma unroll
  for (int t = 0; t < BN / 64; t++) {
#pragma unroll
    for (int i = 0; i < TR; i++) {
      uint sum = 0;
#pragma unroll
      for (int j = 0; j < TC; j++)
        if (4 * WX * (j / 4) / 64 == t) sum += fmix((uint)c[i][j] + COL(j) % 64 * GOLDEN);
      room[ROW(i) * (WX + 1) + item % WX] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint r = item; r < BM; r += ITEMS) {
      uint sum = 0;
      for (int x = 0; x < WX; x++) sum += room[r * (WX + 1) + x];
      const uint row = row0 + r, tile = col0 / 64 + t;
      if (row < rows && tile < tiles) out[(row / 64 * tiles + tile) * 64 + row % 64] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}

// Activations: requantised, in quads.
KERNEL(ITEMS) void requant(PRODUCT_ARGS, __global uint *out, uint pitch, uint shift) {
  PRODUCT(c);
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j += 4)
      out[(size_t)((col0 + COL(j)) / 4) * pitch + row0 + ROW(i)] =
        pack4(byteOf(rsh(c[i][j], shift)), byteOf(rsh(c[i][j + 1], shift)), byteOf(rsh(c[i][j + 2], shift)), byteOf(rsh(c[i][j + 3], shift)));
}

// The gate: columns of g and of u alternate by 4*WX, so that a work-item has
// both of an activation. shift is the product's, gate the gate's own.
static inline int gated(int g, int u, uint shift, uint gate) {
  g = byteOf(rsh(g, shift));
  u = byteOf(rsh(u, shift));
  return byteOf(rsh(max(g, 4 * g) * u, gate));
}

KERNEL(ITEMS) void gate(PRODUCT_ARGS, __global uint *out, uint pitch, uint shift, uint gate) {
  PRODUCT(c);
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j += 8) {
      const uint col = col0 / 2 + 4 * WX * (j / 8) + 4 * (item % WX);
      out[(size_t)(col / 4) * pitch + row0 + ROW(i)] =
        pack4(gated(c[i][j], c[i][j + 4], shift, gate), gated(c[i][j + 1], c[i][j + 5], shift, gate),
             gated(c[i][j + 2], c[i][j + 6], shift, gate), gated(c[i][j + 3], c[i][j + 7], shift, gate));
    }
}

// Onto the residual stream, rows of width.
KERNEL(ITEMS) void residual(PRODUCT_ARGS, __global int *h, uint width, uint shift, int most) {
  PRODUCT(c);
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j += 4) {
      __global int *at = &h[(size_t)(row0 + ROW(i)) * width + col0 + COL(j)];
      int4 add = (int4)(rsh(c[i][j], shift), rsh(c[i][j + 1], shift), rsh(c[i][j + 2], shift), rsh(c[i][j + 3], shift));
      vstore4(clamp(vload4(0, at) + add, -most, most), 0, at);
    }
}
