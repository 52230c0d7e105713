// The rule of planned rhythms (`melody.generation.rules.rhythms`): a track whose bar is new keeps its onsets, lengths and
// notes of a chord, what is held only in part of its bar the rhythm of all of it, and who is to rest rests.
#include <stdlib.h>
#include <string.h>

#include "rules.h"

enum { EIGHT = 8, NEAR = 9, OF_OLD = 3, NEW = 1, EMPTY = 3, SAME = 4 };

static const int LAGS[] = {1, 2, 4, 8};

// The rhythm that a track keeps from tick `start` of the bar to before `stop`: the events of a bar, in order. Without any
// the track rests; where it is free it keeps none.
typedef struct {
  const Event *events;
  int count, track, start, stop, is_kept, is_new;
} Kept;

typedef struct {
  int place, track, notes;  // notes that begin there
} Stroke;

static int same_places(const Bar *a, const Bar *b) {
  int i = 0, k = 0;
  while (i < a->count && k < b->count) {
    int place = a->events[i].place;
    if (place != b->events[k].place) return 0;
    while (i < a->count && a->events[i].place == place) i++;
    while (k < b->count && b->events[k].place == place) k++;
  }
  return i == a->count && k == b->count;
}

// By how many bars the rhythm of the last one returned; 0: it did not.
static int habit(const Past *past) {
  const Bar *last = past_bar(past, 1);
  if (!last || !last->count) return 0;
  for (int i = 0; i < (int)(sizeof LAGS / sizeof *LAGS); i++) {
    const Bar *before = past_bar(past, 1 + LAGS[i]);
    if (before && same_places(last, before)) return LAGS[i];
  }
  return 0;
}

static int is_ruled(const Rule *rule, int track) {
  return (uint32_t)rule->numbers[0] >> track & 1 || track == rule->numbers[1];
}

static Kept kept_of(const Rule *rule, const Reader *r, int track) {
  Kept kept = {NULL, 0, track, 0, r->bar_ticks, 0, 0};
  const Memory *m = r->memory;
  if (!is_ruled(rule, track) || !m->plan.there || !m->plan.by_track) return kept;
  Symbol symbol = memory_symbol(&m->plan, track, r->bar);
  if (!symbol.lag && symbol.like == EMPTY) kept.is_kept = 1;
  if (kept.is_kept || !m->voices || track >= m->parts) return kept;
  const Past *past = &m->part[track]->past;
  int lag = symbol.lag;
  if (track == rule->numbers[1]) {
    kept.start = kept.stop;
    if (symbol.like != SAME) lag = 0;
  } else if (!lag && symbol.like == NEW && (r->bar - m->plan.pickup) % EIGHT) lag = habit(past), kept.is_new = 1;
  else kept.start = HELD[symbol.like] * r->bar_ticks / QUARTERS;
  const Bar *bar = lag > 0 ? past_bar(past, lag) : NULL;
  for (int i = 0; bar && i < bar->count; i++) {
    if (bar->events[i].place < kept.stop) kept.is_kept = 1;
  }
  if (kept.is_kept) kept.events = bar->events, kept.count = bar->count;
  return kept;
}

static int written(const Reader *r, int track) {
  int count = 0;
  for (int i = 0; i < r->nows; i++) count += r->now[i].track == track;
  return count;
}

static int by_pitch(const void *a, const void *b) {
  const Event *one = a, *other = b;
  return one->hit != other->hit ? one->hit - other->hit : one->duration - other->duration;
}

// The notes of a bar that begin at a place, upwards; how many.
static int notes_at(const Kept *kept, int place, Event *notes) {
  int count = 0;
  if (place < kept->start || place >= kept->stop) return 0;
  for (int i = 0; i < kept->count && count < PITCHES; i++) {
    if (kept->events[i].place == place) notes[count++] = kept->events[i];
  }
  qsort(notes, (size_t)count, sizeof *notes, by_pitch);
  return count;
}

static int has_opened(const Reader *r) { return r->noted || r->kind == TRACK || r->kind == VELOCITY; }

// The stroke of a track that comes next, or is not full yet; one at INT32_MAX where there is none.
static Stroke next_of(const Kept *kept, const Reader *r) {
  Event notes[PITCHES];
  for (int i = 0; i < kept->count; i++) {
    int place = kept->events[i].place;
    if (place < kept->start || place >= kept->stop || place < r->position) continue;
    if (place > r->position) return (Stroke){place, kept->track, 1};
    if (has_opened(r) && r->track > kept->track) continue;
    int count = notes_at(kept, place, notes);
    if (written(r, kept->track) < count) return (Stroke){place, kept->track, count};
  }
  return (Stroke){INT32_MAX, kept->track, 0};
}

static Stroke first_due(const Rule *rule, const Reader *r) {
  Stroke first = {INT32_MAX, 0, 0};
  for (int track = 0; track < MOST_TRACKS; track++) {
    Kept kept = kept_of(rule, r, track);
    Stroke due = next_of(&kept, r);
    if (due.place < first.place) first = due;
  }
  return first;
}

// The note under way becomes as long as the one that it stands for.
static void keep_length(const Rule *rule, const Reader *r, uint8_t *mask) {
  Event notes[PITCHES];
  Kept kept = kept_of(rule, r, r->track);
  int place = written(r, r->track) - 1;
  if (place < 0 || place >= notes_at(&kept, r->position, notes)) return;
  int left = notes[place].duration - r->length, token = left > MOST_DURATION ? FIRST_SUSTAIN : FIRST_DURATION + (left > 1 ? left : 1) - 1;
  uint8_t wanted = mask[token];
  memset(mask, 0, TOKENS);
  mask[token] = wanted;
}

// Where a bar is new, the notes of before come no more, but for one or so of a chord.
static void take_others(const Reader *r, const Event *notes, int count, uint8_t *mask) {
  int again = 0;
  for (int i = 0; i < r->nows; i++) {
    int is_old = 0;
    for (int k = 0; k < count; k++) is_old |= notes[k].hit % DRUM_HIT == r->now[i].pitch;
    again += is_old && r->now[i].track == r->track;
  }
  if (again < count / OF_OLD) return;
  for (int k = 0; k < count; k++) mask[FIRST_PITCH + notes[k].hit % DRUM_HIT] = 0;
}

// The pitch class that the bass has here, on a strong beat of a new bar; -1: any.
static int bass_of(const Rule *rule, const Reader *r) {
  const int16_t *now = planned_here(r);
  if (!now || r->position < 0 || 2 * r->position % r->bar_ticks || r->track < 0 || r->track != rule->numbers[3]) return -1;
  const FormPlan *plan = &r->memory->plan;
  Symbol symbol = plan->there && plan->by_track ? memory_symbol(plan, r->track, r->bar) : (Symbol){0, 0};
  return !symbol.lag && symbol.like == NEW ? now[CHORD_BASS] - 1 : -1;
}

// A track in whose rhythm stands what is written, or not.
static void keep_track(const Kept *kept, const Reader *r, int bass, uint8_t *mask) {
  Event notes[PITCHES];
  int place = r->position > 0 ? r->position : 0, count = notes_at(kept, r->position, notes), done = written(r, kept->track);
  if (place < kept->start) return;
  if (done >= count) {
    mask[FIRST_TRACK + kept->track] = 0;
    if (r->track == kept->track) close_notes(mask);
    return;
  }
  if (r->track != kept->track) return;
  if (count > 1) {
    int pitch = notes[done].hit % DRUM_HIT;
    close_ids(mask, FIRST_PITCH, FIRST_PITCH + (pitch > NEAR ? pitch - NEAR : 0));
    if (pitch + NEAR + 1 < PITCHES) close_ids(mask, FIRST_PITCH + pitch + NEAR + 1, FIRST_PITCH + PITCHES);
  }
  if (kept->is_new && bass < 0) take_others(r, notes, count, mask);
}

// numbers: bits of the pitched tracks, the drums (-1: none), whether nobody else plays, the bass (-1: none).
void rhythms_narrow(const Rule *rule, const Reader *r, uint8_t *mask) {
  uint8_t places[MOST_BAR_TICKS] = {0};
  int has_free = !rule->numbers[2], has_kept = 0;
  if (r->bar < 0 || !r->memory) return;
  if (reader_under_way(r)) {
    keep_length(rule, r, mask);
    return;
  }
  int bass = bass_of(rule, r);
  for (int pitch = 0; pitch < PITCHES && bass >= 0; pitch++) {
    if (pitch % OCTAVE != bass) mask[FIRST_PITCH + pitch] = 0;
  }
  for (int track = 0; track < MOST_TRACKS; track++) {
    Kept kept = kept_of(rule, r, track);
    has_free |= is_ruled(rule, track) && !kept.is_kept;
    if (!kept.is_kept) continue;
    has_kept = 1;
    keep_track(&kept, r, bass, mask);
    for (int i = 0; i < kept.count; i++) {
      if (kept.events[i].place < kept.stop) places[kept.events[i].place] = 1;
    }
  }
  for (int i = 0; i < MOST_BAR_TICKS && has_kept && !has_free; i++) mask[FIRST_POSITION + i] &= places[i];
  Stroke due = first_due(rule, r);
  if (due.place == INT32_MAX) return;
  close_beyond(r, due.place, due.track, mask);
  if (due.place > r->position) return;
  close_kind(mask, POSITION);
  if (r->track > due.track) close_notes(mask);
}

int rhythms_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  if (r->bar < 0 || !r->memory || reader_under_way(r)) return -1;
  Stroke due = first_due(rule, r);
  if (due.place == INT32_MAX) return -1;
  if (due.place == r->position && has_opened(r) && r->track >= due.track) return -1;
  return way_to(r, due.place, due.track, passing);
}
