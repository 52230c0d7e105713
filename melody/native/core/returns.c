// The rule of planned returns (`melody.generation.rules.returns`): a bar of a track that is planned as another one has
// that one's notes where that one has them.
#include <string.h>

#include "kit.h"
#include "rules.h"

enum { ALL = 4, LOUD = 4, SOON = 2 };  // quarters of a bar; bins of velocity around that of a hit; bars

// The bar that a track is to play again, all its events or those of several tracks together, and up to which tick. Of
// one that returns soon a crash on 1 may be left out, and a stroke put in before one of its events; `put` is -1 for none.
typedef struct {
  const Event *events;
  int count, until, no_crash, put;
  Event stroke;
} Source;

typedef struct {
  int place, track, hit, loud;
} Due;

// How many quarters of a bar in a class of likeness are held; see returns_narrow.
static int held_of(const Rule *rule, int track, int like) { return rule->table[track * rule->width + like]; }

static int is_crash_on_1(const Event *event, int track) {
  return event->track == track && event->place == 0 && event->hit >= DRUM_HIT && is_crash(event->hit - DRUM_HIT);
}

static int has_crash_on_1(const Event *events, int count, int track) {
  for (int i = 0; i < count; i++) {
    if (is_crash_on_1(&events[i], track)) return 1;
  }
  return 0;
}

// The bar returns without a crash on 1 that none came before; who keeps time in it otherwise strikes there.
static void play_soon(Source *bar, const Bar *before, int track) {
  if (!has_crash_on_1(bar->events, bar->count, track)) return;
  if (before && has_crash_on_1(before->events, before->count, track)) return;
  bar->no_crash = 1;
  for (int i = 0; i < bar->count; i++) {
    const Event *event = &bar->events[i];
    if (event->track != track || event->hit < DRUM_HIT || !keeps_time(event->hit - DRUM_HIT)) continue;
    if (event->place == 0) return;
    bar->stroke = *event;
    bar->stroke.place = 0;
    break;
  }
  if (bar->stroke.hit < DRUM_HIT) return;
  const Event *first = bar->events;
  for (bar->put = 0; bar->put < bar->count; bar->put++, first++) {
    if (first->place > 0 || first->track > track || (first->track == track && first->hit > bar->stroke.hit)) break;
  }
  bar->count++;
}

// The event of a source in its order; NULL for one that is left out.
static const Event *event_of(const Source *source, int i) {
  if (i == source->put) return &source->stroke;
  const Event *event = &source->events[i - (source->put >= 0 && i > source->put)];
  return source->no_crash && is_crash_on_1(event, event->track) ? NULL : event;
}

static Source source_of(const Rule *rule, const Reader *r, int track) {
  Source none = {.put = -1}, found = none;
  const Memory *m = r->memory;
  Symbol symbol = memory_symbol(&m->plan, track, r->bar);
  if (!symbol.lag || !held_of(rule, track, symbol.like)) return none;
  if (symbol.lag < 0) {
    for (int i = 0; i < m->plan.aheads; i++) {
      if (m->plan.ahead_bars[i] != r->bar - symbol.lag || m->plan.ahead[i].loud == UINT8_MAX) continue;
      if (!found.count++) found.events = &m->plan.ahead[i];
    }
  } else {
    int part = m->voices ? track : 0;
    const Bar *bar = part < m->parts ? past_bar(&m->part[part]->past, symbol.lag) : NULL;
    if (bar) found = (Source){.events = bar->events, .count = bar->count, .put = -1};
    const Bar *before = bar && symbol.lag <= SOON ? past_bar(&m->part[part]->past, symbol.lag + 1) : NULL;
    if (bar && symbol.lag <= SOON) play_soon(&found, before, track);
  }
  for (int i = 0; i < found.count; i++) {
    const Event *event = event_of(&found, i);
    if (!event || event->track != track) continue;
    found.until = held_of(rule, track, symbol.like) * r->bar_ticks / ALL;
    return found;
  }
  return none;
}

static int sounds_at(const Reader *r, int track, int pitch, int place) {
  for (int i = 0; i < r->actives; i++) {
    const Sounding *note = &r->active[i];
    if (note->track == track && note->pitch == pitch && note->end - r->bar_start > place) return 1;
  }
  return 0;
}

// The note of a track that comes next, from event `from` on; 0 where none is due.
static int next_of(const Reader *r, const Source *source, int track, int *from, Due *due) {
  int opened = r->noted || r->kind == TRACK || r->kind == VELOCITY;
  for (int i = *from; i < source->count; i++) {
    const Event *event = event_of(source, i);
    if (!event) continue;
    if (event->place >= source->until) break;
    int pitch = event->hit % DRUM_HIT;
    if (event->track != track || event->place < r->position) continue;
    if (opened && event->place == r->position && (track < r->track || (track == r->track && pitch <= r->last_pitch))) continue;
    if (sounds_at(r, track, pitch, event->place)) continue;
    *due = (Due){event->place, track, event->hit, event->loud};
    *from = i + 1;
    return 1;
  }
  return 0;
}

static int is_idle(const Reader *r) { return r->bar < 0 || reader_under_way(r) || !r->memory; }

// The note under way becomes as long as it was; of one that was not there nothing is known.
static void keep_length(const Rule *rule, const Reader *r, uint8_t *mask) {
  if (!((uint32_t)rule->numbers[0] >> r->track & 1)) return;
  Source source = source_of(rule, r, r->track);
  if (r->position >= source.until) return;
  for (int i = 0; i < source.count; i++) {
    const Event *event = event_of(&source, i);
    if (!event || event->track != r->track || event->place != r->position || event->hit % DRUM_HIT != r->pitch) continue;
    int left = event->duration - r->length, token = left > MOST_DURATION ? FIRST_SUSTAIN : FIRST_DURATION + (left > 1 ? left : 1) - 1;
    uint8_t wanted = mask[token];
    memset(mask, 0, TOKENS);
    mask[token] = wanted;
    return;
  }
}

// The hit that comes next may be as loud as it was, or nearly.
static void keep_loudness(const Due *due, const Reader *r, uint8_t *mask) {
  int least = due->loud > LOUD ? due->loud - LOUD : 0, most = due->loud + LOUD;
  if (due->hit < DRUM_HIT) return;
  close_ids(mask, FIRST_VELOCITY, FIRST_VELOCITY + least);
  if (most < VELOCITIES - 1) close_ids(mask, FIRST_VELOCITY + most + 1, FIRST_VELOCITY + VELOCITIES);
  if (r->velocity[due->track] < least || r->velocity[due->track] > most) close_kind(mask, DRUM);
}

// numbers: bits of the tracks that are held, how many they are; table (tracks, classes): how many quarters of a bar of a
// track are held in each class of likeness.
void returns_narrow(const Rule *rule, const Reader *r, uint8_t *mask) {
  uint32_t tracks = (uint32_t)rule->numbers[0];
  uint8_t places[MOST_BAR_TICKS] = {0};
  int held = 0, least = MOST_BAR_TICKS, place = r->position > 0 ? r->position : 0;
  Due first = {INT32_MAX, 0, 0, 0};
  if (r->bar < 0 || !r->memory) return;
  if (reader_under_way(r)) {
    keep_length(rule, r, mask);
    return;
  }
  for (int track = 0; track < MOST_TRACKS; track++) {
    Source source = tracks >> track & 1 ? source_of(rule, r, track) : (Source){.put = -1};
    if (!source.count) continue;
    Due due, own = {-1, 0, 0, 0};  // own: the next one at this position
    int from = 0;
    while (next_of(r, &source, track, &from, &due)) {
      if (due.place < first.place) first = due;
      if (own.place < 0 && due.place == r->position) own = due;
      places[due.place] = 1;
    }
    held++;
    least = source.until < least ? source.until : least;
    if (own.place < 0 && place < source.until) mask[FIRST_TRACK + track] = 0;
    if (track != r->track || place >= source.until) continue;
    int token = own.place < 0 ? -1 : (own.hit >= DRUM_HIT ? FIRST_DRUM : FIRST_PITCH) + own.hit % DRUM_HIT;
    uint8_t wanted = token < 0 ? 0 : mask[token];
    uint8_t velocities[VELOCITIES];
    memcpy(velocities, mask + FIRST_VELOCITY, VELOCITIES);
    close_notes(mask);
    if (token < 0) continue;
    mask[token] = wanted;
    memcpy(mask + FIRST_VELOCITY, velocities, VELOCITIES);
    keep_loudness(&own, r, mask);
  }
  if (!held) return;
  if (first.place == r->position && first.track < r->track) close_notes(mask);
  if (first.place < INT32_MAX) close_beyond(r, first.place, first.track, mask);
  if (held < rule->numbers[1]) return;
  for (int i = least; i < MOST_BAR_TICKS; i++) places[i] = 1;  // somebody is free there
  for (int i = 0; i < MOST_BAR_TICKS; i++) mask[FIRST_POSITION + i] &= places[i];
}

int returns_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  Due first = {INT32_MAX, 0, 0, 0}, due;
  if (is_idle(r)) return -1;
  for (int track = 0; track < MOST_TRACKS; track++) {
    int from = 0;
    Source source = (uint32_t)rule->numbers[0] >> track & 1 ? source_of(rule, r, track) : (Source){.put = -1};
    if (source.count && next_of(r, &source, track, &from, &due) && due.place < first.place) first = due;
  }
  if (first.place == INT32_MAX || (first.place == r->position && r->noted && r->track >= first.track)) return -1;
  return way_to(r, first.place, first.track, passing);
}
