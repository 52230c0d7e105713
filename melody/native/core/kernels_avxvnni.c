// Kernels for AVX-VNNI: as AVX-512's, half as wide.
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,avxvnni")))
#include "floats.h"

TARGET static inline __m256i first_sum(int32_t offset) { return _mm256_set1_epi32(offset); }

TARGET static inline __m256i add_products(__m256i sum, __m256i weights, __m256i q) {
  return _mm256_dpbusd_avx_epi32(sum, weights, q);
}

TARGET static inline __m256i add_part(__m256i part, __m256i weights, __m256i q) {
  return _mm256_dpbusd_avx_epi32(part, weights, q);
}

TARGET static inline __m256i whole(__m256i part) { return part; }

#include "kernels_256.h"

const Kernels avxvnni_kernels = {"AVX-VNNI", 0, quantize, multiply, cell, exchange, embed, exponentials, affine};
#endif
