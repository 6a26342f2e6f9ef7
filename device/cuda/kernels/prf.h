// SPDX-License-Identifier: Apache-2.0

// The prf of package poc/prf: ChaCha with 8 rounds, a 64-bit block counter and
// a 64-bit nonce. One thread makes one block of 64 bytes.

#pragma once
#include "prelude.h"

struct Key {
  u32 word[8];
};

#define QUARTER(a, b, c, d)  \
  a += b;                    \
  d = rotl(d ^ a, 16);       \
  c += d;                    \
  b = rotl(b ^ c, 12);       \
  a += b;                    \
  d = rotl(d ^ a, 8);        \
  c += d;                    \
  b = rotl(b ^ c, 7);

static __device__ void prfBlock(u32 (&out)[16], const Key &key, u64 nonce, u64 counter) {
  u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574,
                key.word[0], key.word[1], key.word[2], key.word[3],
                key.word[4], key.word[5], key.word[6], key.word[7],
                (u32)counter, (u32)(counter >> 32), (u32)nonce, (u32)(nonce >> 32)};
#pragma unroll
  for (int i = 0; i < 16; i++) out[i] = in[i];
#pragma unroll
  for (int round = 0; round < 8; round += 2) {
    QUARTER(out[0], out[4], out[8], out[12])
    QUARTER(out[1], out[5], out[9], out[13])
    QUARTER(out[2], out[6], out[10], out[14])
    QUARTER(out[3], out[7], out[11], out[15])
    QUARTER(out[0], out[5], out[10], out[15])
    QUARTER(out[1], out[6], out[11], out[12])
    QUARTER(out[2], out[7], out[8], out[13])
    QUARTER(out[3], out[4], out[9], out[14])
  }
#pragma unroll
  for (int i = 0; i < 16; i++) out[i] += in[i];
}

// balanced maps each byte -128 to 0: for these alone is bit 7 set and no other.
static __device__ u32 balanced(u32 x) {
  u32 low = (x & 0x7f7f7f7f) + 0x7f7f7f7f; // bit 7: some lower bit is set
  return x & (0x7f7f7f7f | low);
}

static __device__ void store(i8 *dst, const u32 (&block)[16]) {
  u32x4 *to = (u32x4 *)dst;
#pragma unroll
  for (int i = 0; i < 4; i++) to[i] = u32x4{block[4 * i], block[4 * i + 1], block[4 * i + 2], block[4 * i + 3]};
}
