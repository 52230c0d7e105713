#include "step.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"

enum { MOST_GATES = 4 * MOST_WIDTH, MOST_TILES = 65536 / TILE };

// ---- the step -------------------------------------------------------------------------------------------------------

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

int step(const Model *model, int rows, const int32_t *tokens, const int16_t *const *contexts,
         Embedded *const *embedded, float *const *carries, const uint8_t *const *wanted, float *const *logits) {
  float x[MOST_ROWS][MOST_WIDTH];
  for (int begin = 0; begin < rows; begin += MOST_ROWS) {
    int count = rows - begin < MOST_ROWS ? rows - begin : MOST_ROWS, failed = STEP_DONE;
    float *states[MOST_ROWS];
    for (int r = 0; r < count; r++) {
      Embedded *own = embedded[begin + r];
      if ((failed = embed_token(model, tokens[begin + r], contexts[begin + r], own))) return failed;
      states[r] = x[r];
      model->kernels->embed(own->sums, x[r], model->width);
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
         float *carry, float *states) {
  float gates[MOST_STRETCH * MOST_GATES];
  int whole = model->width % BLOCK == 0;
  for (int begin = 0; begin < count; begin += MOST_STRETCH) {
    int stretch = count - begin < MOST_STRETCH ? count - begin : MOST_STRETCH, failed;
    float *x = states + (size_t)begin * model->width;
    for (int i = 0; i < stretch; i++) {
      const int16_t *context = contexts + (size_t)(begin + i) * model->channels;
      if ((failed = embed_token(model, tokens[begin + i], context, embedded))) return failed;
      model->kernels->embed(embedded->sums, x + i * model->width, model->width);
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

// ---- making a model -------------------------------------------------------------------------------------------------

static void *aligned(size_t bytes) {  // to 64 bytes, zeros; what malloc gave stands before it
  char *given = malloc(bytes + 128);
  if (!given) return NULL;
  char *place = given + 128 - (uintptr_t)given % 64;
  memset(place, 0, bytes);
  memcpy(place - sizeof given, &given, sizeof given);
  return place;
}

static void let_go(void *place) {
  char *given;
  if (!place) return;
  memcpy(&given, (char *)place - sizeof given, sizeof given);
  free(given);
}

static void pack_bytes(const uint8_t *from, uint8_t *to, uint8_t flip) {
  for (int k = 0; k < BLOCK; k++) to[k / 4 * 4 * TILE + k % 4] = from[k] ^ flip;
}

// How many steps a value has, 7 at most, of which one is `top` / (7 * 16); by float operations that are exact to the
// last bit everywhere.
static int steps_of(int value, int top) {
  int steps = (int)((float)abs(value) * (112.0f / (float)top) + 0.5f);
  return steps < 7 ? steps : 7;
}

// Rounds the values of a block, around 128, to 15 steps around 8; returns a step as a share of the values' scale. The
// largest values may be cut, to 10 of 16 parts: by as much as makes the sum of squared errors least.
static float pack_nibbles(const uint8_t *from, uint8_t *to) {
  int largest = 1, best = 0;
  uint32_t least = UINT32_MAX;
  for (int k = 0; k < BLOCK; k++) largest = abs(from[k] - 128) > largest ? abs(from[k] - 128) : largest;
  for (int top = 10 * largest; top <= 16 * largest; top += largest) {  // sixteen times the value of 7 steps
    uint32_t sum = 0;
    for (int k = 0; k < BLOCK; k++) {
      int error = 112 * abs(from[k] - 128) - steps_of(from[k] - 128, top) * top;
      sum += (uint32_t)(error * error);
    }
    if (sum >= least) continue;
    least = sum;
    best = top;
  }
  for (int k = 0; k < BLOCK; k++) {
    int steps = steps_of(from[k] - 128, best);
    to[k / 8 * 4 * TILE + k % 4] |= (uint8_t)((from[k] < 128 ? 8 - steps : 8 + steps) << (k & 4));
  }
  return (float)best / 112.0f;
}

// values (outputs, blocks, 64) around 128, scales (outputs, blocks), bias (outputs)
static int pack(Matrix *matrix, int outputs, int blocks, int bits, const uint8_t *values, const float *scales,
                const float *bias, uint8_t flip) {
  int tiles = (outputs + TILE - 1) / TILE;
  *matrix = (Matrix){outputs, tiles, blocks, bits, blocks, NULL, NULL, NULL};
  matrix->weights = aligned((size_t)tiles * blocks * (BLOCK * TILE / 8) * bits);
  matrix->scales = aligned((size_t)tiles * blocks * TILE * sizeof(float));
  matrix->bias = aligned((size_t)tiles * TILE * sizeof(float));
  if (!matrix->weights || !matrix->scales || !matrix->bias) return 0;
  for (int n = 0; n < outputs; n++) {
    size_t tile = (size_t)n / TILE, place = (size_t)n % TILE;
    matrix->bias[n] = bias[n];
    for (int b = 0; b < blocks; b++) {
      const uint8_t *from = values + ((size_t)n * blocks + b) * BLOCK;
      uint8_t *to = (uint8_t *)weights_of(matrix, (int)tile, b, bits) + place * 4;
      float step = 1.0f;
      if (bits == 8) pack_bytes(from, to, flip);
      else step = pack_nibbles(from, to);
      scales_of(matrix, (int)tile, b)[place] = scales[(size_t)n * blocks + b] * step;
    }
  }
  return 1;
}

EXPORT void model_free(Model *model) {
  if (!model) return;
  Matrix *all[MOST_LAYERS + 2] = {&model->head, &model->scores};
  for (int l = 0; l < MOST_LAYERS; l++) all[2 + l] = &model->layer[l];
  for (int i = 0; i < MOST_LAYERS + 2; i++) {
    let_go(all[i]->weights);
    let_go(all[i]->scales);
    let_go(all[i]->bias);
  }
  let_go(model->table);
  let_go(model->place);
  let_go(model->intervals.places);
  free(model);
}

// The kernels by their place among `kernels_here`. table (places, width); place (rows); first (channels + 2) as in
// `Model`.
EXPORT Model *model_new(int kernels, int width, int layers, int channels, int vocabulary, int places,
                        const int32_t *table, const int32_t *place, const int32_t *first) {
  const Kernels *const *here = kernels_here();
  while (kernels-- > 0 && here[1]) here++;
  Model *model = calloc(1, sizeof *model);
  size_t bytes = (size_t)places * width * sizeof *table, rows = (size_t)first[channels + 1] * sizeof *place;
  if (!model || !(model->table = aligned(bytes)) || !(model->place = aligned(rows))) {
    model_free(model);
    return NULL;
  }
  model->kernels = *here;
  model->width = width;
  model->layers = layers;
  model->channels = channels;
  model->vocabulary = vocabulary;
  memcpy(model->table, table, bytes);
  memcpy(model->place, place, rows);
  memcpy(model->first, first, (size_t)(channels + 2) * sizeof *first);
  return model;
}

// A matrix of the model, in 8 or 4 bits: a layer by its number, then the head, then the scores of intervals.
EXPORT int model_matrix(Model *model, int which, int outputs, int blocks, int bits, const uint8_t *values,
                        const float *scales, const float *bias) {
  Matrix *matrix = which < model->layers ? &model->layer[which] : which == model->layers ? &model->head : &model->scores;
  return pack(matrix, outputs, blocks, bits, values, scales, bias, model->kernels->has_signed_weights ? 128 : 0);
}

// columns and first (references); places (values, pitches)
EXPORT int model_intervals(Model *model, int references, int pitches, int first_pitch, const int32_t *columns,
                           const int32_t *first, const int16_t *places, int values) {
  IntervalHead *head = &model->intervals;
  size_t bytes = (size_t)values * pitches * sizeof *places;
  if (!(head->places = aligned(bytes))) return 0;
  memcpy(head->places, places, bytes);
  head->references = references;
  head->pitches = pitches;
  head->first_pitch = first_pitch;
  for (int r = 0; r < references; r++) {
    head->columns[r] = columns[r];
    head->first[r] = first[r];
  }
  return 1;
}

EXPORT const char *model_kernels(const Model *model) { return model->kernels->name; }

EXPORT int kernels_count(void) {
  int count = 0;
  while (kernels_here()[count]) count++;
  return count;
}

// contexts (rows, C), carries (rows, 2 L D), logits (rows, whole tiles); all logits are made.
EXPORT int model_step(const Model *model, int rows, const int32_t *tokens, const int16_t *contexts, float *carries,
                      float *logits) {
  for (int r = 0; r < rows; r += MOST_SIDE) {
    Embedded embedded[MOST_SIDE], *own[MOST_SIDE];
    const int16_t *context[MOST_SIDE];
    float *carry[MOST_SIDE], *out[MOST_SIDE];
    int side = rows - r < MOST_SIDE ? rows - r : MOST_SIDE, failed;
    for (int i = 0; i < side; i++) {
      embedded_begin(&embedded[i]);
      own[i] = &embedded[i];
      context[i] = contexts + (size_t)(r + i) * model->channels;
      carry[i] = carries + (size_t)(r + i) * 2 * model->layers * model->width;
      out[i] = logits + (size_t)(r + i) * model->head.tiles * TILE;
    }
    if ((failed = step(model, side, tokens + r, context, own, carry, NULL, out))) return failed;
  }
  return STEP_DONE;
}
