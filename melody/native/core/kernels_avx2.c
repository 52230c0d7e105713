// Kernels for AVX2. It multiplies bytes with and without a sign alone: the signs of q go to the weights, which are
// therefore signed here and never -128. Two products of 127 * 127 fit 16 bits. Weights of 4 bits have no sign.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#include "floats.h"

TARGET static inline __m256i first_sum(int32_t offset) {
  (void)offset;
  return _mm256_setzero_si256();
}

TARGET static inline __m256i add_products(__m256i sum, __m256i weights, __m256i q) {
  __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(weights, q));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

TARGET static inline __m256i add_part(__m256i part, __m256i weights, __m256i q) {
  return _mm256_add_epi16(part, _mm256_maddubs_epi16(weights, q));
}

TARGET static inline __m256i whole(__m256i part) { return _mm256_madd_epi16(part, _mm256_set1_epi16(1)); }

#include "kernels_256.h"

const Kernels avx2_kernels = {"AVX2", 1, quantize, multiply, cell, exchange, embed, exponentials, affine};
#endif
