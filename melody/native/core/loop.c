// Drawing takes side by side: rules and a token for each row, then one step of the model for all that go on.
//
// Each row has its own reader and its own random numbers, and the step's result for a row does not depend on its
// neighbours: a take is the same alone and among others. Logits are made of lawful tokens alone.
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "rules.h"
#include "sampler.h"
#include "step.h"

enum { WHOLE_TILES = (TOKENS + TILE - 1) / TILE * TILE };
enum { FAILED_IN_PYTHON = 10, FAILED_TO_READ };

typedef struct {
  Reader *reader;  // its own
  const float *beside;  // its table; NULL where the model has no encoder
  float *carry, *logits;
  uint8_t lawful[WHOLE_TILES];
  Embedded embedded;
  NextDouble next;
  void *state;
  int done;
} Row;

typedef struct {
  const Model *model;
  const Rule *rules;
  int rule_count, rows;
  Sampling sampling;
  Ask ask;
  Row *row;
  float *floats;
} Loop;

EXPORT void loop_free(Loop *loop) {
  if (!loop) return;
  for (int i = 0; i < loop->rows && loop->row; i++) reader_free(loop->row[i].reader);
  free(loop->row);
  free(loop->floats);
  free(loop);
}

// Rows begin with copies of `readers`, `carries` (rows, `carried_by`) and `logits` (rows, TOKENS). The model, the rules
// and all that they point to must live as long.
EXPORT Loop *loop_new(const Model *model, const Rule *rules, int rule_count, const Sampling *sampling, Ask ask, int rows,
                      const Reader *const *readers, const float *carries, const float *logits, void *const *next,
                      void *const *states) {
  size_t carried = carried_by(model), each = carried + WHOLE_TILES;
  Loop *loop = calloc(1, sizeof *loop);
  if (!loop) return NULL;
  *loop = (Loop){model, rules, rule_count, rows, *sampling, ask, calloc((size_t)rows, sizeof(Row)), NULL};
  loop->floats = malloc((size_t)rows * each * sizeof(float));
  for (int i = 0; i < rows && loop->row && loop->floats; i++) {
    Row *row = &loop->row[i];
    row->carry = loop->floats + (size_t)i * each;
    row->logits = row->carry + carried;
    memcpy(row->carry, carries + (size_t)i * carried, carried * sizeof(float));
    memcpy(row->logits, logits + (size_t)i * TOKENS, TOKENS * sizeof(float));
    memcpy(&row->next, &next[i], sizeof row->next);
    row->state = states[i];
    embedded_begin(&row->embedded);
    row->reader = reader_copy(readers[i]);
    if (row->reader) reader_allow(row->reader, row->lawful);
  }
  for (int i = 0; i < rows; i++) {
    if (loop->row && loop->floats && loop->row[i].reader) continue;
    loop_free(loop);
    return NULL;
  }
  return loop;
}

// Tables (rows) of what an encoder says; they must live as long as the loop.
EXPORT void loop_beside(Loop *loop, const float *const *beside) {
  for (int i = 0; i < loop->rows; i++) loop->row[i].beside = beside[i];
}

// Moves mass to the tokens that lead on, where rules redirect it: returns how many, these and the logits they had.
static int redirect(const Loop *loop, Row *row, const uint8_t *mask, int *targets, float *own) {
  uint8_t passing[TOKENS];
  int count = 0;
  for (int i = 0; i < loop->rule_count && count < RULES; i++) {
    int target = rule_way_on(&loop->rules[i], row->reader, passing);
    if (target < 0 || !mask[target]) continue;
    for (int k = 0; k < TOKENS; k++) passing[k] &= row->lawful[k];
    passing[target] = 1;
    targets[count] = target;
    own[count++] = row->logits[target];
    row->logits[target] = (float)mass_of(row->logits, passing);
  }
  return count;
}

static int draw(const Loop *loop, int place, int32_t *token, double *nats) {
  Row *row = &loop->row[place];
  uint8_t mask[TOKENS];
  if (!narrow(loop->rules, loop->rule_count, loop->ask, place, row->reader, row->lawful, mask)) return FAILED_IN_PYTHON;
  if (!memchr(mask, 1, TOKENS)) return FAILED_TO_READ;
  int targets[RULES];
  float own[RULES];
  int redirected = redirect(loop, row, mask, targets, own);
  *token = choose(row->logits, mask, &loop->sampling, row->next, row->state);
  while (redirected--) row->logits[targets[redirected]] = own[redirected];
  *nats = nats_of(loop->model->kernels, row->logits, row->lawful, *token);
  row->done = reader_ends_with(row->reader, *token);
  if (!reader_read(row->reader, *token)) return FAILED_TO_READ;
  if (!row->done) reader_allow(row->reader, row->lawful);
  return 0;
}

static int advance_all(const Loop *loop, const int32_t *tokens) {
  for (int begin = 0; begin < loop->rows;) {
    int32_t drawn[MOST_ROWS];
    const int16_t *contexts[MOST_ROWS];
    const uint8_t *wanted[MOST_ROWS];
    const float *beside[MOST_ROWS];
    float *carries[MOST_ROWS], *logits[MOST_ROWS];
    Embedded *embedded[MOST_ROWS];
    int count = 0, failed;
    for (; begin < loop->rows && count < MOST_ROWS; begin++) {
      Row *row = &loop->row[begin];
      if (row->done) continue;
      drawn[count] = tokens[begin];
      contexts[count] = row->reader->row;
      embedded[count] = &row->embedded;
      wanted[count] = row->lawful;
      beside[count] = row->beside;
      carries[count] = row->carry;
      logits[count++] = row->logits;
    }
    const float *const *tables = loop->model->places.steps ? beside : NULL;
    if ((failed = step(loop->model, count, drawn, contexts, embedded, tables, carries, wanted, logits))) return failed;
  }
  return STEP_DONE;
}

// Draws up to so many tokens a row, to tokens and nats (steps, rows); a row that has ended has token -1. Ends early
// where all rows have, and, with `until_note`, behind a note. Returns the steps made, or less than 0 for a failure.
EXPORT int loop_run(Loop *loop, int steps, int until_note, int32_t *tokens, double *nats) {
  for (int s = 0; s < steps; s++, tokens += loop->rows, nats += loop->rows) {
    int going = 0, noted = 0, failed;
    for (int i = 0; i < loop->rows; i++) {
      tokens[i] = -1;
      if (loop->row[i].done) continue;
      if ((failed = draw(loop, i, &tokens[i], &nats[i]))) return -failed;
      going += !loop->row[i].done;
      noted |= loop->row[i].reader->kind == DURATION;
    }
    if (going && (failed = advance_all(loop, tokens))) return -failed;
    if (!going || (until_note && noted)) return s + 1;
  }
  return steps;
}

// Some row has not ended yet.
EXPORT int loop_goes_on(const Loop *loop) {
  int going = 0;
  for (int i = 0; i < loop->rows; i++) going += !loop->row[i].done;
  return going;
}

// Logits (TOKENS) behind the last of tokens (count) that the model has gone through.
static int show_last(const Model *model, int count, const float *states, const int16_t *contexts, float *logits) {
  float made[WHOLE_TILES], *out = made;
  const float *last = states + (size_t)(count - 1) * model->width;
  const int16_t *context = contexts + (size_t)(count - 1) * model->channels;
  int failed = show(model, 1, &last, &context, NULL, &out);
  if (!failed) memcpy(logits, made, TOKENS * sizeof *logits);
  return failed;
}

// Lets a reader and a model without an encoder read tokens (count): writes the channels (count, C) and the model's
// states (count, D) behind each, the carry (2 L D), in place, and the logits (TOKENS) behind the last.
EXPORT int loop_read(const Model *model, Reader *reader, const int32_t *tokens, int count, float *carry, float *states,
                     int16_t *contexts, float *logits) {
  Embedded embedded;
  int failed;
  embedded_begin(&embedded);
  for (int i = 0; i < count; i++) {
    if (!reader_read(reader, tokens[i])) return FAILED_TO_READ;
    memcpy(contexts + (size_t)i * model->channels, reader->row, (size_t)model->channels * sizeof *contexts);
  }
  if ((failed = walk(model, count, tokens, contexts, &embedded, NULL, carry, states)) || !count) return failed;
  return show_last(model, count, states, contexts, logits);
}

// Lets the model read tokens (count, at least 1) with their channels (count, C), of which it has read `known` before,
// whole stretches. Up to there states (count, D) and carries (1 + stretches, `carried_by`), one before each stretch, are
// given; writes the others, the carry behind all tokens, and the logits (TOKENS) behind the last. `beside` is the table
// of a model with an encoder.
EXPORT int loop_read_on(const Model *model, const int32_t *tokens, const int16_t *contexts, int count, int known,
                        const float *beside, float *carries, float *states, float *logits) {
  size_t carried = carried_by(model);
  Embedded embedded;
  embedded_begin(&embedded);
  for (int begin = known; begin < count; begin += MOST_STRETCH) {
    int stretch = count - begin < MOST_STRETCH ? count - begin : MOST_STRETCH, failed;
    float *before = carries + (size_t)(begin / MOST_STRETCH) * carried, *after = before + carried;
    memcpy(after, before, carried * sizeof *after);
    failed = walk(model, stretch, tokens + begin, contexts + (size_t)begin * model->channels, &embedded, beside,
                  after, states + (size_t)begin * model->width);
    if (failed) return failed;
  }
  return show_last(model, count, states, contexts, logits);
}

// Adds to `nats` what each of the tokens (count) that were read, but the first, costs without the grammar, by the
// states and channels that `loop_read` wrote.
EXPORT int loop_nats(const Model *model, const int32_t *tokens, int count, const float *states, const int16_t *contexts,
                     double *nats) {
  uint8_t all[TOKENS];
  memset(all, 1, sizeof all);
  for (int begin = 0; begin + 1 < count; begin += MOST_SIDE) {
    float made[MOST_SIDE][WHOLE_TILES], *out[MOST_SIDE];
    const float *own[MOST_SIDE];
    const int16_t *context[MOST_SIDE];
    int side = count - 1 - begin < MOST_SIDE ? count - 1 - begin : MOST_SIDE, failed;
    for (int r = 0; r < side; r++) {
      out[r] = made[r];
      own[r] = states + (size_t)(begin + r) * model->width;
      context[r] = contexts + (size_t)(begin + r) * model->channels;
    }
    if ((failed = show(model, side, own, context, NULL, out))) return failed;
    for (int r = 0; r < side; r++) *nats += nats_of(model->kernels, made[r], all, tokens[begin + r + 1]);
  }
  return STEP_DONE;
}
