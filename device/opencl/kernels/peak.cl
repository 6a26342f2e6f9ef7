// SPDX-License-Identifier: Apache-2.0

// What the product's instruction can do without memory: 16 chains to a
// work-item. Each result is the next one's factor, so that nothing can be
// summed up beforehand.
__kernel void peak(__global int *out, int a, int b, uint rounds) {
  int c[16];
  for (int i = 0; i < 16; i++) c[i] = a + i + (int)get_global_id(0);
  for (uint n = 0; n < rounds; n++)
#pragma unroll
    for (int i = 0; i < 16; i++) {
#if DOT
      c[i] = DOT4((uint)c[i], (uint)a, b);
#else
      c[i] = MAD(c[i], a, b);
#endif
    }
  int sum = 0;
  for (int i = 0; i < 16; i++) sum ^= c[i];
  out[get_global_id(0)] = sum;
}
