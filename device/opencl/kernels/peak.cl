// SPDX-License-Identifier: Apache-2.0

// What a work-item's part of a product takes without memory: the same
// instructions on factors that stay in registers, and change a little so that
// nothing can be computed once for all.
KERNEL(ITEMS) void peak(__global int *out, uint start, uint rounds) {
  int c[TR][TC];
  uint x[TR], y[TC];
#pragma unroll
  for (int i = 0; i < TR; i++) x[i] = start * (i + 1) + get_global_id(0);
#pragma unroll
  for (int j = 0; j < TC; j++) y[j] = start * (j + 17);
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j++) c[i][j] = 0;
  for (uint n = 0; n < rounds; n++) {
#pragma unroll
    for (int i = 0; i < TR; i++)
#pragma unroll
      for (int j = 0; j < TC; j++) c[i][j] = DOT4(x[i], y[j], c[i][j]);
#pragma unroll
    for (int i = 0; i < TR; i++) x[i] += y[i % TC];
  }
  int sum = 0;
#pragma unroll
  for (int i = 0; i < TR; i++)
#pragma unroll
    for (int j = 0; j < TC; j++) sum ^= c[i][j];
  out[get_global_id(0)] = sum;
}
