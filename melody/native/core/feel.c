// A player's strokes: how far off the grid each hit is played, drawn hit by hit from what was played before.
//
//     h = relu(known + A heard)      known: B x + a, of all that stands before anything is played
//     h = relu(C h + c)
//     p(deviation) = softmax of the first BINS of D h + d;  p(second stroke) = softmax of the others
//
// As `Feel.played` in melody/music/feel.py. Sums are taken in the order that is written here, so that strokes are the same
// on all processors.
#include <stdint.h>
#include <string.h>

#include "export.h"
#include "sampler.h"

enum { HIDDEN = 96, BINS = 32, DOUBLES = 25, HEADS = BINS + DOUBLES, HEARD = 3 };  // `SHAPES` there

static const double WIDTH = 0.25, MOST = 4.0;  // ticks of the grid: of a bin, and the farthest one's

typedef struct {  // matrices lie as [inputs][outputs]
  const float *of_heard, *second, *second_bias, *heads, *heads_bias;
} Player;

// out (outputs) += matrix x; where x is 0, as half of a hidden layer is, nothing is added.
static void add_product(float *restrict out, const float *restrict matrix, const float *x, int inputs, int outputs) {
  for (int i = 0; i < inputs; i++, matrix += outputs) {
    if (x[i] == 0) continue;
    for (int n = 0; n < outputs; n++) out[n] = out[n] + matrix[n] * x[i];
  }
}

static void rectify(float *x, int count) {
  for (int i = 0; i < count; i++) x[i] = x[i] > 0 ? x[i] : 0;
}

// The place, of so many with these logits, that a number in [0, 1) falls on.
static int place_of(const float *logits, int count, double drawn) {
  double sums[HEADS], sum = 0;
  float top = logits[0];
  int place = 0;
  for (int i = 1; i < count; i++) top = logits[i] > top ? logits[i] : top;
  for (int i = 0; i < count; i++) sums[i] = sum = sum + exponential((double)logits[i] - (double)top);
  while (place < count - 1 && sums[place] <= drawn * sum) place++;
  return place;
}

static double mean(double sum, int count) { return count ? sum / count : 0; }

// Of hits (count) in order: what is known (count, HIDDEN), onsets, and parts, numbered from 0, of each of which `last` has
// the deviation of its last hit; numbers (count, 3) in [0, 1). Writes deviations and classes of second strokes (count).
EXPORT void feel_play(const Player *player, int count, const float *known, const int64_t *onsets, const int32_t *parts,
                      double *last, const double *numbers, double *deviations, int32_t *doubles) {
  double sum = 0, before = 0;  // of the deviations at this onset; their mean at the one before
  int together = 0;
  for (int i = 0; i < count; i++, known += HIDDEN, numbers += 3) {
    float first[HIDDEN], second[HIDDEN], logits[HEADS];
    if (i && onsets[i] != onsets[i - 1]) {
      before = mean(sum, together);
      sum = together = 0;
    }
    float heard[HEARD] = {(float)mean(sum, together), (float)before, (float)last[parts[i]]};
    memcpy(first, known, sizeof first);
    memcpy(second, player->second_bias, sizeof second);
    memcpy(logits, player->heads_bias, sizeof logits);
    add_product(first, player->of_heard, heard, HEARD, HIDDEN);
    rectify(first, HIDDEN);
    add_product(second, player->second, first, HIDDEN, HIDDEN);
    rectify(second, HIDDEN);
    add_product(logits, player->heads, second, HIDDEN, HEADS);
    deviations[i] = last[parts[i]] = (place_of(logits, BINS, numbers[0]) + numbers[1]) * WIDTH - MOST;
    doubles[i] = place_of(logits + BINS, DOUBLES, numbers[2]);
    sum += deviations[i];
    together++;
  }
}
