// The parts of a step that are loops over floats. Each kernel file includes this, so that its compiler makes vectors
// of the loops for that processor; what they compute is the same.
#include <string.h>

#include "kernels.h"

#ifndef TARGET
#define TARGET
#endif

TARGET static inline float float_of(uint32_t bits) {
  float result;
  memcpy(&result, &bits, 4);
  return result;
}

TARGET static inline uint32_t bits_of(float x) {
  uint32_t result;
  memcpy(&result, &x, 4);
  return result;
}

// Nearest whole number, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no bits behind the point.
#define ROUNDER 12582912.0f

// e^x as 2^n e^r with |r| <= ln 2 / 2 and the polynomial of Cephes (Moshier); x is cut to [-87, 88].
TARGET static inline float exponential(float x) {
  x = x < 88.0f ? x : 88.0f;
  x = x > -87.0f ? x : -87.0f;
  float shifted = x * 1.44269504088896341f + ROUNDER;
  float n = shifted - ROUNDER;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return p * float_of((bits_of(shifted) - bits_of(ROUNDER) + 127u) << 23);
}

TARGET static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

TARGET static inline float hyperbolic_tangent(float x) { return 2.0f / (1.0f + exponential(-2.0f * x)) - 1.0f; }

TARGET static void cell(const float *restrict gates, float *restrict c, float *restrict h, float *restrict x,
                        int width) {
  for (int d = 0; d < width; d++) {
    float kept = sigmoid(gates[width + d]) * c[d];
    float added = sigmoid(gates[d]) * hyperbolic_tangent(gates[2 * width + d]);
    float state = kept + added;
    float shown = sigmoid(gates[3 * width + d]) * hyperbolic_tangent(state);
    c[d] = state;
    h[d] = shown;
    x[d] = x[d] + shown;
  }
}

TARGET static void exchange(int32_t *restrict sums, const int32_t *restrict row, const int32_t *restrict gone,
                            int width) {
  for (int d = 0; d < width; d++) sums[d] = sums[d] + row[d] - gone[d];
}

TARGET static void embed(const int32_t *restrict sums, float *restrict x, int width) {
  for (int d = 0; d < width; d++) x[d] = (float)sums[d] * (1.0f / 1048576.0f);
}

TARGET static void exponentials(float *restrict x, float top, int count) {
  for (int i = 0; i < count; i++) x[i] = exponential(x[i] - top);
}

TARGET static void affine(float *restrict out, const float *restrict bias, const float *restrict matrix,
                          const float *restrict x, int inputs, int outputs) {
  enum { TOGETHER = 32 };  // outputs whose sums stay in registers
  int n = 0;
  for (; n + TOGETHER <= outputs; n += TOGETHER) {
    float sums[TOGETHER];
    for (int k = 0; k < TOGETHER; k++) sums[k] = bias[n + k];
    for (int i = 0; i < inputs; i++) {
      const float *row = matrix + (size_t)i * outputs + n;
      for (int k = 0; k < TOGETHER; k++) sums[k] = sums[k] + row[k] * x[i];
    }
    for (int k = 0; k < TOGETHER; k++) out[n + k] = sums[k];
  }
  for (int k = n; k < outputs; k++) out[k] = bias[k];
  for (int i = 0; i < inputs; i++) {
    for (int k = n; k < outputs; k++) out[k] = out[k] + matrix[(size_t)i * outputs + k] * x[i];
  }
}

// 8-bit values of a block: its largest is 127 steps of the scale.
TARGET static int quantize(Quantized *restrict to, const float *restrict x, int blocks) {
  uint32_t worst = 0;
  for (int b = 0; b < blocks; b++, x += BLOCK) {
    uint32_t largest = 0;  // of floats above 0 the order is that of their bits
    for (int k = 0; k < BLOCK; k++) {
      uint32_t size = bits_of(x[k]) & 0x7fffffffu;
      largest = size > largest ? size : largest;
    }
    worst = largest > worst ? largest : worst;
    float scale = float_of(largest) / 127.0f;
    float inverse = scale > 1e-30f ? 1.0f / scale : 0.0f;
    int8_t *values = to->values + b * BLOCK;
    int32_t sum = 0;
    for (int k = 0; k < BLOCK; k++) {
      int32_t value = (int32_t)(bits_of(x[k] * inverse + ROUNDER) - bits_of(ROUNDER));
      values[k] = (int8_t)value;
      sum += (int8_t)value;
    }
    to->scales[b] = scale;
    to->offsets[b] = -8 * sum;
  }
  return worst >= 0x7f800000u;  // infinite, or no number
}
