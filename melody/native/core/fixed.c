// Notes that are fixed before composing begins, and the rule that writes each of them at its place
// (`melody.generation.rules.fixed_notes`).
#include "fixed.h"

#include <string.h>

enum { FREE_PITCH = -1 };

static int compare(const FixedNote *note, int onset, int track, int number) {
  if (note->onset != onset) return note->onset < onset ? -1 : 1;
  if (note->track != track) return note->track < track ? -1 : 1;
  return note->number - number;
}

// The first note that does not come before such a one.
static int place_of(const Fixed *fixed, int onset, int track, int number) {
  int first = 0, stop = fixed->count;
  while (first < stop) {
    int middle = (first + stop) / 2;
    if (compare(&fixed->notes[middle], onset, track, number) < 0) first = middle + 1;
    else stop = middle;
  }
  return first;
}

static int written_here(const Reader *r) {  // notes of the track under way
  int count = 0;
  for (int i = 0; i < r->nows; i++) count += r->now[i].track == r->track;
  return count;
}

const FixedNote *fixed_next(const Fixed *fixed, const Reader *r) {
  int place = place_of(fixed, r->tick, r->noted ? r->track : -1, r->noted ? written_here(r) : 0);
  return place < fixed->count ? &fixed->notes[place] : NULL;
}

static int is_fixed(const Fixed *fixed, int track) { return track >= 0 && fixed->tracks >> track & 1; }

// The fixed note whose pitch has been read and whose duration has not; NULL where it is a free one.
static const FixedNote *note_under_way(const Fixed *fixed, const Reader *r) {
  if (!is_fixed(fixed, r->track)) return NULL;
  int number = written_here(r) - 1, place = place_of(fixed, r->tick, r->track, number);
  if (place == fixed->count || compare(&fixed->notes[place], r->tick, r->track, number)) return NULL;
  return &fixed->notes[place];
}

static int is_due(const Reader *r, const FixedNote *note) { return note->onset == r->tick && r->position >= 0; }

static void close_tracks(uint8_t *mask, uint32_t tracks) {
  for (int track = 0; track < MOST_TRACKS; track++) {
    if (tracks >> track & 1) mask[FIRST_TRACK + track] = 0;
  }
}

// The pitches that a fixed note may have; above the highest of them there is room for those after it.
static void open_pitches(const Reader *r, const FixedNote *note, const uint8_t *pitches, const uint8_t *were,
                         uint8_t *mask) {
  int start = r->programs[note->track] == DRUMS ? FIRST_DRUM : FIRST_PITCH, count = 0, free[PITCHES];
  if (note->pitch != FREE_PITCH) {
    mask[start + note->pitch] = were[start + note->pitch];
    return;
  }
  uint8_t sounding[PITCHES] = {0};
  for (int i = 0; i < r->actives; i++) {
    if (r->active[i].track == note->track) sounding[r->active[i].pitch] = 1;
  }
  for (int p = r->last_pitch + 1; p < PITCHES; p++) {
    if (pitches[note->track * PITCHES + p] && !sounding[p]) free[count++] = p;
  }
  int most = count > note->following ? count - note->following : count;
  for (int i = 0; i < most; i++) mask[start + free[i]] = were[start + free[i]];
}

// What may follow at a position at which this note must be written.
static void keep_up_to(const Fixed *fixed, const Reader *r, const FixedNote *note, const uint8_t *pitches,
                       uint8_t *mask) {
  uint8_t were[TOKENS];
  memcpy(were, mask, TOKENS);
  close_kind(mask, POSITION);
  mask[FIRST[BAR]] = mask[FIRST[END]] = 0;
  close_tracks(mask, fixed->tracks);
  close_ids(mask, FIRST_TRACK + note->track, FIRST_TRACK + MOST_TRACKS);
  mask[FIRST_TRACK + note->track] = were[FIRST_TRACK + note->track];
  if (r->track == note->track) {
    int velocity = FIRST_VELOCITY + note->velocity;
    close_notes(mask);
    if (r->velocity[note->track] != note->velocity) mask[velocity] = were[velocity];
    else open_pitches(r, note, pitches, were, mask);
  } else if (is_fixed(fixed, r->track) || r->track > note->track) {
    close_notes(mask);
  }
}

// The note under way lasts exactly so many ticks more.
static void keep_length(int ticks, uint8_t *mask) {
  int token = ticks > MOST_DURATION ? FIRST_SUSTAIN : FIRST_DURATION + (ticks > 1 ? ticks : 1) - 1;
  uint8_t wanted = mask[token];
  memset(mask, 0, TOKENS);
  mask[token] = wanted;
}

void fixed_narrow(const Fixed *fixed, const uint8_t *pitches, const Reader *r, uint8_t *mask) {
  if (r->bar < 0) return;
  if (reader_under_way(r)) {
    const FixedNote *own = note_under_way(fixed, r);
    if (own) keep_length(own->duration - r->length, mask);
    return;
  }
  const FixedNote *note = fixed_next(fixed, r);
  if (note && is_due(r, note)) {
    keep_up_to(fixed, r, note, pitches, mask);
    return;
  }
  close_tracks(mask, fixed->tracks);
  if (is_fixed(fixed, r->track)) close_notes(mask);
  if (!note) return;
  int place = note->onset > r->bar_start ? note->onset - r->bar_start : 0;
  if (place + 1 < MOST_BAR_TICKS) close_ids(mask, FIRST_POSITION + place + 1, FIRST_POSITION + MOST_BAR_TICKS);
  mask[FIRST[END]] = 0;
  if (note->onset < r->bar_start + r->bar_ticks) mask[FIRST[BAR]] = 0;
}

int fixed_way_on(const Fixed *fixed, const Reader *r, uint8_t *passing) {
  const FixedNote *note = fixed_next(fixed, r);
  if (!note || r->bar < 0 || reader_under_way(r)) return -1;
  memset(passing, 0, TOKENS);
  passing[FIRST[END]] = 1;
  if (!is_due(r, note) && note->onset >= r->bar_start + r->bar_ticks) return FIRST[BAR];
  memset(passing + FIRST_POSITION, 1, MOST_BAR_TICKS);
  passing[FIRST[BAR]] = 1;
  if (is_due(r, note)) {
    for (int track = note->track + 1; track < MOST_TRACKS; track++) passing[FIRST_TRACK + track] = 1;
    return r->track < note->track || !r->noted ? FIRST_TRACK + note->track : -1;
  }
  if (note->onset < r->bar_start) return -1;
  int here = FIRST_POSITION + note->onset - r->bar_start;
  close_ids(passing, FIRST_POSITION, here + 1);
  return here;
}
