// Musical rules as in `melody.generation.rules`: each takes away, from the tokens that may follow, those it forbids.
// They narrow what the grammar allows, one after the other; a rule that would leave nothing yields to those before.
#ifndef MELODY_RULES_H
#define MELODY_RULES_H
#include <stddef.h>
#include <string.h>

#include "reader.h"

// The order is that of FORMS in melody/generation/rules/native_form.py, which says what numbers, mask and table hold.
typedef enum {
  ASK_PYTHON,
  MASK,
  EXACT_BARS,
  NO_LONG_SILENCE,
  PLAYABLE,
  KEEP_METERS,
  STATE_AT_START,
  TONIC_ENDING,
  NO_PARALLELS,
  PLANNED_CHORDS,
  PLANNED_PHRASES,
  PLANNED_RETURNS,
  LEADING_NOTES,
  KEEP_FIXED,
  NO_LONG_SILENCE_OF,
  EACH_SOUNDS,
  PLANNED_FILLS,
  PLANNED_ENTRIES,
  PLANNED_RHYTHMS,
  OWN_SCALE,
  COMPOUND_BEAT,
  KEPT_TIME,
  ONE_LOUDNESS,
  RULES
} RuleKind;

typedef struct {
  int32_t kind, numbers[5], count, width;  // of the table: rows and columns
  const uint8_t *mask;
  const int32_t *table;
} Rule;

// Asks Python for the opinion of a rule on a row: 1 and a mask (TOKENS), 0 for none, -1 where that failed.
typedef int (*Ask)(int row, int rule, uint8_t *mask);

// Narrows `lawful` (TOKENS) by all rules into `mask`; returns 0 where Python failed.
int narrow(const Rule *rules, int count, Ask ask, int row, const Reader *reader, const uint8_t *lawful, uint8_t *mask);

// The token that leads on where the model would go on by many, -1: none; it gets the mass of those `passing` by.
int rule_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);

void style_tonic_ending(const Rule *rule, const Reader *reader, uint8_t *mask);
// The token that leads on to the last chord or from it to the end, as above.
int style_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
void style_no_parallels(const Reader *reader, uint8_t *mask);
void style_planned_chords(const Rule *rule, const Reader *reader, uint8_t *mask);
void style_planned_phrases(const Rule *rule, const Reader *reader, uint8_t *mask);
void returns_narrow(const Rule *rule, const Reader *reader, uint8_t *mask);
// The token that leads on to the next note that returns, as above.
int returns_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
// The tick at which the fill of a bar begins; -1 without one. There is a memory.
int fill_start(const Reader *reader, int drums, int bar);
void fills_narrow(const Rule *rule, const Reader *reader, uint8_t *mask);
// The token that leads on to the next hit of a fill, as above.
int fills_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
void entries_narrow(const Rule *rule, const Reader *reader, uint8_t *mask);
// The token that leads on to the next track that is due, as above.
int entries_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
void rhythms_narrow(const Rule *rule, const Reader *reader, uint8_t *mask);
// The token that leads on to the next note of a rhythm, as above.
int rhythms_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
void compound_narrow(const Rule *rule, int given, const Reader *reader, uint8_t *mask);
// The token that leads on to the next stroke that keeps time, as above.
int compound_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
void timekeeping_narrow(const Rule *rule, const Reader *reader, uint8_t *mask);
// The token that leads on to the next stroke that keeps time, as above.
int timekeeping_way_on(const Rule *rule, const Reader *reader, uint8_t *passing);
void loudness_narrow(const Rule *rule, const Reader *reader, uint8_t *mask);
void style_leading_notes(const Rule *rule, const Reader *reader, uint8_t *mask);
void style_own_scale(const Rule *rule, const Reader *reader, uint8_t *mask);

enum { QUARTERS = 4 };  // of a bar
static const int HELD[1 + LIKES] = {0, 0, 2, 3, 4};  // of them, by the class of likeness

enum { OCTAVE = 12, CHORD = 0, CHORD_BASS };  // of what is planned, as melody.tokens.harmony

// The chords told at this tick, and before them those at the tick before; NULL where none are planned.
static inline const int16_t *planned_here(const Reader *r) {
  const Chords *chords = &r->plan.chords;
  return chords->told && r->tick > 0 && r->tick < chords->ticks ? chords->told + (size_t)r->tick * CHORD_CHANNELS : NULL;
}

static inline void close_ids(uint8_t *mask, int from, int to) {
  for (int i = from; i < to; i++) mask[i] = 0;
}

static inline void close_kind(uint8_t *mask, int kind) { close_ids(mask, FIRST[kind], FIRST[kind + 1]); }

static inline void close_notes(uint8_t *mask) {
  close_kind(mask, PITCH);
  close_kind(mask, DRUM);
  close_kind(mask, VELOCITY);
}

// What passes by a place of this bar is closed, and tracks that pass by this one where that is here.
static inline void close_beyond(const Reader *r, int place, int track, uint8_t *mask) {
  mask[FIRST[BAR]] = mask[FIRST[END]] = 0;
  close_ids(mask, FIRST_POSITION + place + 1, FIRST_POSITION + MOST_BAR_TICKS);
  if (place == r->position) close_ids(mask, FIRST_TRACK + track + 1, FIRST_TRACK + MOST_TRACKS);
}

// The token that leads on to a place of this bar, or to this track where that is here; `passing`: those that pass by.
static inline int way_to(const Reader *r, int place, int track, uint8_t *passing) {
  memset(passing, 0, TOKENS);
  memset(passing + FIRST_POSITION, 1, MOST_BAR_TICKS);
  passing[FIRST[BAR]] = passing[FIRST[END]] = 1;
  if (place == r->position) {
    for (int later = track + 1; later < MOST_TRACKS; later++) passing[FIRST_TRACK + later] = 1;
    return FIRST_TRACK + track;
  }
  close_ids(passing, FIRST_POSITION, FIRST_POSITION + place + 1);
  return FIRST_POSITION + place;
}

// The note under way ends, from here, after `least` ticks at least and `most` at most (-1: any).
static inline void close_lengths(uint8_t *mask, int least, int most) {
  int gone = least - 1 < MOST_DURATION ? least - 1 : MOST_DURATION;
  close_ids(mask, FIRST_DURATION, FIRST_DURATION + gone);
  if (most < 0) return;
  close_ids(mask, FIRST_DURATION + (most > 1 ? most : 1), FIRST_DURATION + MOST_DURATION);
  if (most <= MOST_DURATION) mask[FIRST_SUSTAIN] = 0;
}

#endif
