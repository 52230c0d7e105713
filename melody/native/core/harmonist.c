// The chords of a take, step by step, as `melody.tokens.harmonist` draws them where no notes are given.
//
//     y of the LSTM, of the chords before and of where the step stands
//     p(root) = softmax(R y);  p(quality | root) = softmax(Q (y + root));  p(bass | chord) = softmax(B (y + root + kind))
//     at the end of a phrase p(length of the next one) = softmax(P y)
//
// Random numbers are used in the order in which that does.
#include <string.h>

#include "export.h"
#include "sampler.h"
#include "small_lstm.h"

enum { OCTAVE = 12, ROOTS = 1 + OCTAVE, MOST_QUALITIES = 10, NOT_YET = ROOTS, AGO = 3, TABLES = 15, MOST_SINCE = 24 };
enum { LENGTHS = 32, UNKNOWN = LENGTHS, CHORDS = ROOTS * MOST_QUALITIES };  // `UNKNOWN`: steps until a phrase ends
enum { TONIC = 1, MAJOR = 0, MINOR = 1, MOST_TRIES = 16 };  // of what closes, see `melody.tokens.closing`

// Matrices lie as [inputs][outputs], and the rows that are added to y as [rows][D].
typedef struct {
  SmallLstm lstm;
  const float *to_root, *to_root_bias, *of_root, *to_kind, *to_kind_bias, *of_kind, *to_bass, *to_bass_bias;
  const float *to_length, *to_length_bias;
} Harmonist;

typedef struct {  // of a step: the rows of four tables, and the steps so many bars ago, -1 for none
  int32_t place, places, left, minor, ago[AGO];
} Ground;

typedef struct {  // what is known of a step; `copied` is the step whose chord it has too, -1 for none
  int32_t chord[3], is_known, is_last, is_phrased, copied, may_close;
} Asked;

typedef struct {
  int32_t root, kind, bass, is_last;
} Drawn;

typedef struct {
  const Harmonist *harmonist;
  const Kernels *kernels;
  float temperature;
  NextDouble next;
  void *state;
  float h[SMALL], c[SMALL], y[SMALL];
  float opening[LENGTHS];  // logits of the length of the phrase under way
  int ahead, since;        // steps until it ends and since it began
  double likely;           // ln p of the chords drawn
} Drawing;

// A place among so many logits, which become sums of what they weigh.
static int pick(const Drawing *drawing, float *logits, int count) {
  float top = logits[0], sum = 0;
  int place = 0;
  for (int i = 1; i < count; i++) top = logits[i] > top ? logits[i] : top;
  drawing->kernels->exponentials(logits, top, count);
  for (int i = 0; i < count; i++) logits[i] = sum = sum + logits[i];
  double drawn = drawing->next(drawing->state) * (double)sum;
  while (place < count - 1 && (double)logits[place] <= drawn) place++;
  return place;
}

// The logarithm of what logits weigh beside their greatest one.
static double log_sum(const Drawing *drawing, const float *logits, int count, float *top) {
  float masses[CHORDS];
  double sum = 0;
  *top = logits[0];
  for (int i = 1; i < count; i++) *top = logits[i] > *top ? logits[i] : *top;
  memcpy(masses, logits, (size_t)count * sizeof *masses);
  drawing->kernels->exponentials(masses, *top, count);
  for (int i = 0; i < count; i++) sum += (double)masses[i];
  return logarithm(sum);
}

static double log_share(const Drawing *drawing, const float *logits, int count, int place) {
  float top;
  double all = log_sum(drawing, logits, count, &top);
  return (double)(logits[place] - top) - all;
}

// Logarithms of what logits say, at the temperature.
static void take_shares(const Drawing *drawing, float *logits, int count) {
  float top;
  for (int i = 0; i < count; i++) logits[i] = logits[i] / drawing->temperature;
  float all = (float)log_sum(drawing, logits, count, &top);
  for (int i = 0; i < count; i++) logits[i] = logits[i] - top - all;
}

static void add_row(float *sum, const float *x, const float *row) {
  for (int d = 0; d < SMALL; d++) sum[d] = x[d] + row[d];
}

static void open_phrase(Drawing *drawing) {
  const Harmonist *own = drawing->harmonist;
  drawing->kernels->affine(drawing->opening, own->to_length_bias, own->to_length, drawing->y, SMALL, LENGTHS);
}

// Finds out in how many steps the phrase under way ends, where it is known or can be drawn.
static void foresee_end(Drawing *drawing, const Asked *asked, int left) {
  float logits[LENGTHS];
  if (asked->is_phrased) {
    drawing->ahead = UNKNOWN;
    for (int k = 0; k < left && k < UNKNOWN && asked[k].is_phrased; k++) {
      if (!asked[k].is_last) continue;
      drawing->ahead = k;
      break;
    }
    return;
  }
  if (drawing->ahead != UNKNOWN) return;
  int passed = drawing->since < LENGTHS ? drawing->since : 0;
  memset(logits, 0, sizeof logits);
  if (drawing->since < LENGTHS) memcpy(logits, drawing->opening, sizeof logits);
  drawing->ahead = pick(drawing, logits + passed, LENGTHS - passed);
}

static void advance(Drawing *drawing, const int32_t *first, const Ground *ground, const Drawn *drawn, int step) {
  static const float shares[TABLES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  Drawn before = {NOT_YET, 0, 0, 0};
  if (step) before = drawn[step - 1];
  int32_t rows[TABLES] = {before.root, before.kind, before.bass};
  for (int i = 0; i < AGO; i++) {
    int at = ground->ago[i];
    rows[3 + i] = at >= 0 ? drawn[at].root : NOT_YET;
    rows[3 + AGO + i] = at >= 0 ? drawn[at].kind : 0;
  }
  rows[9] = ground->place;
  rows[10] = ground->places;
  rows[11] = drawing->ahead < UNKNOWN ? drawing->ahead : UNKNOWN;
  rows[12] = drawing->since < MOST_SINCE ? drawing->since : MOST_SINCE;
  rows[13] = ground->left;
  rows[14] = ground->minor;
  for (int i = 0; i < TABLES; i++) rows[i] += first[i];
  small_lstm_step(&drawing->harmonist->lstm, TABLES, rows, shares, drawing->h, drawing->c, drawing->y);
}

static Drawn draw_chord(Drawing *drawing) {
  const Harmonist *own = drawing->harmonist;
  float roots[ROOTS], kinds[MOST_QUALITIES], basses[OCTAVE], chords[CHORDS], all[CHORDS], x[SMALL];
  drawing->kernels->affine(roots, own->to_root_bias, own->to_root, drawing->y, SMALL, ROOTS);
  take_shares(drawing, roots, ROOTS);
  for (int root = 0; root < ROOTS; root++) {
    add_row(x, drawing->y, own->of_root + root * SMALL);
    drawing->kernels->affine(kinds, own->to_kind_bias, own->to_kind, x, SMALL, MOST_QUALITIES);
    take_shares(drawing, kinds, MOST_QUALITIES);
    for (int kind = 0; kind < MOST_QUALITIES; kind++) chords[root * MOST_QUALITIES + kind] = roots[root] + kinds[kind];
  }
  memcpy(all, chords, sizeof all);
  int place = pick(drawing, chords, CHORDS), root = place / MOST_QUALITIES;
  int kind = root ? 1 + place % MOST_QUALITIES : 0;
  add_row(x, drawing->y, own->of_root + root * SMALL);
  add_row(x, x, own->of_kind + kind * SMALL);
  drawing->kernels->affine(basses, own->to_bass_bias, own->to_bass, x, SMALL, OCTAVE);
  drawing->likely += log_share(drawing, all, CHORDS, place);
  memcpy(all, basses, sizeof basses);
  int over = pick(drawing, basses, OCTAVE);
  if (root) drawing->likely += log_share(drawing, all, OCTAVE, over);
  Drawn result = {root, kind, root ? 1 + (root - 1 + over) % OCTAVE : 0, 0};
  return result;
}

// Tells whether chords close at one of the steps at which they may; true where they need not.
static int closes(const Drawn *drawn, const Ground *ground, const Asked *asked, int count) {
  int need_not = 1, step = count - 1;
  for (int i = 0; i < count; i++) need_not &= !asked[i].may_close;
  if (need_not) return 1;
  while (step >= 0 && !drawn[step].root) step--;  // what sounds last
  for (; step >= 0; step--) {
    const Drawn *own = &drawn[step];
    int fits = own->kind == 1 + MAJOR || (ground->minor && own->kind == 1 + MINOR);
    if (own->root != TONIC || own->bass != TONIC || !fits) return 0;
    if (asked[step].may_close) return 1;
  }
  return 0;
}

static void draw(Drawing *drawing, const int32_t *first, int count, const Ground *ground, const Asked *asked,
                 Drawn *drawn) {
  memset(drawing->h, 0, sizeof drawing->h);
  memset(drawing->c, 0, sizeof drawing->c);
  memset(drawing->y, 0, sizeof drawing->y);
  drawing->ahead = UNKNOWN;
  drawing->since = 0;
  drawing->likely = 0;
  open_phrase(drawing);
  for (int step = 0; step < count; step++) {
    const Asked *own = &asked[step];
    foresee_end(drawing, own, count - step);
    advance(drawing, first, &ground[step], drawn, step);
    if (own->is_known) drawn[step] = (Drawn){own->chord[0], own->chord[1], own->chord[2], 0};
    else drawn[step] = own->copied >= 0 ? drawn[own->copied] : draw_chord(drawing);
    int ended = own->is_phrased ? own->is_last : drawing->ahead == 0;
    drawn[step].is_last = ended;
    drawing->since = ended ? 0 : drawing->since + 1;
    if (ended) open_phrase(drawing);
    drawing->ahead = ended || drawing->ahead == UNKNOWN ? UNKNOWN : drawing->ahead - 1;
  }
}

// Draws the chords of steps (count), again until they close; of so many plans the likeliest stays. `others` (count) is
// room for them. `first` (TABLES) are the rows with which the tables begin.
EXPORT void harmonist_draw(const Harmonist *harmonist, const int32_t *first, int count, const Ground *ground,
                           const Asked *asked, double temperature, int plans, NextDouble next, void *state,
                           Drawn *drawn, Drawn *others) {
  Drawing drawing;
  double best = 0;
  drawing.harmonist = harmonist;
  drawing.kernels = kernels_here()[0];
  drawing.temperature = (float)temperature;
  drawing.next = next;
  drawing.state = state;
  for (int plan = 0; plan < plans; plan++) {
    for (int tries = 0; tries < MOST_TRIES; tries++) {
      draw(&drawing, first, count, ground, asked, others);
      if (closes(others, ground, asked, count)) break;
    }
    if (plan && drawing.likely <= best) continue;
    best = drawing.likely;
    memcpy(drawn, others, (size_t)count * sizeof *drawn);
  }
}
