// Kernels for WebAssembly with vectors of 128 bits: bytes become 16 bits, of which pairs are multiplied and added up.
#if defined(__wasm_simd128__)
#include <wasm_simd128.h>

#include "floats.h"

// Sums of two products each: 4 outputs by 4 inputs give [0 0 1 1] and [2 2 3 3].
static inline v128_t sums_of_pairs(v128_t low, v128_t high) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), wasm_i32x4_shuffle(low, high, 1, 3, 5, 7));
}

// The 4 outputs t of a group of 4 inputs, from input k of the block on; of 4 bits around 8.
static inline v128_t group(const uint8_t *block, int k, int bits, int t) {
  if (bits == 8) return wasm_v128_load(block + k * TILE + t * 16);
  v128_t two = wasm_v128_load(block + k / 8 * 4 * TILE + t * 16);
  return k & 4 ? wasm_u8x16_shr(two, 4) : wasm_v128_and(two, wasm_u8x16_splat(15));
}

static void multiply(const Matrix *matrix, const Quantized *const *rows, int side, const int *tiles, int count,
                     float *const *out) {
  int blocks = matrix->blocks, bits = matrix->bits;
  for (int i = 0; i < count; i++) {
    for (int row = 0; row < side; row++) {
      size_t tile = (size_t)tiles[i];
      const float *scales = scales_of(matrix, tiles[i], 0);
      v128_t sums[4];
      for (int t = 0; t < 4; t++) sums[t] = wasm_v128_load(matrix->bias + tile * TILE + t * 4);
      for (int b = 0; b < blocks; b++, scales += TILE) {
        const uint8_t *w = weights_of(matrix, tiles[i], b, bits);
        v128_t low[4] = {0}, high[4] = {0}, first = wasm_i32x4_splat(bits == 8 ? 0 : rows[row]->offsets[b]);
        for (int k = 0; k < BLOCK; k += 4) {
          v128_t q = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(rows[row]->values + b * BLOCK + k));
          for (int t = 0; t < 4; t++) {
            v128_t four = group(w, k, bits, t);
            low[t] = wasm_i32x4_add(low[t], wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(four), q));
            high[t] = wasm_i32x4_add(high[t], wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(four), q));
          }
        }
        for (int t = 0; t < 4; t++) {
          v128_t scale = wasm_f32x4_mul(wasm_f32x4_splat(rows[row]->scales[b]), wasm_v128_load(scales + t * 4));
          v128_t products = wasm_f32x4_convert_i32x4(wasm_i32x4_add(first, sums_of_pairs(low[t], high[t])));
          sums[t] = wasm_f32x4_add(sums[t], wasm_f32x4_mul(products, scale));
        }
      }
      for (int t = 0; t < 4; t++) wasm_v128_store(out[row] + tile * TILE + t * 4, sums[t]);
    }
  }
}

const Kernels wasm_kernels = {"WebAssembly SIMD", 1, quantize, multiply, cell, exchange, embed, exponentials, affine};
#endif
