// SPDX-License-Identifier: Apache-2.0

// SHA-256 (FIPS 180-4). One thread hashes one message.

#pragma once
#include "prelude.h"

static __attribute__((constant)) const u32 sha256Constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,0xc67178f2};

struct Sha256 {
  u32 h[8];

  __device__ void start() {
    const u32 first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
#pragma unroll
    for (int i = 0; i < 8; i++) h[i] = first[i];
  }

  // block takes 16 words, big-endian ones read, and spoils them.
  __device__ void block(u32 (&w)[16]) {
    u32 s[8];
#pragma unroll
    for (int i = 0; i < 8; i++) s[i] = h[i];
#pragma unroll 1
    for (int round = 0; round < 64; round += 16) {
#pragma unroll
      for (int i = 0; i < 16; i++) {
        u32 a = s[0], e = s[4];
        u32 t1 = s[7] + (rotl(e, 26) ^ rotl(e, 21) ^ rotl(e, 7)) + ((e & s[5]) ^ (~e & s[6])) + sha256Constants[round + i] + w[i];
        u32 t2 = (rotl(a, 30) ^ rotl(a, 19) ^ rotl(a, 10)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
#pragma unroll
        for (int j = 7; j > 0; j--) s[j] = s[j - 1];
        s[4] += t1;
        s[0] = t1 + t2;
      }
#pragma unroll
      for (int i = 0; i < 16; i++) { // the next sixteen, in place
        u32 a = w[(i + 1) & 15], b = w[(i + 14) & 15];
        w[i] += (rotl(a, 25) ^ rotl(a, 14) ^ a >> 3) + w[(i + 9) & 15] + (rotl(b, 15) ^ rotl(b, 13) ^ b >> 10);
      }
    }
#pragma unroll
    for (int i = 0; i < 8; i++) h[i] += s[i];
  }

  // end writes the digest's 32 bytes to a multiple of 4.
  __device__ void end(u32 *dst) {
#pragma unroll
    for (int i = 0; i < 8; i++) dst[i] = swapBytes(h[i]);
  }
};
