// The LSTM of planner and harmonist (melody/tokens/planner.py, harmonist.py): a sum of a table's rows goes in.
//
//     x = sum of share * row;  gates = b + [x, h] W;  c, h = cell(gates, c);  y = x + h
//
// Sums are taken in the order that is written here, so that what is drawn is the same on all processors.
#ifndef MELODY_SMALL_LSTM_H
#define MELODY_SMALL_LSTM_H
#include <stdint.h>

enum { SMALL = 96 };  // its width D

typedef struct {
  const float *table;    // (rows, D)
  const float *weights;  // (2 D, 4 D): those of x, then those of h
  const float *bias;     // (4 D)
} SmallLstm;

// Moves h and c (D) by a sum of rows (terms) of the table, each with its share; writes y (D).
void small_lstm_step(const SmallLstm *lstm, int terms, const int32_t *rows, const float *shares, float *h, float *c,
                     float *y);

#endif
