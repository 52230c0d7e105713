// The product of AVX2 and of AVX-VNNI: 8 outputs a register. How products are added is what differs between them.

// The sum of products with a group of 4 inputs of 8 outputs, from input k of the block on.
__attribute__((always_inline)) TARGET static inline __m256i add_group(__m256i sum, const uint8_t *block, int k, int bits,
                                                                      __m256i q) {
  if (bits == 8) return add_products(sum, _mm256_load_si256((const __m256i *)(block + k * TILE)), q);
  __m256i two = _mm256_load_si256((const __m256i *)(block + k / 8 * 4 * TILE));
  return add_nibbles(sum, _mm256_and_si256(k & 4 ? _mm256_srli_epi16(two, 4) : two, _mm256_set1_epi8(15)), q);
}

// `side` rows by `wide` tiles of `bits`; these are constants where this is inlined.
__attribute__((always_inline)) TARGET static inline void multiply_some(const Matrix *matrix, int bits,
                                                                       const Quantized *const *rows, int side,
                                                                       const int *tiles, int wide, float *const *out) {
  int blocks = matrix->blocks;
  __m256 sums[MOST_SIDE][8];
  for (int t = 0; t < 2 * wide; t++) {
    for (int r = 0; r < side; r++) {
      sums[r][t] = _mm256_loadu_ps(matrix->bias + (size_t)tiles[t / 2] * TILE + t % 2 * 8);
    }
  }
  for (int b = 0; b < blocks; b++) {
    const uint8_t *w[8];
    for (int t = 0; t < 2 * wide; t++) {
      w[t] = weights_of(matrix, tiles[t / 2], b, bits) + t % 2 * 32;
    }
    __m256i products[MOST_SIDE][8];
    for (int r = 0; r < side; r++) {
      __m256i first = bits == 8 ? first_sum(rows[r]->offsets[b] * 16) : _mm256_set1_epi32(rows[r]->offsets[b]);
      for (int t = 0; t < 2 * wide; t++) products[r][t] = first;
    }
#pragma GCC unroll 16
    for (int k = 0; k < BLOCK; k += 4) {
      for (int r = 0; r < side; r++) {
        int32_t four;
        memcpy(&four, rows[r]->values + b * BLOCK + k, 4);
        __m256i q = _mm256_set1_epi32(four);
        for (int t = 0; t < 2 * wide; t++) products[r][t] = add_group(products[r][t], w[t], k, bits, q);
      }
    }
    for (int t = 0; t < 2 * wide; t++) {
      __m256 scales = _mm256_load_ps(matrix->scales + ((size_t)tiles[t / 2] * blocks + b) * TILE + t % 2 * 8);
      for (int r = 0; r < side; r++) {
        __m256 scale = _mm256_mul_ps(_mm256_set1_ps(rows[r]->scales[b]), scales);
        sums[r][t] = _mm256_add_ps(sums[r][t], _mm256_mul_ps(_mm256_cvtepi32_ps(products[r][t]), scale));
      }
    }
  }
  for (int t = 0; t < 2 * wide; t++) {
    for (int r = 0; r < side; r++) _mm256_storeu_ps(out[r] + (size_t)tiles[t / 2] * TILE + t % 2 * 8, sums[r][t]);
  }
}

__attribute__((always_inline)) TARGET static inline void multiply_all(const Matrix *matrix, int bits,
                                                                      const Quantized *const *rows, int side,
                                                                      const int *tiles, int count, float *const *out) {
  for (int i = 0; i < count;) {  // registers are for four tiles of a row, or a tile of four rows
    if (side == 1 && i + 4 <= count) {
      multiply_some(matrix, bits, rows, 1, tiles + i, 4, out);
      i += 4;
    } else if (side == 4) {
      multiply_some(matrix, bits, rows, 4, tiles + i++, 1, out);
    } else {
      for (int r = 0; r < side; r++) multiply_some(matrix, bits, rows + r, 1, tiles + i, 1, out + r);
      i++;
    }
  }
}

TARGET static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                            float *const *out) {
  if (matrix->bits == 8) multiply_all(matrix, 8, rows, side, tiles, count, out);
  else multiply_all(matrix, 4, rows, side, tiles, count, out);
}
