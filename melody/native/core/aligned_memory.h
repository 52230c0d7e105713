// What stood at this place in the bar that is planned, and in the bar that the last ones went by:
// `melody.tokens.aligned_memory`. Tracks are remembered together, or, with `voices`, each as a part of its own.
#ifndef MELODY_ALIGNED_MEMORY_H
#define MELODY_ALIGNED_MEMORY_H
#include "references.h"
#include "vocabulary.h"

enum {
  LAG_COUNT = 36,
  PHRASE = 16,
  MOST_LEFT = 8,
  FAR_WAIT = 48,
  LOUDER = 12,
  BAR_END = 1 + MOST_BAR_TICKS,
  END_WAIT = 2 + TOLERANCE + FAR_WAIT,
  OF_PARTS = 5,  // form_lag, form_like, form_left, same_lag, same_like
  OF_SLOT = 8,
  TELL_PLANNED = 1 + OF_PARTS,
  TELL_USUAL = TELL_PLANNED + OF_SLOT,
  FORM_CHANNELS = TELL_USUAL + OF_SLOT,
  TELL_RANGE = FORM_CHANNELS,  // behind them, where each track is a part: lowest, highest, part_0 ...
  TELL_PARTS = TELL_RANGE + 2,
  MOST_FORM_CHANNELS = TELL_PARTS + 16
};

typedef struct {
  int32_t lag, like;
} Symbol;

// The symbols of a piece: (lines, bars), a line for each track or one for all; bars that stand already where the piece
// has not come yet: `ahead` (events), in order of their bars `ahead_bars`. Phrases count from bar `pickup`.
typedef struct {
  int32_t there, pickup, lines, by_track, bars, aheads;
  const Symbol *symbols;
  const int32_t *ahead_bars;
  const Event *ahead;
} FormPlan;

typedef struct {
  Past past;
  double scores[LAG_COUNT];  // how well each lag has explained the last bars
  int16_t told[OF_PARTS];
  int lowest, highest;
} Part;

typedef struct {
  FormPlan plan;  // its arrays are the memory's own
  int voices, pickup, count, ticks, first_ticks;
  int place, track, hit, held, order, parts;
  uint8_t velocity[MOST_TRACKS];
  Events now;
  Slot planned, usual;
  Part *part[MOST_TRACKS];
  int16_t told[MOST_FORM_CHANNELS];
} Memory;

Memory *memory_new(const FormPlan *plan, int voices);
Memory *memory_copy(const Memory *memory);
void memory_free(Memory *memory);
int memory_read(Memory *memory, int kind, int value);      // returns 0 without memory
int memory_replan(Memory *memory, const FormPlan *plan);   // from the next bar line on
Symbol memory_symbol(const FormPlan *plan, int part, int bar);

#endif
