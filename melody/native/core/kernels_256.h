// The product of AVX2 and of AVX-VNNI: 8 outputs a register. `add_products` is what differs between them.

// `side` rows by `wide` tiles; both are constants where this is inlined.
__attribute__((always_inline)) TARGET static inline void multiply_some(const Matrix *matrix,
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
      w[t] = matrix->weights + ((size_t)tiles[t / 2] * blocks + b) * BLOCK * TILE + t % 2 * 32;
    }
    __m256i products[MOST_SIDE][8];
    for (int r = 0; r < side; r++) {
      for (int t = 0; t < 2 * wide; t++) products[r][t] = first_sum(rows[r]->offsets[b]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < BLOCK; k += 4) {
      for (int r = 0; r < side; r++) {
        int32_t four;
        memcpy(&four, rows[r]->values + b * BLOCK + k, 4);
        __m256i q = _mm256_set1_epi32(four);
        for (int t = 0; t < 2 * wide; t++) {
          products[r][t] = add_products(products[r][t], _mm256_load_si256((const __m256i *)(w[t] + k * TILE)), q);
        }
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

TARGET static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                            float *const *out) {
  for (int i = 0; i < count;) {  // registers are for four tiles of a row, or a tile of four rows
    if (side == 1 && i + 4 <= count) {
      multiply_some(matrix, rows, 1, tiles + i, 4, out);
      i += 4;
    } else if (side == 4) {
      multiply_some(matrix, rows, 4, tiles + i++, 1, out);
    } else {
      for (int r = 0; r < side; r++) multiply_some(matrix, rows + r, 1, tiles + i, 1, out + r);
      i++;
    }
  }
}
