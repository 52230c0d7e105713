// The encoder of an encoder-decoder (melody/tokens/encoder.py), which reads once what is given of a whole piece.
//
//     gates = b + [x, h] W;  c, h = cell(gates, c)
//
// Sums are taken in the order of the inputs, so that what is read is the same on all processors.
#ifndef MELODY_ENCODER_H
#define MELODY_ENCODER_H

enum { MOST_UNITS = 256 };  // of a direction

// An LSTM over x (steps, inputs), at most 2 * MOST_UNITS of them: writes its states h (steps, units). W lies as
// [inputs, units][4 units].
void encoder_run(int steps, int inputs, int units, const float *x, const float *weights, const float *bias, float *h);

// y (rows, outputs) = b + x (rows, inputs) W, which lies as [inputs][outputs].
void encoder_affine(int rows, int inputs, int outputs, const float *x, const float *weights, const float *bias,
                    float *y);

#endif
