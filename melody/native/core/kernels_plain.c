// Kernels in plain C, for any processor.
#include "floats.h"

// A group of 4 inputs of 16 outputs, from input k of the block on; of 4 bits into `room`.
static inline const int8_t *group(const uint8_t *block, int k, int bits, int8_t *room) {
  if (bits == 8) return (const int8_t *)block + k * TILE;
  const uint8_t *two = block + k / 8 * 4 * TILE;
  for (int i = 0; i < 4 * TILE; i++) room[i] = (int8_t)((two[i] >> (k & 4) & 15) - 8);
  return room;
}

static inline void multiply_all(const Matrix *matrix, int bits, const Quantized *const *rows, int side, const int *tiles,
                                int count, float *const *out) {
  int blocks = matrix->blocks;
  for (int row = 0; row < side; row++) {
    for (int i = 0; i < count; i++) {
      size_t tile = (size_t)tiles[i];
      const float *scales = scales_of(matrix, tiles[i], 0);
      float *sums = out[row] + tile * TILE;
      memcpy(sums, matrix->bias + tile * TILE, TILE * sizeof *sums);
      for (int b = 0; b < blocks; b++, scales += TILE) {
        const uint8_t *w = weights_of(matrix, tiles[i], b, bits);
        int32_t products[TILE] = {0};
        for (int k = 0; k < BLOCK; k += 4) {
          const int8_t *q = rows[row]->values + b * BLOCK + k;
          int8_t room[4 * TILE];
          const int8_t *four = group(w, k, bits, room);
          for (int n = 0; n < TILE; n++) {
            products[n] += four[4 * n] * q[0] + four[4 * n + 1] * q[1] + four[4 * n + 2] * q[2] + four[4 * n + 3] * q[3];
          }
        }
        for (int n = 0; n < TILE; n++) {
          sums[n] = sums[n] + (float)products[n] * (rows[row]->scales[b] * scales[n]);
        }
      }
    }
  }
}

static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                     float *const *out) {
  if (matrix->bits == 8) multiply_all(matrix, 8, rows, side, tiles, count, out);
  else multiply_all(matrix, 4, rows, side, tiles, count, out);
}

const Kernels plain_kernels = {"plain C", 1, quantize, multiply, cell, exchange, embed, exponentials, affine};
