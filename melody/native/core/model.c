// Models: their weights, packed as the kernels read them; and steps that are asked for from Python.
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "step.h"

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
  let_go(model->places.lengths);
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

// The model has an encoder, which reads so many steps; lengths (meters).
EXPORT int model_places(Model *model, int steps, int ticks, int bar, int position, int meter, int meters,
                        const int32_t *lengths) {
  Places *places = &model->places;
  size_t bytes = (size_t)meters * sizeof *lengths;
  if (!(places->lengths = aligned(bytes))) return 0;
  memcpy(places->lengths, lengths, bytes);
  places->steps = steps;
  places->ticks = ticks;
  places->bar = bar;
  places->position = position;
  places->meter = meter;
  return 1;
}

EXPORT const char *model_kernels(const Model *model) { return model->kernels->name; }

EXPORT int kernels_count(void) {
  int count = 0;
  while (kernels_here()[count]) count++;
  return count;
}

// contexts (rows, C), beside: tables (rows) or NULL, carries (rows, `carried_by`), logits (rows, whole tiles); all logits
// are made.
EXPORT int model_step(const Model *model, int rows, const int32_t *tokens, const int16_t *contexts,
                      const float *const *beside, float *carries, float *logits) {
  for (int r = 0; r < rows; r += MOST_SIDE) {
    Embedded embedded[MOST_SIDE], *own[MOST_SIDE];
    const int16_t *context[MOST_SIDE];
    float *carry[MOST_SIDE], *out[MOST_SIDE];
    int side = rows - r < MOST_SIDE ? rows - r : MOST_SIDE, failed;
    for (int i = 0; i < side; i++) {
      embedded_begin(&embedded[i]);
      own[i] = &embedded[i];
      context[i] = contexts + (size_t)(r + i) * model->channels;
      carry[i] = carries + (size_t)(r + i) * carried_by(model);
      out[i] = logits + (size_t)(r + i) * model->head.tiles * TILE;
    }
    const float *const *tables = beside ? beside + r : NULL;
    if ((failed = step(model, side, tokens + r, context, own, tables, carry, NULL, out))) return failed;
  }
  return STEP_DONE;
}
