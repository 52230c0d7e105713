// The product of AVX2 and of AVX-VNNI: 8 outputs a register. How products are added is what differs between them.

// Four inputs, for each output.
__attribute__((always_inline)) TARGET static inline __m256i four_of(const int8_t *q) {
  int32_t four;
  memcpy(&four, q, 4);
  return _mm256_set1_epi32(four);
}

// Adds to `sums` (side, count) of 8 outputs each what a block of 8-bit weights gives; `w` is where they begin.
__attribute__((always_inline)) TARGET static inline void add_bytes(__m256i sums[MOST_SIDE][8], const uint8_t *const *w,
                                                                   int count, const int8_t *const *q, int side) {
  for (int k = 0; k < BLOCK; k += 4) {
    for (int r = 0; r < side; r++) {
      __m256i four = four_of(q[r] + k);
      for (int t = 0; t < count; t++) {
        sums[r][t] = add_products(sums[r][t], _mm256_load_si256((const __m256i *)(w[t] + k * TILE)), four);
      }
    }
  }
}

// The same of 4-bit weights. Sums of half a block fit 16 bits, where AVX2 takes them first.
__attribute__((always_inline)) TARGET static inline void add_nibbles(__m256i sums[MOST_SIDE][8],
                                                                     const uint8_t *const *w, int count,
                                                                     const int8_t *const *q, int side) {
  const __m256i lower = _mm256_set1_epi8(15);
  for (int half = 0; half < BLOCK; half += BLOCK / 2) {
    __m256i parts[MOST_SIDE][8];
    for (int r = 0; r < side; r++) {
      for (int t = 0; t < count; t++) parts[r][t] = _mm256_setzero_si256();
    }
#pragma GCC unroll 1
    for (int k = half; k < half + BLOCK / 2; k += 8) {
      for (int t = 0; t < count; t++) {
        __m256i two = _mm256_load_si256((const __m256i *)(w[t] + k / 2 * TILE));
        __m256i even = _mm256_and_si256(two, lower), odd = _mm256_and_si256(_mm256_srli_epi16(two, 4), lower);
        for (int r = 0; r < side; r++) {
          parts[r][t] = add_part(add_part(parts[r][t], even, four_of(q[r] + k)), odd, four_of(q[r] + k + 4));
        }
      }
    }
    for (int r = 0; r < side; r++) {
      for (int t = 0; t < count; t++) sums[r][t] = _mm256_add_epi32(sums[r][t], whole(parts[r][t]));
    }
  }
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
    const int8_t *q[MOST_SIDE];
    for (int r = 0; r < side; r++) {
      q[r] = rows[r]->values + b * BLOCK;
      __m256i first = bits == 8 ? first_sum(rows[r]->offsets[b] * 16) : _mm256_set1_epi32(rows[r]->offsets[b]);
      for (int t = 0; t < 2 * wide; t++) products[r][t] = first;
    }
    if (bits == 8) add_bytes(products, w, 2 * wide, q, side);
    else add_nibbles(products, w, 2 * wide, q, side);
    for (int t = 0; t < 2 * wide; t++) {
      __m256 scales = _mm256_load_ps(scales_of(matrix, tiles[t / 2], b) + t % 2 * 8);
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
