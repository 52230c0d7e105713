#include "step.h"

#include <string.h>

enum { MOST_GATES = 4 * MOST_WIDTH, MOST_TILES = 65536 / TILE };

void embedded_begin(Embedded *embedded) {
  memset(embedded, 0, sizeof *embedded);
  for (int i = 0; i <= MOST_CHANNELS; i++) embedded->rows[i] = -1;
}

static int embed_token(const Model *model, int token, const int16_t *context, Embedded *embedded) {
  static const int32_t nothing[MOST_WIDTH];
  for (int c = 0; c <= model->channels; c++) {
    int row = model->first[c] + (c ? context[c - 1] : token), old = embedded->rows[c];
    if (row < model->first[c] || row >= (c ? model->first[c + 1] : model->vocabulary)) return STEP_OUT_OF_RANGE;
    if (row == old) continue;
    const int32_t *come = model->table + (size_t)model->place[row] * model->width;
    const int32_t *gone = old < 0 ? nothing : model->table + (size_t)model->place[old] * model->width;
    model->kernels->exchange(embedded->sums, come, gone, model->width);
    embedded->rows[c] = row;
  }
  return STEP_DONE;
}

// Moves to the place of a token, and adds to x (D) what the encoder says there.
static void see(const Model *model, int token, const int16_t *context, const float *beside, float *carry, float *x) {
  const Places *places = &model->places;
  float *start = carry + (size_t)2 * model->layers * model->width, *meter = start + 1;
  int begins = (int)*start, most = places->steps * places->ticks;
  if (token == places->bar) begins += places->lengths[(int)*meter];
  begins = begins < most ? begins : most;
  *start = (float)begins;
  *meter = (float)context[places->meter];
  int position = context[places->position], at = (begins + (position > 1 ? position - 1 : 0)) / places->ticks;
  const float *row = beside + (size_t)(at < places->steps ? at : places->steps - 1) * model->width;
  for (int d = 0; d < model->width; d++) x[d] = x[d] + row[d];
}

// A layer for up to MOST_SIDE rows, whose weights are read once for all of them.
static int advance(const Model *model, int layer, int side, float *const *x, float *const *carries) {
  const Matrix *matrix = &model->layer[layer];
  int width = model->width, tiles[MOST_GATES / TILE] = {0};
  float joined[MOST_BLOCKS * BLOCK + BLOCK], gates[MOST_SIDE][MOST_GATES];
  Quantized quantized[MOST_SIDE];
  const Quantized *inputs[MOST_SIDE] = {NULL};
  float *outputs[MOST_SIDE] = {NULL};
  size_t bytes = (size_t)width * sizeof(float);
  for (int r = 0; r < side; r++) {
    memset(joined + 2 * width, 0, BLOCK * sizeof(float));  // past the last whole block
    memcpy(joined, x[r], bytes);
    memcpy(joined + width, carries[r] + 2 * layer * width, bytes);  // h
    if (model->kernels->quantize(&quantized[r], joined, matrix->blocks)) return STEP_NO_NUMBERS;
    inputs[r] = &quantized[r];
    outputs[r] = gates[r];
  }
  for (int t = 0; t < matrix->tiles; t++) tiles[t] = t;
  model->kernels->multiply(matrix, inputs, side, tiles, matrix->tiles, outputs);
  for (int r = 0; r < side; r++) {
    float *h = carries[r] + 2 * layer * width;
    model->kernels->cell(gates[r], h + width, h, x[r], width);
  }
  return STEP_DONE;
}

// Tiles with an output that is wanted (NULL: all); `wanted` has room for whole ones.
static int tiles_wanted(const uint8_t *wanted, int count, int *tiles) {
  int found = 0;
  for (int t = 0; t * TILE < count; t++) {
    uint64_t any[2] = {1, 0};
    if (wanted) memcpy(any, wanted + t * TILE, sizeof any);
    tiles[found] = t;
    found += (any[0] | any[1]) != 0;
  }
  return found;
}

// Adds to the logits of pitches the scores of their intervals; `x` is the state, quantised.
static void score_intervals(const Model *model, const Quantized *x, const int16_t *context, const uint8_t *wanted,
                            float *logits) {
  const IntervalHead *head = &model->intervals;
  const int16_t *places[MOST_REFERENCES];
  int zero = model->scores.outputs - 1, tiles[MOST_TILES], first = head->pitches, last = -1;
  for (int p = 0; p < head->pitches; p++) {
    if (wanted && !wanted[head->first_pitch + p]) continue;
    first = p < first ? p : first;
    last = p;
  }
  uint8_t needed[MOST_SCORES + TILE];
  memset(needed, 0, (size_t)zero + TILE);
  for (int r = 0; r < head->references; r++) {
    places[r] = head->places + (size_t)(head->first[r] + context[head->columns[r]]) * head->pitches;
    for (int p = first; p <= last; p++) needed[places[r][p]] = 1;
  }
  needed[zero] = 0;  // the last score is always 0
  float scores[MOST_SCORES + TILE];
  float *out = scores;
  int count = tiles_wanted(needed, zero + 1, tiles);
  model->kernels->multiply(&model->scores, &x, 1, tiles, count, &out);
  scores[zero] = 0;
  for (int p = first; p <= last; p++) {
    float sum = 0;
    for (int r = 0; r < head->references; r++) sum = sum + scores[places[r][p]];
    logits[head->first_pitch + p] = logits[head->first_pitch + p] + sum;
  }
}

// Returns 1 where tiles of logits are numbers.
static int are_numbers(const float *logits, const int *tiles, int count, int size) {
  uint32_t largest = 0;
  for (int i = 0; i < count; i++) {
    for (int n = tiles[i] * TILE; n < (tiles[i] + 1) * TILE && n < size; n++) {
      uint32_t bits;
      memcpy(&bits, &logits[n], 4);
      bits &= 0x7fffffffu;
      largest = bits > largest ? bits : largest;
    }
  }
  return largest < 0x7f800000u;
}

int show(const Model *model, int side, const float *const *states, const int16_t *const *contexts,
         const uint8_t *wanted, float *const *logits) {
  float padded[MOST_WIDTH + BLOCK];
  Quantized quantized[MOST_SIDE];
  const Quantized *inputs[MOST_SIDE] = {NULL};
  int tiles[MOST_TILES], count = tiles_wanted(wanted, model->vocabulary, tiles);
  memset(padded + model->width, 0, BLOCK * sizeof *padded);
  for (int r = 0; r < side; r++) {
    memcpy(padded, states[r], (size_t)model->width * sizeof *padded);
    if (model->kernels->quantize(&quantized[r], padded, model->head.blocks)) return STEP_NO_NUMBERS;
    inputs[r] = &quantized[r];
  }
  model->kernels->multiply(&model->head, inputs, side, tiles, count, logits);
  for (int r = 0; r < side; r++) {
    if (model->intervals.references) score_intervals(model, inputs[r], contexts[r], wanted, logits[r]);
    if (!are_numbers(logits[r], tiles, count, model->vocabulary)) return STEP_NO_NUMBERS;
  }
  return STEP_DONE;
}

int step(const Model *model, int rows, const int32_t *tokens, const int16_t *const *contexts, Embedded *const *embedded,
         const float *const *beside, float *const *carries, const uint8_t *const *wanted, float *const *logits) {
  float x[MOST_ROWS][MOST_WIDTH];
  for (int begin = 0; begin < rows; begin += MOST_ROWS) {
    int count = rows - begin < MOST_ROWS ? rows - begin : MOST_ROWS, failed = STEP_DONE;
    float *states[MOST_ROWS];
    for (int r = 0; r < count; r++) {
      int place = begin + r;
      Embedded *own = embedded[place];
      if ((failed = embed_token(model, tokens[place], contexts[place], own))) return failed;
      states[r] = x[r];
      model->kernels->embed(own->sums, x[r], model->width);
      if (beside) see(model, tokens[place], contexts[place], beside[place], carries[place], x[r]);
    }
    for (int layer = 0; layer < model->layers; layer++) {
      for (int r = 0; r < count; r += MOST_SIDE) {
        int side = count - r < MOST_SIDE ? count - r : MOST_SIDE;
        if ((failed = advance(model, layer, side, states + r, carries + begin + r))) return failed;
      }
    }
    for (int r = 0; r < count; r++) {
      const float *own = x[r];
      const uint8_t *asked = wanted ? wanted[begin + r] : NULL;
      if ((failed = show(model, 1, &own, contexts + begin + r, asked, logits + begin + r))) return failed;
    }
  }
  return STEP_DONE;
}

// The columns of a matrix from one block on, so many.
static Matrix part_of(const Matrix *whole, int first, int blocks) {
  Matrix part = *whole;
  part.blocks = blocks;
  part.weights = whole->weights + (size_t)first * (BLOCK * TILE / 8) * whole->bits;
  part.scales = whole->scales + (size_t)first * TILE;
  return part;
}

// A layer goes through a stretch of inputs x (count, D): those are multiplied side by side, then h from one to the next.
// The sums are those of `advance`, block by block, where D is whole blocks.
static int pass(const Model *model, int layer, int count, float *x, float *carry, float *gates) {
  int width = model->width, half = width / BLOCK, tiles[MOST_GATES / TILE] = {0};
  Matrix input = part_of(&model->layer[layer], 0, half), state = part_of(&model->layer[layer], half, half);
  float *h = carry + 2 * layer * width, made[MOST_GATES];
  Quantized quantized[MOST_SIDE];
  const Quantized *inputs[MOST_SIDE] = {NULL};
  float *outputs[MOST_SIDE] = {NULL}, *own = made;
  for (int t = 0; t < input.tiles; t++) tiles[t] = t;
  for (int begin = 0; begin < count; begin += MOST_SIDE) {
    int side = count - begin < MOST_SIDE ? count - begin : MOST_SIDE;
    for (int r = 0; r < side; r++) {
      if (model->kernels->quantize(&quantized[r], x + (begin + r) * width, half)) return STEP_NO_NUMBERS;
      inputs[r] = &quantized[r];
      outputs[r] = gates + (begin + r) * 4 * width;
    }
    model->kernels->multiply(&input, inputs, side, tiles, input.tiles, outputs);
  }
  inputs[0] = &quantized[0];
  for (int i = 0; i < count; i++) {
    if (model->kernels->quantize(&quantized[0], h, half)) return STEP_NO_NUMBERS;
    state.bias = gates + i * 4 * width;  // the sum goes on
    model->kernels->multiply(&state, inputs, 1, tiles, state.tiles, &own);
    model->kernels->cell(made, h + width, h, x + i * width, width);
  }
  return STEP_DONE;
}

int walk(const Model *model, int count, const int32_t *tokens, const int16_t *contexts, Embedded *embedded,
         const float *beside, float *carry, float *states) {
  float gates[MOST_STRETCH * MOST_GATES];
  int whole = model->width % BLOCK == 0;
  for (int begin = 0; begin < count; begin += MOST_STRETCH) {
    int stretch = count - begin < MOST_STRETCH ? count - begin : MOST_STRETCH, failed;
    float *x = states + (size_t)begin * model->width;
    for (int i = 0; i < stretch; i++) {
      const int16_t *context = contexts + (size_t)(begin + i) * model->channels;
      if ((failed = embed_token(model, tokens[begin + i], context, embedded))) return failed;
      model->kernels->embed(embedded->sums, x + i * model->width, model->width);
      if (beside) see(model, tokens[begin + i], context, beside, carry, x + i * model->width);
    }
    for (int layer = 0; layer < model->layers; layer++) {
      if (whole && (failed = pass(model, layer, stretch, x, carry, gates))) return failed;
      for (int i = 0; i < stretch && !whole; i++) {
        float *own = x + i * model->width;
        if ((failed = advance(model, layer, 1, &own, &carry))) return failed;
      }
    }
  }
  return STEP_DONE;
}
