// Kernels for AVX-512 with VNNI: 64 products of bytes an instruction, 16 outputs a register.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#include "floats.h"

// `side` rows by `wide` tiles; both are constants where this is inlined.
__attribute__((always_inline)) TARGET static inline void multiply_some(const Matrix *matrix,
                                                                       const Quantized *const *rows, int side,
                                                                       const int *tiles, int wide, float *const *out) {
  int blocks = matrix->blocks;
  __m512 sums[MOST_SIDE][4];
  for (int t = 0; t < wide; t++) {
    for (int r = 0; r < side; r++) sums[r][t] = _mm512_loadu_ps(matrix->bias + (size_t)tiles[t] * TILE);
  }
  for (int b = 0; b < blocks; b++) {
    const uint8_t *w[4];
    for (int t = 0; t < wide; t++) w[t] = matrix->weights + ((size_t)tiles[t] * blocks + b) * BLOCK * TILE;
    __m512i products[MOST_SIDE][4];
    for (int r = 0; r < side; r++) {
      for (int t = 0; t < wide; t++) products[r][t] = _mm512_set1_epi32(rows[r]->offsets[b]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < BLOCK; k += 4) {
      __m512i weights[4];
      for (int t = 0; t < wide; t++) weights[t] = _mm512_load_si512(w[t] + k * TILE);
      for (int r = 0; r < side; r++) {
        int32_t four;
        memcpy(&four, rows[r]->values + b * BLOCK + k, 4);
        __m512i q = _mm512_set1_epi32(four);
        for (int t = 0; t < wide; t++) products[r][t] = _mm512_dpbusd_epi32(products[r][t], weights[t], q);
      }
    }
    for (int t = 0; t < wide; t++) {
      __m512 scales = _mm512_load_ps(matrix->scales + ((size_t)tiles[t] * blocks + b) * TILE);
      for (int r = 0; r < side; r++) {
        __m512 scale = _mm512_mul_ps(_mm512_set1_ps(rows[r]->scales[b]), scales);
        sums[r][t] = _mm512_add_ps(sums[r][t], _mm512_mul_ps(_mm512_cvtepi32_ps(products[r][t]), scale));
      }
    }
  }
  for (int t = 0; t < wide; t++) {
    for (int r = 0; r < side; r++) _mm512_storeu_ps(out[r] + (size_t)tiles[t] * TILE, sums[r][t]);
  }
}

TARGET static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                            float *const *out) {
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    if (side == 4) multiply_some(matrix, rows, 4, tiles + i, 4, out);
    if (side == 3) multiply_some(matrix, rows, 3, tiles + i, 4, out);
    if (side == 2) multiply_some(matrix, rows, 2, tiles + i, 4, out);
    if (side == 1) multiply_some(matrix, rows, 1, tiles + i, 4, out);
  }
  for (; i < count; i++) {
    for (int r = 0; r < side; r++) multiply_some(matrix, rows + r, 1, tiles + i, 1, out + r);
  }
}

const Kernels avx512_kernels = {"AVX-512 VNNI", 0, quantize, multiply, cell, exchange, embed, exponentials};
#endif
