#include "encoder.h"

#include <string.h>

#include "export.h"
#include "kernels.h"

EXPORT void encoder_run(int steps, int inputs, int units, const float *x, const float *weights, const float *bias,
                        float *h) {
  float joined[3 * MOST_UNITS] = {0}, gates[4 * MOST_UNITS], c[MOST_UNITS] = {0}, sums[MOST_UNITS] = {0};
  const Kernels *kernels = kernels_here()[0];
  for (int t = 0; t < steps; t++, x += inputs, h += units) {
    memcpy(joined, x, (size_t)inputs * sizeof *x);
    kernels->affine(gates, bias, weights, joined, inputs + units, 4 * units);
    kernels->cell(gates, c, joined + inputs, sums, units);
    memcpy(h, joined + inputs, (size_t)units * sizeof *h);
  }
}

EXPORT void encoder_affine(int rows, int inputs, int outputs, const float *x, const float *weights, const float *bias,
                           float *y) {
  const Kernels *kernels = kernels_here()[0];
  for (int r = 0; r < rows; r++, x += inputs, y += outputs) {
    kernels->affine(y, bias, weights, x, inputs, outputs);
  }
}
