// The rule of entries (`melody.generation.rules.entries`): tracks whose bar is planned to be new come in by some place in it.
#include "rules.h"

enum { KICK = 36, EIGHTH = TICKS / 2, NEW = 1, FIRST_BAR = 2, HELD_FROM = 2 };  // a class of likeness

typedef struct {
  int count, now, place;  // tracks that are due; the one that begins at this position, the tick to go to next, -1: none
  int kick;               // whether the track that begins with the kick is due
} Entry;

static int sounds_past(const Reader *r, int track, int tick) {
  for (int i = 0; i < r->actives; i++) {
    if (r->active[i].track == track && r->active[i].end > tick) return 1;
  }
  return 0;
}

// The tick in the bar by which a track is to begin; -1 where it has, or need not.
static int due_by(const Rule *rule, const Reader *r, int track) {
  if (rule->table[track] < 0) return -1;
  Symbol symbol = memory_symbol(&r->memory->plan, track, r->bar);
  if (symbol.lag ? symbol.like >= HELD_FROM : symbol.like != NEW && symbol.like != FIRST_BAR) return -1;
  if (r->written[track] && r->latest_onset[track] >= r->bar_start) return -1;
  int end = rule->table[track] * (r->bar_ticks / EIGHTH) / QUARTERS * EIGHTH, until = r->bar_start + end;
  return sounds_past(r, track, until > r->tick ? until : r->tick) ? -1 : end;
}

static Entry entry_of(const Rule *rule, const Reader *r) {
  Entry entry = {0, -1, -1, 0};
  if (r->bar < rule->numbers[0] || reader_under_way(r) || !r->memory) return entry;
  const FormPlan *plan = &r->memory->plan;
  if (!plan->there || !plan->by_track || r->bar < plan->pickup) return entry;
  int past = r->noted || r->kind == TRACK || r->kind == VELOCITY ? r->track : -1;
  for (int track = 0; track < MOST_TRACKS; track++) {
    int end = due_by(rule, r, track);
    if (end < 0) continue;
    entry.count++;
    if (track == rule->numbers[1]) entry.kick = 1;
    if (entry.now < 0 && end <= r->position && track > past) entry.now = track;
    if (end > r->position && (entry.place < 0 || end < entry.place)) entry.place = end;
  }
  return entry;
}

// numbers: the first of the new bars, the track that begins with the kick (-1: none); table (tracks, 1): the quarter of a bar by which each track comes in, -1: it is free.
void entries_narrow(const Rule *rule, const Reader *r, uint8_t *mask) {
  Entry entry = entry_of(rule, r);
  if (!entry.count) return;
  mask[FIRST[BAR]] = mask[FIRST[END]] = 0;
  if (entry.kick) {
    uint8_t kick = mask[FIRST_DRUM + KICK];
    close_kind(mask, DRUM);
    mask[FIRST_DRUM + KICK] = kick;
  }
  if (entry.now >= 0) {
    close_kind(mask, POSITION);
    close_ids(mask, FIRST_TRACK + entry.now + 1, FIRST_TRACK + MOST_TRACKS);
    if (r->track > entry.now) close_notes(mask);  // it would play on here without being named again
  } else if (entry.place >= 0) {
    close_ids(mask, FIRST_POSITION + entry.place + 1, FIRST_POSITION + MOST_BAR_TICKS);
  }
}

int entries_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  Entry entry = entry_of(rule, r);
  if (!entry.count || (entry.now < 0 && entry.place < 0)) return -1;
  return entry.now >= 0 ? way_to(r, r->position, entry.now, passing) : way_to(r, entry.place, -1, passing);
}
