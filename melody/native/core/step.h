// One step of a residual LSTM: a token and its channels (C) go in, logits (V) of the next token come out.
//
//     x = sum of the rows of the token and of each channel, which stand in one table
//     for each layer: gates = [x, h] W + b;  c, h = cell(gates, c);  x = x + h
//     logits = x E + b, and of pitches + the scores of their intervals to what the channels tell of
//
// This is what `melody.engine.graphs.residual_lstm` writes as a graph. The carry of a row is h_0 c_0 h_1 c_1 ... of D
// floats each. A row's result does not depend on its neighbours.
//
// The decoder of an encoder-decoder adds to x what its encoder says beside the place where the token stands: a row of a
// table (steps, D) that a piece has from its start. Its carry goes on with the tick at which the bar under way begins,
// and the value of its meter.
#ifndef MELODY_STEP_H
#define MELODY_STEP_H
#include "kernels.h"

enum { MOST_STRETCH = 16, MOST_LAYERS = 16, MOST_CHANNELS = 255, MOST_REFERENCES = 32, MOST_SCORES = 4096, MOST_ROWS = 16 };

// How the logits of pitches depend on channels: reference r is told in a column; its value picks a row of places.
typedef struct {
  int references, pitches, first_pitch;
  int columns[MOST_REFERENCES], first[MOST_REFERENCES];
  int16_t *places;  // (values, pitches): which score
} IntervalHead;

// Where a token stands among the steps of a piece: bar lines add up bars, a channel says the place in one.
typedef struct {
  int steps;            // those that an encoder reads, the last for all behind them; 0: the model has none
  int ticks;            // of a step
  int bar;              // the token that begins a bar
  int position, meter;  // columns of the channels
  int32_t *lengths;     // ticks of a bar, by the value of its meter
} Places;

typedef struct {
  const Kernels *kernels;
  int width, layers, channels, vocabulary;
  int32_t *table;                      // (places, D) times 2^20
  int32_t *place;                      // (rows): where a row stands in the table; those that say nothing share one
  int32_t first[MOST_CHANNELS + 2];    // row of a channel's value 0; 0 for tokens; the number of rows
  Matrix layer[MOST_LAYERS], head, scores;
  IntervalHead intervals;  // without references where the model has none
  Places places;
} Model;

// Floats of a row's carry.
static inline size_t carried_by(const Model *model) {
  return (size_t)2 * model->layers * model->width + (model->places.steps ? 2 : 0);
}

// The sum of the rows of a token and its channels. Of whole numbers, it is the same by whatever way it came about: from
// one token to the next only the rows of channels that change are exchanged.
typedef struct {
  int32_t rows[MOST_CHANNELS + 1];  // -1: none yet
  int32_t sums[MOST_WIDTH];
} Embedded;

void embedded_begin(Embedded *embedded);

enum { STEP_DONE, STEP_OUT_OF_RANGE, STEP_NO_NUMBERS };

// Rows step side by side. `wanted` (V) says of which tokens a row's logits are asked (NULL: of all); the others are
// left as they are, or not. Both have room for whole tiles. Each row of a model with an encoder has a table `beside` it
// (NULL: the model has none). Returns STEP_DONE, or why not: a token or channel beyond its size, or logits that are no
// numbers.
int step(const Model *model, int rows, const int32_t *tokens, const int16_t *const *contexts, Embedded *const *embedded,
         const float *const *beside, float *const *carries, const uint8_t *const *wanted, float *const *logits);

// A row steps through tokens (count) that are known, with their channels (count, C), and gives no logits: what it would
// make them of are the states (count, D) behind the last layer. One layer at a time goes through a stretch of them, so
// that its weights stay in the cache, and half of them are read once for several. Carry and states are as by steps.
int walk(const Model *model, int count, const int32_t *tokens, const int16_t *contexts, Embedded *embedded,
         const float *beside, float *carry, float *states);

// Logits of 1 to MOST_SIDE states (D), as a step makes them.
int show(const Model *model, int side, const float *const *states, const int16_t *const *contexts,
         const uint8_t *wanted, float *const *logits);

#endif
