// Kernels for 64-bit Arm: pairs of bytes to 16 bits, which are added up in 32.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "floats.h"

// Sums of four products each, of 4 outputs by 4 inputs. Two products of 127 * 127 fit 16 bits.
static inline int32x4_t add_products(int32x4_t sum, int8x16_t weights, int8x16_t q) {
  int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(q));  // outputs 0 and 1
  int16x8_t high = vmull_high_s8(weights, q);                      // outputs 2 and 3
  return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}

// The 4 outputs t of a group of 4 inputs, from input k of the block on; of 4 bits around 8.
static inline int8x16_t group(const uint8_t *block, int k, int bits, int t) {
  if (bits == 8) return vreinterpretq_s8_u8(vld1q_u8(block + k * TILE + t * 16));
  uint8x16_t two = vld1q_u8(block + k / 8 * 4 * TILE + t * 16);
  return vreinterpretq_s8_u8(k & 4 ? vshrq_n_u8(two, 4) : vandq_u8(two, vdupq_n_u8(15)));
}

static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                     float *const *out) {
  int blocks = matrix->blocks, bits = matrix->bits;
  for (int i = 0; i < count; i++) {
    for (int row = 0; row < side; row++) {
      size_t tile = (size_t)tiles[i];
      const float *scales = scales_of(matrix, tiles[i], 0);
      float32x4_t sums[4];
      for (int t = 0; t < 4; t++) sums[t] = vld1q_f32(matrix->bias + tile * TILE + t * 4);
      for (int b = 0; b < blocks; b++, scales += TILE) {
        const uint8_t *w = weights_of(matrix, tiles[i], b, bits);
        int32x4_t first = vdupq_n_s32(bits == 8 ? 0 : rows[row]->offsets[b]), products[4] = {first, first, first, first};
        for (int k = 0; k < BLOCK; k += 4) {
          int32_t four;
          memcpy(&four, rows[row]->values + b * BLOCK + k, 4);
          int8x16_t q = vreinterpretq_s8_s32(vdupq_n_s32(four));
          for (int t = 0; t < 4; t++) products[t] = add_products(products[t], group(w, k, bits, t), q);
        }
        for (int t = 0; t < 4; t++) {
          float32x4_t scale = vmulq_n_f32(vld1q_f32(scales + t * 4), rows[row]->scales[b]);
          sums[t] = vaddq_f32(sums[t], vmulq_f32(vcvtq_f32_s32(products[t]), scale));
        }
      }
      for (int t = 0; t < 4; t++) vst1q_f32(out[row] + tile * TILE + t * 4, sums[t]);
    }
  }
}

const Kernels neon_kernels = {"NEON", 1, quantize, multiply, cell, exchange, embed, exponentials, affine};
#endif
