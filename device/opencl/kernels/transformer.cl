// SPDX-License-Identifier: Apache-2.0

// The steps of transformer/1 between the products; see poc/work/transformer.
// Rows are positions, four to a unit. h is the residual stream, [row][d];
// activations are in quads.

static inline uint isqrt(ulong x) {
  ulong root = 0;
  for (ulong bit = 1UL << 62; bit; bit >>= 2) {
    if (x >= root + bit) {
      x -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return (uint)root;
}

// 1/r is about inv / 2^(30+e).
static inline uint recip(uint r, uint *e) {
  *e = 32 - clz(r);
  return (uint)min((1UL << (30 + *e)) / r, 0x7fffffffUL);
}

static inline int rq(int x, uint inv, uint s) { return (int)clamp(((long)x * inv + (1L << (s - 1))) >> s, -127L, 127L); }

static inline ulong square(int x) { return (ulong)((long)x * x); }

// The sum of squares of a row over LANES work-items, and then of all of them in
// room, which has a place for each work-item of the group.
#define LANES (ITEMS / 4)
static inline ulong squares(__global const int *h, uint d, uint lane, uint lanes, __local ulong *room) {
  ulong sum = 0;
  for (uint i = lane; i < d / 4; i += lanes) {
    int4 v = vload4(i, h);
    sum += square(v.s0) + square(v.s1) + square(v.s2) + square(v.s3);
  }
  room[lane] = sum;
  for (uint n = lanes / 2; n > 0; n /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < n) room[lane] += room[lane + n];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return room[0];
}

// 32*h/rms(h). A group takes the four rows of a unit.
KERNEL(ITEMS) void norm(__global const int *h, uint d, uint log2d, __global uint *x, uint pitch) {
  __local ulong room[ITEMS];
  __local uint scale[4][2];
  const uint t = get_local_id(0) / LANES, lane = get_local_id(0) % LANES, row = 4 * get_group_id(0) + t;
  h += (size_t)row * d;
  const ulong ss = squares(h, d, lane, LANES, room + t * LANES);
  if (lane == 0) {
    uint e;
    scale[t][0] = recip(max(1u, isqrt(ss >> log2d << 16)), &e);
    scale[t][1] = 17 + e;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const uint inv = scale[t][0], s = scale[t][1];
  for (uint i = lane; i < d / 4; i += LANES) {
    int4 v = vload4(i, h);
    x[(size_t)i * pitch + row] = pack4(rq(v.s0, inv, s), rq(v.s1, inv, s), rq(v.s2, inv, s), rq(v.s3, inv, s));
  }
}

// The squared norm of a unit's last row, at words to and to+1 of its results.
KERNEL(ITEMS) void lastNorm(__global const int *h, uint d, __global uint *results, uint to, uint stride) {
  __local ulong room[ITEMS];
  const uint unit = get_group_id(0);
  const ulong ss = squares(h + ((size_t)unit * 4 + 3) * d, d, get_local_id(0), ITEMS, room);
  if (get_local_id(0) == 0) {
    results[unit * stride + to] = (uint)ss;
    results[unit * stride + to + 1] = (uint)(ss >> 32);
  }
}

// 65535 * 2^(-below/4096)
static inline uint expWeight(int below, __global const ushort *powers) {
  const uint n = min(below >> 4, 4095);
  return powers[n & 255] >> (n >> 8);
}

// Attention of one row and head. qkv holds q, k and v one after the other.
// Work-items: rows x heads.
__kernel void attend(__global const uint *qkv, uint pitch, __global uint *o, __global const ushort *powers) {
  const uint row = get_global_id(0), head = get_global_id(1), heads = get_global_size(1), t = row & 3;
  __global const uint *q = qkv + (size_t)head * 16 * pitch + row;
  __global const uint *k = qkv + (size_t)(heads + head) * 16 * pitch + (row - t);
  __global const uint *v = qkv + (size_t)(2 * heads + head) * 16 * pitch + (row - t);
  int e[4] = {0, 0, 0, 0};
  for (uint i = 0; i < 16; i++) {
    const uint x = q[(size_t)i * pitch];
    const uint4 y = vload4(0, &k[(size_t)i * pitch]);
    e[0] = DOT4(x, y.s0, e[0]);
    e[1] = DOT4(x, y.s1, e[1]);
    e[2] = DOT4(x, y.s2, e[2]);
    e[3] = DOT4(x, y.s3, e[3]);
  }
  int most = 0; // the sink
#pragma unroll
  for (uint j = 0; j < 4; j++) most = j <= t ? max(most, e[j]) : most;
  uint sum = expWeight(most, powers);
#pragma unroll
  for (uint j = 0; j < 4; j++) {
    e[j] = j <= t ? expWeight(most - e[j], powers) : 0;
    sum += e[j];
  }
  uint s;
  const uint inv = recip(sum, &s);
  s += 30;
  for (uint i = 0; i < 16; i++) {
    const uint4 y = vload4(0, &v[(size_t)i * pitch]);
    const int4 c = e[0] * convert_int4(as_char4(y.s0)) + e[1] * convert_int4(as_char4(y.s1)) +
                   e[2] * convert_int4(as_char4(y.s2)) + e[3] * convert_int4(as_char4(y.s3));
    o[(size_t)(head * 16 + i) * pitch + row] = pack4(rq(c.s0, inv, s), rq(c.s1, inv, s), rq(c.s2, inv, s), rq(c.s3, inv, s));
  }
}

// The words of states, [unit][t][d/64]. Work-items: words of a row x rows.
__kernel void condenseStates(__global const int *h, uint d, __global uint *words) {
  const uint w = get_global_id(0), row = get_global_id(1), n = get_global_size(0);
  const uint at = (row & 3) * d + 64 * w;
  h += (size_t)row * d + 64 * w;
  uint sum = 0;
  for (uint i = 0; i < 64; i++) sum += fmix((uint)h[i] + (at + i) * GOLDEN);
  words[row * n + w] = sum;
}
