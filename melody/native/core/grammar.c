// The grammar of events: which token may follow (`melody.tokens.grammar`).
#include <string.h>

#include "reader.h"

static void open_kind(uint8_t *mask, int kind) { memset(mask + FIRST[kind], 1, (size_t)(FIRST[kind + 1] - FIRST[kind])); }

static void open_change(uint8_t *mask, int kind, int current) {
  open_kind(mask, kind);
  if (current >= 0) mask[FIRST[kind] + current] = 0;
}

// Pitches above the last one of this onset that do not sound already, once the track has a velocity.
static void open_pitches(const Reader *r, uint8_t *mask) {
  uint8_t *pitches = mask + FIRST[r->programs[r->track] == DRUMS ? DRUM : PITCH];
  int velocity = r->velocity[r->track];
  if (r->last_pitch + 1 < PITCHES) memset(pitches + r->last_pitch + 1, 1, (size_t)(PITCHES - r->last_pitch - 1));
  for (int i = 0; i < r->actives; i++) {
    if (r->active[i].track == r->track && r->active[i].end > r->tick) pitches[r->active[i].pitch] = 0;
  }
  if (memchr(pitches, 1, PITCHES)) open_change(mask, VELOCITY, velocity);
  if (velocity < 0) memset(pitches, 0, PITCHES);
}

static void open_notes(const Reader *r, uint8_t *mask) {
  int from = r->noted ? r->track + 1 : 0;
  if (from < r->tracks) memset(mask + FIRST_TRACK + from, 1, (size_t)(r->tracks - from));
  if (r->track < 0) return;
  mask[FIRST_TRACK + r->track] = 0;
  open_pitches(r, mask);
}

static void open_next_place(const Reader *r, uint8_t *mask) {
  int from = r->position + 1;
  if (from < r->bar_ticks) memset(mask + FIRST_POSITION + from, 1, (size_t)(r->bar_ticks - from));
  if (r->tracks) open_kind(mask, BAR);  // without tracks a second bar could never sound
  int ends_here = r->sound_end <= r->bar_start + r->bar_ticks;  // a piece ends in the bar in which its last note ends
  if (ends_here && (reader_sounds(r) || r->bar == 0)) open_kind(mask, END);
}

static void after_bar(const Reader *r, uint8_t *mask) {
  open_kind(mask, TIME_SIGNATURE);
  if (r->meter < 0) return;
  mask[FIRST_TIME_SIGNATURE + r->meter] = 0;
  open_next_place(r, mask);
}

static void after_key(const Reader *r, uint8_t *mask) {
  open_change(mask, TEMPO, r->tempo);
  if (!r->tick) return;
  open_notes(r, mask);
  open_next_place(r, mask);
}

void reader_allow(const Reader *r, uint8_t *mask) {
  memset(mask, 0, TOKENS);
  switch (r->kind) {
    case NOTHING:
      open_kind(mask, BEGIN);
      break;
    case BEGIN:
    case PROGRAM:
      if (r->tracks < MOST_TRACKS) mask[FIRST_TRACK + r->tracks] = 1;
      open_kind(mask, BAR);
      break;
    case BAR:
      after_bar(r, mask);
      break;
    case TIME_SIGNATURE:
      if (r->bar == 0) mask[FIRST_POSITION] = 1;  // a piece states its tempo at once
      else open_next_place(r, mask);
      break;
    case POSITION:
      open_change(mask, KEY, r->key);
      open_change(mask, TEMPO, r->tempo);
      if (r->tick) open_notes(r, mask);
      break;
    case KEY:
      after_key(r, mask);
      break;
    case TEMPO:
    case DURATION:
      open_notes(r, mask);
      open_next_place(r, mask);
      break;
    case TRACK:
      if (r->bar < 0) open_kind(mask, PROGRAM);
      else open_pitches(r, mask);
      break;
    case VELOCITY:
      open_pitches(r, mask);
      memset(mask + FIRST_VELOCITY, 0, VELOCITIES);
      break;
    case PITCH:
    case DRUM:
    case SUSTAIN:
      open_kind(mask, SUSTAIN);
      open_kind(mask, DURATION);
      break;
    default:
      break;
  }
}
