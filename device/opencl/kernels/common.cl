// SPDX-License-Identifier: Apache-2.0

// OpenCL C 1.2. The host puts these before everything, see geometry:
//   WX, WY   work-items of a group across and down
//   MG, NG   how many times four rows and four columns a work-item has; NG is even
//   KW       words of the depth that a group loads at a time
//   DOT      1 where cl_khr_integer_dot_product is there
//   UNROLL   steps of the depth that are written out, which costs registers

#define ITEMS (WX * WY)
#define BM (4 * WY * MG) // rows of a block, the result of a group
#define BN (4 * WX * NG) // and its columns
#define TR (4 * MG)      // rows of a work-item
#define TC (4 * NG)      // and its columns

#define KERNEL(items) __kernel __attribute__((reqd_work_group_size(items, 1, 1)))

// Operands of a product are in quads: word [k/4][row] holds elements k..k+3 of
// a row, the first one lowest. Rows are padded to whole blocks; what is computed
// for the padding is never looked at.

static inline int dot4(int4 a, int4 b, int c) { return a.s0 * b.s0 + a.s1 * b.s1 + a.s2 * b.s2 + a.s3 * b.s3 + c; }

#if DOT
// The plain dot product: an addition that saturates is for nobody here.
#define DOT4(a, b, c) ((c) + dot_4x8packed_ss_int(a, b))
#else
// Compilers see four widened bytes here and take what the device has for them:
// AMD's dot instructions, 24-bit products, pairs on a processor.
#define DOT4(a, b, c) dot4(convert_int4(as_char4(a)), convert_int4(as_char4(b)), c)
#endif

// The finaliser of MurmurHash3 and the constant of package condense.
#define GOLDEN 0x9E3779B9u
static inline uint fmix(uint h) {
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  return h ^ (h >> 16);
}

// Shifts to the right keep the sign in OpenCL C.
static inline int rsh(int x, uint s) { return (x + (1 << (s - 1))) >> s; }
static inline int byteOf(int x) { return clamp(x, -127, 127); }
static inline uint pack4(int a, int b, int c, int d) { return (a & 255) | (b & 255) << 8 | (c & 255) << 16 | (uint)(d & 255) << 24; }
