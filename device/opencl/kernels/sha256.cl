// SPDX-License-Identifier: Apache-2.0

// SHA-256 (FIPS 180-4), one message to a work-item.

__constant uint K256[64] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint swab(uint x) { return (rotate(x, 8u) & 0x00ff00ffu) | (rotate(x, 24u) & 0xff00ff00u); }

// One block of 16 words, first byte highest, which it overwrites.
static inline void compress(uint s[8], uint w[16]) {
  uint a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
  for (int i = 0; i < 64; i += 16) {
    if (i) {
#pragma unroll
      for (int j = 0; j < 16; j++) {
        uint x = w[(j + 1) & 15], y = w[(j + 14) & 15];
        w[j] += (rotate(x, 25u) ^ rotate(x, 14u) ^ (x >> 3)) + w[(j + 9) & 15] + (rotate(y, 15u) ^ rotate(y, 13u) ^ (y >> 10));
      }
    }
#pragma unroll
    for (int j = 0; j < 16; j++) {
      uint t = h + (rotate(e, 26u) ^ rotate(e, 21u) ^ rotate(e, 7u)) + bitselect(g, f, e) + K256[i + j] + w[j];
      uint u = (rotate(a, 30u) ^ rotate(a, 19u) ^ rotate(a, 10u)) + bitselect(a, b, a ^ c);
      h = g; g = f; f = e; e = d + t; d = c; c = b; b = a; a = t + u;
    }
  }
  s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e; s[5] += f; s[6] += g; s[7] += h;
}

static inline void start(uint s[8]) {
  s[0] = 0x6a09e667; s[1] = 0xbb67ae85; s[2] = 0x3c6ef372; s[3] = 0xa54ff53a;
  s[4] = 0x510e527f; s[5] = 0x9b05688c; s[6] = 0x1f83d9ab; s[7] = 0x5be0cd19;
}

// Tile digests: 64 words, little-endian, to a tile.
__kernel void hashTiles(__global const uint *words, __global uint *digests, uint tiles) {
  const uint tile = get_global_id(0);
  if (tile >= tiles) return;
  uint s[8], w[16];
  start(s);
  for (int at = 0; at < 64; at += 16) {
#pragma unroll
    for (int i = 0; i < 16; i++) w[i] = swab(words[(size_t)tile * 64 + at + i]);
    compress(s, w);
  }
#pragma unroll
  for (int i = 0; i < 16; i++) w[i] = 0;
  w[0] = 0x80000000;
  w[15] = 64 * 32;
  compress(s, w);
#pragma unroll
  for (int i = 0; i < 8; i++) digests[tile * 8 + i] = swab(s[i]);
}

// Digests of states: an 18-byte prefix, the tag and the class, then n words,
// little-endian, to a unit. Words so lie across those that are hashed: half of
// one and half of the next. A unit's digest is at word to of its stride words.
__kernel void hashStates(__global const uint *words, uint n, uint4 prefix, uint last, __global uint *results, uint to, uint stride, uint units) {
  const uint unit = get_global_id(0);
  if (unit >= units) return;
  words += (size_t)unit * n;
  const uint blocks = (18 + 4 * n + 9 + 63) / 64;
  uint s[8], w[16];
  start(s);
  uint before = last; // its low half is the prefix's end
  for (uint at = 0; at < blocks; at++) {
#pragma unroll
    for (int i = 0; i < 16; i++) {
      uint m = at * 16 + i;
      if (m < 4) {
        w[i] = m == 0 ? prefix.s0 : m == 1 ? prefix.s1 : m == 2 ? prefix.s2 : prefix.s3;
      } else if (m - 4 <= n) {
        uint next = m - 4 < n ? swab(words[m - 4]) : 0x80000000u;
        w[i] = before << 16 | next >> 16;
        before = next;
      } else {
        w[i] = m == 16 * blocks - 1 ? 8 * (18 + 4 * n) : 0;
      }
    }
    compress(s, w);
  }
#pragma unroll
  for (int i = 0; i < 8; i++) results[unit * stride + to + i] = swab(s[i]);
}
