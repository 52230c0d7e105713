// Kernels in plain C, for any processor.
#include "floats.h"

static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                     float *const *out) {
  int blocks = matrix->blocks;
  for (int row = 0; row < side; row++) {
    for (int i = 0; i < count; i++) {
      size_t tile = (size_t)tiles[i];
      const int8_t *w = (const int8_t *)matrix->weights + tile * blocks * BLOCK * TILE;
      const float *scales = matrix->scales + tile * blocks * TILE;
      float *sums = out[row] + tile * TILE;
      memcpy(sums, matrix->bias + tile * TILE, TILE * sizeof *sums);
      for (int b = 0; b < blocks; b++, scales += TILE) {
        int32_t products[TILE] = {0};
        for (int k = 0; k < BLOCK; k += 4, w += 4 * TILE) {
          const int8_t *q = rows[row]->values + b * BLOCK + k;
          for (int n = 0; n < TILE; n++) {
            products[n] += w[4 * n] * q[0] + w[4 * n + 1] * q[1] + w[4 * n + 2] * q[2] + w[4 * n + 3] * q[3];
          }
        }
        for (int n = 0; n < TILE; n++) {
          sums[n] = sums[n] + (float)products[n] * (rows[row]->scales[b] * scales[n]);
        }
      }
    }
  }
}

const Kernels plain_kernels = {"plain C", 1, quantize, multiply, cell, exchange, embed, exponentials};
