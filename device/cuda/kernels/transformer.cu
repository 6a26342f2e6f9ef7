// SPDX-License-Identifier: Apache-2.0

// transformer/1: all of a batch of units. Rows are positions, four to a unit;
// compare package poc/work/transformer step by step.

#include "prf.h"
#include "product.h"
#include "sha256.h"

// Weights lie in the order in which the product's lanes want their results: of
// each 64 outputs a lane holds 16, and with the rows of the matrix permuted so
// they are neighbours and can be written at once. Place 8*j + 2*q + e of 64 holds
// output 16*q + 2*j + e. Where two matrices are paired (gate and up) every other
// eight places are the second's, so that the lane which has a gate has its up too.
ENTRY void expandWeights(i8 *dst, Key key, u64 nonce, u32 blocks, u32 paired, u32 count) {
  u32 i = item();
  if (i >= count) return;
  u32 place = i / blocks, block = i % blocks;
  u32 j = place >> 3 & 7, q = place >> 1 & 3, e = place & 1;
  u32 row = (place & ~63) + 16 * q + 2 * j + e;
  if (paired) {
    row = (place >> 6 << 5) + 8 * q + (j & ~1) + e;
    nonce += j & 1;
  }
  u32 out[16];
  prfBlock(out, key, nonce, (u64)row * blocks + block);
#pragma unroll
  for (int n = 0; n < 16; n++) out[n] = balanced(out[n]);
  store(dst + (u64)i * 64, out);
}

// embed writes the embeddings of units whose input seeds, four tokens each, are
// in inputs. blocks is d/64.
ENTRY void embed(i32 *h, Key key, const u64 *inputs, u32 blocks, u32 count) {
  u32 i = item();
  if (i >= count) return;
  u32 row = i / blocks, block = i % blocks;
  u32 out[16];
  prfBlock(out, key, inputs[row], row % 4 * blocks + block);
  i32x4 *to = (i32x4 *)(h + (u64)i * 64);
#pragma unroll
  for (int n = 0; n < 16; n++) {
    u32 v = balanced(out[n]);
    to[n] = i32x4{(i32)(v << 24) >> 16, (i32)(v << 16 & 0xff000000) >> 16, (i32)(v << 8 & 0xff000000) >> 16, (i32)(v & 0xff000000) >> 16};
  }
}

static __device__ i32 clamp(i32 x, i32 c) {
  x = x < c ? x : c;
  return x > -c ? x : -c;
}

// shifted is the rounding shift of the definition; s >= 1.
static __device__ i32 shifted(i32 x, u32 s) { return (i32)((u32)x + (1u << (s - 1))) >> s; }

static __device__ u64 addLanes(u64 v, u32 lanes) {
  for (u32 mask = lanes / 2; mask > 0; mask /= 2) v += (u64)xorLane((u32)(v >> 32), mask) << 32 | xorLane((u32)v, mask);
  return v;
}

// squares is the sum of squares of a row, in every lane of the warp.
static __device__ u64 squares(const i32 *h, u32 d, u32 lane) {
  u64 sum = 0;
#pragma unroll 2
  for (u32 i = lane * 4; i < d; i += 128) {
    i32x4 v = *(const i32x4 *)(h + i);
#pragma unroll
    for (int c = 0; c < 4; c++) sum += (u64)((i64)v[c] * v[c]);
  }
  return addLanes(sum, 32);
}

// rootOf is the floor of the square root.
static __device__ u32 rootOf(u64 x) {
  u64 root = 0;
#pragma unroll 1
  for (u64 bit = (u64)1 << 62; bit != 0; bit >>= 2) {
    bool fits = x >= root + bit;
    x -= fits ? root + bit : 0;
    root = (root >> 1) + (fits ? bit : 0);
  }
  return (u32)root;
}

// Reciprocal is 1/r as inv / 2^(30+e).
struct Reciprocal {
  u32 inv, e;
  __device__ Reciprocal(u32 r) {
    e = 32 - __builtin_clz(r);
    u64 q = ((u64)1 << (30 + e)) / r;
    inv = q < 0x7fffffff ? (u32)q : 0x7fffffff;
  }
};

static __device__ i32 scaled(i32 x, u32 inv, u32 s) {
  i64 v = ((i64)x * (i64)inv + ((i64)1 << (s - 1))) >> s;
  v = v < 127 ? v : 127;
  return (i32)(v > -127 ? v : -127);
}

static __device__ u32 packed(i32 a, i32 b, i32 c, i32 d) { return (u32)(a & 0xff) | (u32)(b & 0xff) << 8 | (u32)(c & 0xff) << 16 | (u32)d << 24; }

// norm writes 32*h/rms(h) of each row to x. A warp has a row.
ENTRY void norm(i8 *x, const i32 *h, u32 d, u32 log2d, u32 rows) {
  u32 row = item() >> 5, lane = thread() & 31;
  if (row >= rows) return;
  h += (u64)row * d;
  u32 r = rootOf(squares(h, d, lane) >> log2d << 16);
  Reciprocal inverse(r > 1 ? r : 1);
  u32 *to = (u32 *)(x + (u64)row * d);
  for (u32 i = lane; i < d / 4; i += 32) {
    i32x4 v = ((const i32x4 *)h)[i];
    u32 s = 17 + inverse.e;
    to[i] = packed(scaled(v.x, inverse.inv, s), scaled(v.y, inverse.inv, s), scaled(v.z, inverse.inv, s), scaled(v.w, inverse.inv, s));
  }
}

// narrow multiplies a by n outputs of weights into int8.
ENTRY void __bounds__(threads, 1) narrow(i8 *y, const i8 *a, const i8 *weights, u32 k, u32 n, u32 shift, u32 rows) {
  product(a, weights, k, (rows + ctaRows - 1) / ctaRows, n / ctaCols, [&] __inlined__ (Acc &acc, u32, u32 row, u32 col, u32 lane) {
#pragma unroll
    for (u32 i = 0; i < 4; i++)
#pragma unroll
      for (u32 half = 0; half < 2; half++) {
        u32 at = row + 16 * i + 8 * half + lane / 4;
        if (at >= rows) continue;
        u32x4 v;
#pragma unroll
        for (u32 c = 0; c < 4; c++) {
          i32 *lo = &acc[i][2 * c][2 * half], *hi = &acc[i][2 * c + 1][2 * half];
          v[c] = packed(clamp(shifted(lo[0], shift), 127), clamp(shifted(lo[1], shift), 127), clamp(shifted(hi[0], shift), 127), clamp(shifted(hi[1], shift), 127));
        }
        *(u32x4 *)(y + (u64)at * n + col + lane % 4 * 16) = v;
      }
  });
}

// gated multiplies a by paired weights, 2n outputs, into the n hidden activations
// max(g, 4g)*u.
ENTRY void __bounds__(threads, 1) gated(i8 *z, const i8 *a, const i8 *weights, u32 k, u32 n, u32 shift, u32 gateShift, u32 rows) {
  product(a, weights, k, (rows + ctaRows - 1) / ctaRows, 2 * n / ctaCols, [&] __inlined__ (Acc &acc, u32, u32 row, u32 col, u32 lane) {
#pragma unroll
    for (u32 i = 0; i < 4; i++)
#pragma unroll
      for (u32 half = 0; half < 2; half++) {
        u32 at = row + 16 * i + 8 * half + lane / 4;
        if (at >= rows) continue;
        i32 v[8];
#pragma unroll
        for (u32 c = 0; c < 8; c++) {
          i32 g = clamp(shifted(acc[i][c / 2 * 2][2 * half + c % 2], shift), 127);
          i32 u = clamp(shifted(acc[i][c / 2 * 2 + 1][2 * half + c % 2], shift), 127);
          v[c] = clamp(shifted((g > 0 ? 4 * g : g) * u, gateShift), 127);
        }
        *(u32x2 *)(z + (u64)at * n + col / 2 + lane % 4 * 8) = u32x2{packed(v[0], v[1], v[2], v[3]), packed(v[4], v[5], v[6], v[7])};
      }
  });
}

// residual multiplies a by n outputs of weights onto the residual stream.
ENTRY void __bounds__(threads, 1) residual(i32 *h, const i8 *a, const i8 *weights, u32 k, u32 n, u32 shift, u32 rows) {
  const i32 most = (1 << 23) - 1;
  product(a, weights, k, (rows + ctaRows - 1) / ctaRows, n / ctaCols, [&] __inlined__ (Acc &acc, u32, u32 row, u32 col, u32 lane) {
#pragma unroll
    for (u32 i = 0; i < 4; i++)
#pragma unroll
      for (u32 half = 0; half < 2; half++) {
        u32 at = row + 16 * i + 8 * half + lane / 4;
        if (at >= rows) continue;
        i32x4 *to = (i32x4 *)(h + (u64)at * n + col + lane % 4 * 16);
#pragma unroll
        for (u32 c = 0; c < 4; c++) {
          i32 *lo = &acc[i][2 * c][2 * half], *hi = &acc[i][2 * c + 1][2 * half];
          i32x4 v = to[c];
          v.x = clamp(v.x + shifted(lo[0], shift), most);
          v.y = clamp(v.y + shifted(lo[1], shift), most);
          v.z = clamp(v.z + shifted(hi[0], shift), most);
          v.w = clamp(v.w + shifted(hi[1], shift), most);
          to[c] = v;
        }
      }
  });
}

static __device__ i32 dot4(u32 a, u32 b, i32 c) {
  i32 d;
  asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

static __device__ i32 byteOf(u32 v, u32 i) { return (i32)(v << (24 - 8 * i)) >> 24; }

// weightOf is 65535 * 2^(-below/4096), for below >= 0.
static __device__ u32 weightOf(const u16 *exp2, i32 below) {
  i32 n = below >> 4 < 4095 ? below >> 4 : 4095;
  return (u32)exp2[n & 255] >> (n >> 8);
}

// attend computes the attention of one head of one unit in 16 lanes, each with
// four of its 64 columns. qkv has rows of 3d, o of d; heads is d/64 and even.
ENTRY void attend(i8 *o, const i8 *qkv, const u16 *exp2, u32 d, u32 count) {
  u32 i = item() >> 4, lane = thread() & 15;
  if (i >= count) return; // count is even, so this is the whole warp
  u32 heads = d / 64, column = i % heads * 64 + lane * 4;
  u64 row = (u64)(i / heads) * 4;
  u32 q[4], k[4], v[4];
#pragma unroll
  for (u32 t = 0; t < 4; t++) {
    const i8 *from = qkv + (row + t) * 3 * d + column;
    q[t] = *(const u32 *)from;
    k[t] = *(const u32 *)(from + d);
    v[t] = *(const u32 *)(from + 2 * d);
  }
#pragma unroll
  for (u32 t = 0; t < 4; t++) {
    i32 e[4], highest = 0; // the sink
#pragma unroll
    for (u32 j = 0; j <= t; j++) {
      u32 dot = (u32)dot4(q[t], k[j], 0);
#pragma unroll
      for (u32 mask = 8; mask > 0; mask /= 2) dot += xorLane(dot, mask);
      e[j] = (i32)dot;
      highest = highest > e[j] ? highest : e[j];
    }
    u32 sum = weightOf(exp2, highest);
#pragma unroll
    for (u32 j = 0; j <= t; j++) {
      u32 w = weightOf(exp2, highest - e[j]);
      e[j] = (i32)w;
      sum += w;
    }
    Reciprocal inverse(sum);
    i32 out[4];
#pragma unroll
    for (u32 c = 0; c < 4; c++) {
      i32 acc = 0;
#pragma unroll
      for (u32 j = 0; j <= t; j++) acc += e[j] * byteOf(v[j], c);
      out[c] = scaled(acc, inverse.inv, 30 + inverse.e);
    }
    *(u32 *)(o + (row + t) * d + column) = packed(out[0], out[1], out[2], out[3]);
  }
}

// condense makes a word of each 64 elements of h; a unit has words of them. A
// warp makes one.
ENTRY void condense(u32 *dst, const i32 *h, u32 words, u32 count) {
  u32 i = item() >> 5, lane = thread() & 31;
  if (i >= count) return;
  u32 position = i % words * 64 + lane * 2;
  u32x2 v = *(const u32x2 *)(h + (u64)i * 64 + lane * 2);
  u32 sum = fmix32(v.x + position * golden) + fmix32(v.y + (position + 1) * golden);
#pragma unroll
  for (u32 mask = 16; mask > 0; mask /= 2) sum += xorLane(sum, mask);
  if (lane == 0) dst[i] = sum;
}

// Prefix is the 18 bytes before a digest's words, tag and class, as they are
// read, big-endian.
struct Prefix {
  u32 word[5];
};

static const u32 outputBytes = 72; // norm, digest, middle

// digests hashes the words of each unit and writes the digest to byte at of its
// output. The words begin in the middle of one of SHA-256's, so the message is
// put together in halves.
ENTRY void digests(u8 *outputs, u32 at, const u32 *words, u32 perUnit, Prefix prefix, u32 count) {
  u32 unit = item();
  if (unit >= count) return;
  words += (u64)unit * perUnit;
  u32 bytes = 18 + 4 * perUnit, blocks = (bytes + 9 + 63) / 64;
  Sha256 sha;
  sha.start();
#pragma unroll 1
  for (u32 block = 0; block < blocks; block++) {
    u32 w[16];
#pragma unroll
    for (u32 i = 0; i < 16; i++) {
      i32 next = (i32)(block * 16 + i) - 4; // the word whose first half ends this one
      // next-1 is the word whose second half begins this one.
      u32 high = next == 0 ? prefix.word[4] >> 16 : next > 0 && next - 1 < (i32)perUnit ? swapBytes(words[next - 1]) & 0xffff : 0;
      u32 low = next == (i32)perUnit ? 0x8000 : next >= 0 && next < (i32)perUnit ? swapBytes(words[next]) >> 16 : 0;
      w[i] = block == 0 && i < 4 ? prefix.word[i] : high << 16 | low;
    }
    if (block == blocks - 1) w[15] = bytes * 8;
    sha.block(w);
  }
  sha.end((u32 *)(outputs + (u64)unit * outputBytes + at));
}

// norms writes the squared norm of each unit's last row to its output. A warp has
// a unit.
ENTRY void norms(u8 *outputs, const i32 *h, u32 d, u32 count) {
  u32 unit = item() >> 5, lane = thread() & 31;
  if (unit >= count) return;
  u64 sum = squares(h + ((u64)unit * 4 + 3) * d, d, lane);
  if (lane == 0) *(u64 *)(outputs + (u64)unit * outputBytes) = sum;
}
