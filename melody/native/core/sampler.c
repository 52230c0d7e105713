#include "sampler.h"

#include <stdlib.h>
#include <string.h>

// ---- e^x and ln x, the same everywhere: no two libraries of C agree on their last digits ---------------------------

static const double LN2_HIGH = 6.93147180369123816490e-01, LN2_LOW = 1.90821492927058770002e-10;

static double power_of_two(int64_t n) {
  uint64_t bits = (uint64_t)(n + 1023) << 52;
  double result;
  memcpy(&result, &bits, 8);
  return result;
}

// 2^n e^r, with the series of e^r; |r| <= ln 2 / 2.
double exponential(double x) {
  static const double over_factorial[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                          1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                          1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5};
  if (!(x >= -700.0)) return 0.0;  // or no number
  double n = (double)(int64_t)(x * 1.44269504088896338700 - 0.5);
  double r = (x - n * LN2_HIGH) - n * LN2_LOW, p = over_factorial[0];
  for (int i = 1; i < 12; i++) p = p * r + over_factorial[i];
  return (1.0 + (r + r * r * p)) * power_of_two((int64_t)n);
}

// ln(2^n m) with the series of artanh; m within the square roots of 1/2 and 2.
double logarithm(double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  int64_t n = (int64_t)(bits >> 52) - 1023;
  double m = x / power_of_two(n);
  if (m > 1.41421356237309504880) {
    m = m / 2.0;
    n++;
  }
  double s = (m - 1.0) / (m + 1.0), square = s * s, sum = 0.0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / (double)k;
  return 2.0 * s * sum + (double)n * LN2_HIGH + (double)n * LN2_LOW;
}

// ---- choice ---------------------------------------------------------------------------------------------------------

typedef struct {
  double height;
  int place;
} Candidate;

static int higher_first(const void *one, const void *other) {  // the earlier ones among equals
  const Candidate *a = one, *b = other;
  if (a->height != b->height) return a->height > b->height ? -1 : 1;
  return a->place - b->place;
}

static int tokens_in(const uint8_t *mask, int *tokens) {
  int count = 0, v = 0;
  for (; v + 8 <= TOKENS; v += 8) {
    uint64_t eight;
    memcpy(&eight, mask + v, 8);
    if (!eight) continue;
    for (int k = 0; k < 8; k++) {
      tokens[count] = v + k;
      count += mask[v + k];
    }
  }
  for (; v < TOKENS; v++) {
    tokens[count] = v;
    count += mask[v];
  }
  return count;
}

// Sorts candidates of at least this mass, and returns how many there are.
static int sorted(Candidate *candidates, const double *heights, const double *masses, int count, double least) {
  int found = 0;
  for (int i = 0; i < count; i++) {
    if (masses[i] < least) continue;
    Candidate own = {heights[i], i};
    candidates[found++] = own;
  }
  if (found > 48) {
    qsort(candidates, (size_t)found, sizeof *candidates, higher_first);
    return found;
  }
  for (int i = 1; i < found; i++) {
    Candidate own = candidates[i];
    int k = i;
    for (; k > 0 && candidates[k - 1].height < own.height; k--) candidates[k] = candidates[k - 1];
    candidates[k] = own;
  }
  return found;
}

static void keep_top(const Sampling *sampling, const double *heights, double *masses, int count, Candidate *room) {
  int found = sorted(room, heights, masses, count, -1.0);
  for (int i = sampling->top_k; i < found; i++) masses[room[i].place] = 0;
}

static void keep_nucleus(const Sampling *sampling, const double *heights, double *masses, int count, Candidate *room) {
  double total = 0, sum = 0;
  for (int i = 0; i < count; i++) total += masses[i];
  // All of less mass than this have together less than what is left out.
  double least = (1.0 - sampling->top_p) * total / count * 0.999;
  int found = sorted(room, heights, masses, count, least), kept = 0;
  while (kept < found && sum < sampling->top_p * total) sum += masses[room[kept++].place];
  for (int i = kept; i < found; i++) masses[room[i].place] = 0;
  for (int i = 0; i < count; i++) masses[i] = masses[i] < least ? 0 : masses[i];
}

int choose(const float *logits, const uint8_t *mask, const Sampling *sampling, NextDouble next, void *state) {
  int tokens[TOKENS], best = 0, count = tokens_in(mask, tokens);
  double heights[TOKENS], masses[TOKENS], sum = 0;
  Candidate room[TOKENS];
  for (int i = 1; i < count; i++) best = logits[tokens[i]] > logits[tokens[best]] ? i : best;
  if (sampling->temperature == 0 || count == 1) return tokens[best];
  double temperature = sampling->temperature > 1e-6 ? sampling->temperature : 1e-6;
  for (int i = 0; i < count; i++) {
    heights[i] = ((double)logits[tokens[i]] - (double)logits[tokens[best]]) / temperature;
    masses[i] = exponential(heights[i]);
  }
  if (sampling->top_k && sampling->top_k < count) keep_top(sampling, heights, masses, count, room);
  if (sampling->top_p < 1) keep_nucleus(sampling, heights, masses, count, room);
  for (int i = 0; i < count; i++) {
    if (masses[i] < sampling->min_p) masses[i] = 0;
    sum += masses[i];
  }
  double drawn = next(state) * sum, passed = 0;
  for (int i = 0; i < count; i++) {
    passed += masses[i];
    if (passed > drawn) return tokens[i];
  }
  return tokens[best];
}

double mass_of(const float *logits, const uint8_t *mask) {
  int tokens[TOKENS], best = 0, count = tokens_in(mask, tokens);
  double sum = 0;
  for (int i = 1; i < count; i++) best = logits[tokens[i]] > logits[tokens[best]] ? i : best;
  double top = logits[tokens[best]];
  for (int i = 0; i < count; i++) sum += exponential((double)logits[tokens[i]] - top);
  return logarithm(sum) + top;
}

// Of float exponentials, as many lanes as the processor has; their sum is taken in a fixed order.
double nats_of(const Kernels *kernels, const float *logits, const uint8_t *lawful, int token) {
  int tokens[TOKENS], count = tokens_in(lawful, tokens);
  float found[TOKENS], top = logits[token];
  for (int i = 0; i < count; i++) {
    found[i] = logits[tokens[i]];
    top = found[i] > top ? found[i] : top;
  }
  kernels->exponentials(found, top, count);
  double sums[4] = {0, 0, 0, 0};
  for (int i = 0; i < count; i++) sums[i % 4] += (double)found[i];
  return logarithm(sums[0] + sums[1] + (sums[2] + sums[3])) + (double)top - (double)logits[token];
}
