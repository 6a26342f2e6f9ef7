// SPDX-License-Identifier: Apache-2.0

// The prf: ChaCha8, a block of 64 bytes to a work-item. See poc/prf.

#define QUARTER(a, b, c, d)     \
  a += b; d = rotate(d ^ a, 16u); \
  c += d; b = rotate(b ^ c, 12u); \
  a += b; d = rotate(d ^ a, 8u);  \
  c += d; b = rotate(b ^ c, 7u);

static inline void block(uint out[16], uint8 key, ulong nonce, ulong counter) {
  const uint in[16] = {
    0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key.s0, key.s1, key.s2, key.s3, key.s4, key.s5, key.s6, key.s7,
    (uint)counter, (uint)(counter >> 32), (uint)nonce, (uint)(nonce >> 32)};
#pragma unroll
  for (int i = 0; i < 16; i++) out[i] = in[i];
#pragma unroll
  for (int i = 0; i < 4; i++) {
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

// The map of weights: bytes of 0x80 become 0, four at a time. A sum carries
// into the top bit of a byte unless the byte's other bits are all 0.
static inline uint weights4(uint w) {
  uint t = w ^ 0x80808080u;
  return w & ~(~(((t & 0x7f7f7f7fu) + 0x7f7f7f7fu) | t | 0x7f7f7f7fu));
}

// A row of A or column of B of matmul/1: stream number first + row.
// Work-items: pitch rows x K/64 blocks.
__kernel void expand(__global uint *dst, uint pitch, uint8 key, ulong first) {
  const uint row = get_global_id(0), at = get_global_id(1);
  uint w[16];
  block(w, key, first + row, at);
#pragma unroll
  for (int i = 0; i < 16; i++) dst[(size_t)(at * 16 + i) * pitch + row] = w[i];
}

// A matrix of weights: one stream, rows follow each other. In groups of width,
// row r goes to column r + r/width*width*(stride-1) + offset of dst.
// Work-items: rows x K/64 blocks.
__kernel void expandWeights(__global uint *dst, uint pitch, uint8 key, ulong nonce, uint width, uint stride, uint offset) {
  const uint row = get_global_id(0), at = get_global_id(1), blocks = get_global_size(1);
  uint w[16];
  block(w, key, nonce, (ulong)row * blocks + at);
  const uint to = row + row / width * width * (stride - 1) + offset;
#pragma unroll
  for (int i = 0; i < 16; i++) dst[(size_t)(at * 16 + i) * pitch + to] = weights4(w[i]);
}

// The embeddings of inputs: row 4*unit + t of h is named by the unit's token t
// and starts at byte t*d. Work-items: rows x d/64.
__kernel void embed(__global int *h, uint8 key, __global const ulong *tokens) {
  const uint row = get_global_id(0), at = get_global_id(1), blocks = get_global_size(1);
  uint w[16];
  block(w, key, tokens[row], (row & 3) * blocks + at);
#pragma unroll
  for (int i = 0; i < 16; i++)
    vstore4(convert_int4(as_char4(weights4(w[i]))) << 8, 16 * ((size_t)row * blocks + at) + i, h);
}
