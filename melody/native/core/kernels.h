// The arithmetic of a step, once for each kind of processor.
//
// Results are the same bits on all of them: products are sums of whole numbers, which are exact, and each
// operation on floats is one IEEE operation in an order that is written down here (no fused multiply-add, which
// not every processor has; the build says -ffp-contract=off).
//
//     a row of K values is kept as 8-bit numbers q with a scale a for each block of 64
//     a matrix (N, K) is kept as numbers w of 8 or 4 bits with a scale s for each row and block
//     out[n] = bias[n];  for each block: out[n] += float(sum of w q) * (a * s)
#ifndef MELODY_KERNELS_H
#define MELODY_KERNELS_H
#include <stddef.h>
#include <stdint.h>

enum {
  BLOCK = 64,         // weights of a row that share a scale
  TILE = 16,          // outputs that lie side by side
  MOST_WIDTH = 1024,  // of a model
  MOST_BLOCKS = 2 * MOST_WIDTH / BLOCK,
  MOST_SIDE = 4  // rows that are multiplied side by side
};

// Weights of 8 bits lie as [tile of 16 outputs][block][16 groups of 4 inputs][16 outputs][4 inputs], a byte each. Of 4
// bits, around 8, two groups share a byte: the even one has its lower half, the odd one behind it the upper.
typedef struct {
  int outputs, tiles, blocks, bits;
  int stride;        // blocks from a tile to the next: more than `blocks` in a part of a matrix
  uint8_t *weights;  // around 128, or, of 8 bits, signed where the kernels want them so
  float *scales;     // [tile][block][16 outputs]
  float *bias;       // [tile][16 outputs]
} Matrix;

typedef struct {
  int8_t values[MOST_BLOCKS * BLOCK];
  float scales[MOST_BLOCKS];
  int32_t offsets[MOST_BLOCKS];  // -8 times the sum of a block: weights around 8 become signed by it
} Quantized;

// Where a tile's weights of a block begin.
static inline const uint8_t *weights_of(const Matrix *matrix, int tile, int block, int bits) {
  return matrix->weights + ((size_t)tile * matrix->stride + block) * (BLOCK * TILE / 8) * bits;
}

static inline float *scales_of(const Matrix *matrix, int tile, int block) {
  return matrix->scales + ((size_t)tile * matrix->stride + block) * TILE;
}

typedef struct {
  const char *name;
  int has_signed_weights;
  // x (blocks * 64) to 8 bits; returns 0, or 1 where x holds what is no number
  int (*quantize)(Quantized *to, const float *x, int blocks);
  // tiles (count) of a product, of 1 to MOST_SIDE rows at once; out[row] has room for whole tiles
  void (*multiply)(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                   float *const *out);
  // LSTM cell: gates (4 D) as i, f, g, o; c and h (D) become the next ones; x += h
  void (*cell)(const float *gates, float *c, float *h, float *x, int width);
  // sums (D) + row - gone, of whole numbers: the sum of a table's rows, of which one becomes another
  void (*exchange)(int32_t *sums, const int32_t *row, const int32_t *gone, int width);
  // x (D) = sums / 2^20
  void (*embed)(const int32_t *sums, float *x, int width);
  // x = e^(x - top)
  void (*exponentials)(float *x, float top, int count);
  // out (outputs) = bias + x matrix, which lies as [inputs][outputs]; sums in the order of inputs
  void (*affine)(float *out, const float *bias, const float *matrix, const float *x, int inputs, int outputs);
} Kernels;

// The kernels that this processor can run, the fastest first, up to the plain ones; ends with NULL.
const Kernels *const *kernels_here(void);

extern const Kernels plain_kernels, avx2_kernels, avxvnni_kernels, avx512_kernels, neon_kernels,
    wasm_kernels;

#endif
