// Kernels for AVX-512 with VNNI: 64 products of bytes an instruction, 16 outputs a register.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#include "floats.h"

// A group of 4 inputs of 16 outputs, from input k of the block on: around 128, or of 4 bits around 8.
__attribute__((always_inline)) TARGET static inline __m512i group(const uint8_t *block, int k, int bits) {
  if (bits == 8) return _mm512_load_si512(block + k * TILE);
  __m512i two = _mm512_load_si512(block + k / 8 * 4 * TILE);
  return _mm512_and_si512(k & 4 ? _mm512_srli_epi16(two, 4) : two, _mm512_set1_epi8(15));
}

// `side` rows by `wide` tiles of `bits`; these are constants where this is inlined.
__attribute__((always_inline)) TARGET static inline void multiply_some(const Matrix *matrix, int bits,
                                                                       const Quantized *const *rows, int side,
                                                                       const int *tiles, int wide, float *const *out) {
  int blocks = matrix->blocks;
  __m512 sums[MOST_SIDE][4];
  for (int t = 0; t < wide; t++) {
    for (int r = 0; r < side; r++) sums[r][t] = _mm512_loadu_ps(matrix->bias + (size_t)tiles[t] * TILE);
  }
  for (int b = 0; b < blocks; b++) {
    const uint8_t *w[4];
    for (int t = 0; t < wide; t++) w[t] = weights_of(matrix, tiles[t], b, bits);
    __m512i products[MOST_SIDE][4];
    for (int r = 0; r < side; r++) {
      for (int t = 0; t < wide; t++) products[r][t] = _mm512_set1_epi32(rows[r]->offsets[b] * (bits == 8 ? 16 : 1));
    }
#pragma GCC unroll 16
    for (int k = 0; k < BLOCK; k += 4) {
      __m512i weights[4];
      for (int t = 0; t < wide; t++) weights[t] = group(w[t], k, bits);
      for (int r = 0; r < side; r++) {
        int32_t four;
        memcpy(&four, rows[r]->values + b * BLOCK + k, 4);
        __m512i q = _mm512_set1_epi32(four);
        for (int t = 0; t < wide; t++) products[r][t] = _mm512_dpbusd_epi32(products[r][t], weights[t], q);
      }
    }
    for (int t = 0; t < wide; t++) {
      __m512 scales = _mm512_load_ps(scales_of(matrix, tiles[t], b));
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

__attribute__((always_inline)) TARGET static inline void multiply_all(const Matrix *matrix, int bits,
                                                                      const Quantized *const *rows, int side,
                                                                      const int *tiles, int count, float *const *out) {
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    if (side == 4) multiply_some(matrix, bits, rows, 4, tiles + i, 4, out);
    if (side == 3) multiply_some(matrix, bits, rows, 3, tiles + i, 4, out);
    if (side == 2) multiply_some(matrix, bits, rows, 2, tiles + i, 4, out);
    if (side == 1) multiply_some(matrix, bits, rows, 1, tiles + i, 4, out);
  }
  for (; i < count; i++) {
    for (int r = 0; r < side; r++) multiply_some(matrix, bits, rows + r, 1, tiles + i, 1, out + r);
  }
}

TARGET static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                            float *const *out) {
  if (matrix->bits == 8) multiply_all(matrix, 8, rows, side, tiles, count, out);
  else multiply_all(matrix, 4, rows, side, tiles, count, out);
}

const Kernels avx512_kernels = {"AVX-512 VNNI", 0, quantize, multiply, cell, exchange, embed, exponentials, affine};
#endif
