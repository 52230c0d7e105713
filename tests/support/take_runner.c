// Draws a take from a file that `support/take_file.py` writes, and prints its tokens: the core without Python, so that it
// can be run for another processor.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop_calls.h"
#include "../../melody/native/core/rules.h"
#include "../../melody/native/core/sampler.h"
#include "../../melody/native/core/step.h"

static void *next(void) {  // an array: its bytes, then itself; NULL for none
  int32_t bytes = 0;
  if (fread(&bytes, 4, 1, stdin) != 1) exit(3);
  if (!bytes) return NULL;
  void *data = calloc(1, (size_t)bytes + 64);
  if (fread(data, 1, (size_t)bytes, stdin) != (size_t)bytes) exit(3);
  return data;
}

static Model *read_model(void) {
  int32_t *sizes = next();  // width, layers, channels, tokens, places, matrices, intervals
  int32_t *table = next(), *place = next(), *first = next();
  Model *model = model_new(0, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], table, place, first);
  for (int i = 0; i < sizes[5]; i++) {
    int32_t *shape = next();
    uint8_t *values = next();
    float *scales = next(), *bias = next();
    model_matrix(model, i, shape[0], shape[1], shape[2], values, scales, bias);
  }
  if (sizes[6]) {
    int32_t *numbers = next(), *columns = next(), *begin = next();
    model_intervals(model, numbers[0], numbers[1], numbers[2], columns, begin, next(), numbers[3]);
  }
  return model;
}

static FormPlan read_form(void) {
  int32_t *numbers = next();
  FormPlan form = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], 0, next(), NULL, NULL};
  return form;
}

static Rule *read_rules(int *count) {
  *count = *(int32_t *)next();
  Rule *rules = calloc((size_t)*count + 1, sizeof *rules);
  for (int i = 0; i < *count; i++) {
    memcpy(&rules[i], next(), 8 * sizeof(int32_t));
    rules[i].mask = next();
    rules[i].table = next();
  }
  return rules;
}

int main(void) {
  vocabulary_fill();
  Model *model = read_model();
  Layout *layout = next();
  int32_t *known = next();
  Plan plan = {known[0], known[1], known[2], known[3], known[4], known[5], next(), {0, NULL, NULL}};
  FormPlan none = read_form(), form = read_form();
  Reader *reader = reader_new(layout, &plan, &none);
  float *carry = next(), logits[TOKENS];
  double nats[1] = {0};
  for (int part = 0; part < 2; part++) {
    int32_t *count = next(), *ids = next();
    float *states = calloc((size_t)*count * model->width, sizeof *states);
    int16_t *contexts = calloc((size_t)*count * model->channels, sizeof *contexts);
    if (loop_read(model, reader, ids, *count, carry, states, contexts, logits)) return 4;
    free(states);
    free(contexts);
    if (part == 0) reader_replan(reader, &form, &plan.chords);
  }
  int rule_count;
  Rule *rules = read_rules(&rule_count);
  double *asked = next();
  Sampling sampling = {asked[0], asked[1], asked[2], (int32_t)asked[3]};
  uint32_t *seed = next();
  void *state = numbers_new(seed[0], seed[1], seed[2], 0);
  NextDouble function = numbers_function();
  void *functions[1], *states[1] = {state};
  const Reader *readers[1] = {reader};
  memcpy(functions, &function, sizeof function);
  Loop *loop = loop_new(model, rules, rule_count, &sampling, NULL, 1, readers, carry, logits, functions, states);
  fprintf(stderr, "%s\n", model_kernels(model));
  do {
    int32_t token;
    if (loop_run(loop, 1, 0, &token, nats) < 1) return 5;
    printf("%d\n", token);
  } while (loop_goes_on(loop));
  return 0;
}
