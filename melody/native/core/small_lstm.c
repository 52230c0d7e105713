#include "small_lstm.h"

#include <string.h>

#include "export.h"
#include "kernels.h"

EXPORT void small_lstm_step(const SmallLstm *lstm, int terms, const int32_t *rows, const float *shares, float *h,
                            float *c, float *y) {
  float inputs[2 * SMALL] = {0}, gates[4 * SMALL];
  for (int i = 0; i < terms; i++) {
    const float *row = lstm->table + (size_t)rows[i] * SMALL;
    for (int d = 0; d < SMALL; d++) inputs[d] = inputs[d] + shares[i] * row[d];
  }
  memcpy(inputs + SMALL, h, SMALL * sizeof *h);
  const Kernels *kernels = kernels_here()[0];
  kernels->affine(gates, lstm->bias, lstm->weights, inputs, 2 * SMALL, 4 * SMALL);
  memcpy(y, inputs, SMALL * sizeof *y);
  kernels->cell(gates, c, h, y, SMALL);
}
