#include "rules.h"

#include <string.h>

#include "export.h"
#include "fixed.h"

// ---- bars -----------------------------------------------------------------------------------------------------------

// numbers: how many bars, whether the piece closes there, the tick of its end (-1: not known), whether it must sound.
static void exact_bars(const Rule *rule, const Reader *r, uint8_t *mask) {
  int left = rule->numbers[0] + r->plan.had_pickup - r->bar, closes = rule->numbers[1], end = rule->numbers[2];
  if (reader_under_way(r)) {
    int room = (end < 0 ? r->bar_start + r->bar_ticks * left : end) - r->tick - r->length;
    close_lengths(mask, 1, room > 0 ? room : 0);
    return;
  }
  mask[FIRST[left <= 1 && closes ? BAR : END]] = 0;
  if (!reader_sounds(r) && left <= 1 && rule->numbers[3]) mask[FIRST[BAR]] = mask[FIRST[END]] = 0;
  if (r->kind != BAR || end >= 0) return;
  for (int meter = 0; meter < METERS; meter++) {  // a shorter meter must still hold what sounds on
    if (r->bar_start + METER_TICKS[meter] * left < r->sound_end) mask[FIRST_TIME_SIGNATURE + meter] = 0;
  }
}

static void no_long_silence(const Reader *r, uint8_t *mask) {
  if (r->bar >= 0 && !reader_sounds(r) && r->sound_end <= r->bar_before) mask[FIRST[BAR]] = 0;
}

// numbers: bits of the tracks, the tick from which on they do play.
static void no_long_silence_of(const Rule *rule, const Reader *r, uint8_t *mask) {
  int end = 0, stop = r->plan.stop > 0 ? r->plan.stop : r->plan.bars;
  if (r->bar < 0) return;
  for (int track = 0; track < MOST_TRACKS; track++) {
    if ((uint32_t)rule->numbers[0] >> track & 1 && r->latest_end[track] > end) end = r->latest_end[track];
  }
  int late = end <= r->bar_before, silent = end <= rule->numbers[1], last = r->bar + 1 == stop;
  if (late || (silent && last)) mask[FIRST[BAR]] = 0;
  if (silent && (late || last)) mask[FIRST[END]] = 0;
}

// numbers: the first bar, the one before which it ends, how many may be empty; table (rows, 1): the tick in the bar at
// which each track comes in (-1: it is free to rest), then the tick of each bar line.
static void each_sounds(const Rule *rule, const Reader *r, uint8_t *mask) {
  const int32_t *entries = rule->table, *lines = rule->table + MOST_TRACKS;
  int first = rule->numbers[0], back = r->bar - rule->numbers[2], due = 0, now = -1, next = INT32_MAX;
  if (r->bar < first || r->bar >= rule->numbers[1] || reader_under_way(r)) return;
  int here = r->tick - r->bar_start, past = r->noted ? r->track : -1;
  for (int track = 0; track < MOST_TRACKS; track++) {
    int end = r->latest_end[track];
    if (entries[track] < 0 || !(end <= lines[first] || (back >= first && end <= lines[back]))) continue;
    due = 1;
    if (now < 0 && track > past && entries[track] <= here) now = track;
    if ((entries[track] > here || r->position < 0) && entries[track] < next) next = entries[track];
  }
  if (!due) return;
  mask[FIRST[BAR]] = mask[FIRST[END]] = 0;
  if (now >= 0 && r->position >= 0) {
    close_kind(mask, POSITION);
    close_ids(mask, FIRST_TRACK + now + 1, FIRST_TRACK + MOST_TRACKS);
    if (r->track > now) close_notes(mask);  // it would play on here without being named again
  }
  if (next < INT32_MAX) close_ids(mask, FIRST_POSITION + next + 1, FIRST_POSITION + MOST_BAR_TICKS);
}

// numbers: the first bar; table: the meter of each bar.
static void keep_meters(const Rule *rule, const Reader *r, uint8_t *mask) {
  if (r->kind != BAR || r->bar < rule->numbers[0] || r->bar >= rule->count) return;
  int meter = rule->table[r->bar], wanted = mask[FIRST_TIME_SIGNATURE + meter];
  if (r->meter == meter) {
    close_kind(mask, TIME_SIGNATURE);
    return;
  }
  memset(mask, 0, TOKENS);
  mask[FIRST_TIME_SIGNATURE + meter] = (uint8_t)wanted;
}

// numbers: the key or tempo token that a piece states at its first position, and nowhere else.
static void state_at_start(const Rule *rule, const Reader *r, uint8_t *mask) {
  int token = rule->numbers[0], kind = KIND_OF[token], wanted = mask[token];
  int here = r->bar == 0 && r->tick == 0 && (r->kind == POSITION || (r->kind == KEY && kind == TEMPO));
  if (here && kind == KEY) memset(mask, 0, TOKENS);
  else close_kind(mask, kind);
  if (here) mask[token] = (uint8_t)wanted;
}

// ---- tracks ---------------------------------------------------------------------------------------------------------

// The tick from which on a track has fewer notes than it may, and one of its pitches that does not sound.
static int free_tick(const Reader *r, int track, int polyphony, const uint8_t *pitches, int count) {
  int ends[MOST_NOTES], sounding = 0, taken = 0, first = INT32_MAX, tick = 0;
  for (int i = 0; i < r->actives; i++) {
    if (r->active[i].track != track) continue;
    int end = r->active[i].end, place = sounding++;
    for (; place > 0 && ends[place - 1] < end; place--) ends[place] = ends[place - 1];  // the latest end first
    ends[place] = end;
    if (!pitches[r->active[i].pitch]) continue;
    taken++;
    first = end < first ? end : first;
  }
  if (sounding >= polyphony) tick = ends[polyphony - 1];
  if (sounding >= count && taken >= count && first > tick) tick = first;
  return tick;
}

static int pitch_is_left(const Reader *r, const uint8_t *pitches) {
  int left = 0;
  uint8_t sounding[PITCHES] = {0};
  for (int i = 0; i < r->actives; i++) {
    if (r->active[i].track == r->track) sounding[r->active[i].pitch] = 1;
  }
  for (int pitch = r->last_pitch + 1; pitch < PITCHES; pitch++) left |= pitches[pitch] && !sounding[pitch];
  return left;
}

static void keep_pitches(uint8_t *mask, const uint8_t *pitches) {
  for (int i = 0; i < PITCHES; i++) mask[i] &= pitches[i];
}

enum { FIXED_WIDTH = sizeof(FixedNote) / sizeof(int32_t) };

// Notes that are fixed: the rows of a rule's table from one on; its first number has the bits of their tracks.
static Fixed fixed_of(const Rule *rule, int from) {
  return (Fixed){(const FixedNote *)(rule->table + from * FIXED_WIDTH), rule->count - from, (uint32_t)rule->numbers[0]};
}

// numbers: bits of the tracks with fixed notes, if any; table (tracks, 2, or as fixed notes have): polyphony (0: no new
// notes) and number of pitches of each track, then fixed notes; mask (tracks, 128): its pitches.
static void playable(const Rule *rule, const Reader *r, uint8_t *mask) {
  static const uint8_t nothing[PITCHES];
  if (r->bar < 0 || reader_under_way(r)) return;
  Fixed fixed = rule->count > MOST_TRACKS ? fixed_of(rule, MOST_TRACKS) : (Fixed){NULL, 0, 0};
  const FixedNote *next = fixed_next(&fixed, r);
  int earliest = next ? next->onset : INT32_MAX;
  const uint8_t *pitches = nothing;
  for (int track = 0; track < MOST_TRACKS; track++) {
    if (fixed.tracks >> track & 1) continue;
    const uint8_t *own = rule->mask + track * PITCHES;
    const int32_t *row = rule->table + track * rule->width;
    int tick = row[0] ? free_tick(r, track, row[0], own, row[1]) : INT32_MAX;
    if (tick > r->tick) mask[FIRST_TRACK + track] = 0;
    else if (track == r->track) pitches = own;
    earliest = tick < earliest ? tick : earliest;
  }
  if (r->track < 0 || !(fixed.tracks >> r->track & 1)) {
    keep_pitches(mask + FIRST_PITCH, pitches);
    keep_pitches(mask + FIRST_DRUM, pitches);
    if (!pitch_is_left(r, pitches)) close_kind(mask, VELOCITY);
  }
  // a position must hold a note, so there is none before a track is free
  int gone = earliest - r->bar_start;
  close_ids(mask, FIRST_POSITION, FIRST_POSITION + (gone < MOST_BAR_TICKS ? gone : MOST_BAR_TICKS));
}

// ---- all together ---------------------------------------------------------------------------------------------------

static int apply(const Rule *rules, int place, Ask ask, int row, const Reader *r, uint8_t *mask) {
  const Rule *rule = &rules[place];
  uint8_t opinion[TOKENS];
  int has_opinion;
  switch (rule->kind) {
    case ASK_PYTHON:
      if ((has_opinion = ask(row, place, opinion)) < 0) return 0;
      for (int i = 0; i < TOKENS && has_opinion; i++) mask[i] &= opinion[i];
      break;
    case MASK:
      for (int i = 0; i < TOKENS; i++) mask[i] &= rule->mask[i];
      break;
    case EXACT_BARS:
      exact_bars(rule, r, mask);
      break;
    case NO_LONG_SILENCE:
      no_long_silence(r, mask);
      break;
    case PLAYABLE:
      playable(rule, r, mask);
      break;
    case KEEP_METERS:
      keep_meters(rule, r, mask);
      break;
    case STATE_AT_START:
      state_at_start(rule, r, mask);
      break;
    case TONIC_ENDING:
      style_tonic_ending(rule, r, mask);
      break;
    case NO_PARALLELS:
      style_no_parallels(r, mask);
      break;
    case PLANNED_CHORDS:
      style_planned_chords(rule, r, mask);
      break;
    case PLANNED_PHRASES:
      style_planned_phrases(rule, r, mask);
      break;
    case PLANNED_RETURNS:
      returns_narrow(rule, r, mask);
      break;
    case LEADING_NOTES:
      style_leading_notes(rule, r, mask);
      break;
    case KEEP_FIXED: {
      Fixed fixed = fixed_of(rule, 0);
      fixed_narrow(&fixed, rule->mask, r, mask);
      break;
    }
    case NO_LONG_SILENCE_OF:
      no_long_silence_of(rule, r, mask);
      break;
    case EACH_SOUNDS:
      each_sounds(rule, r, mask);
      break;
    case PLANNED_FILLS:
      fills_narrow(rule, r, mask);
      break;
    case PLANNED_ENTRIES:
      entries_narrow(rule, r, mask);
      break;
    case PLANNED_RHYTHMS:
      rhythms_narrow(rule, r, mask);
      break;
    case OWN_SCALE:
      style_own_scale(rule, r, mask);
      break;
    case COMPOUND_BEAT: {
      Fixed fixed = fixed_of(rule, 0);
      const FixedNote *next = fixed_next(&fixed, r);
      compound_narrow(rule, next ? next->onset : -1, r, mask);
      break;
    }
    case KEPT_TIME:
      timekeeping_narrow(rule, r, mask);
      break;
    case ONE_LOUDNESS:
      loudness_narrow(rule, r, mask);
      break;
    default:
      break;
  }
  return 1;
}

int rule_way_on(const Rule *rule, const Reader *reader, uint8_t *passing) {
  Fixed fixed;
  switch (rule->kind) {
    case TONIC_ENDING:
      return style_way_on(rule, reader, passing);
    case PLANNED_RETURNS:
      return returns_way_on(rule, reader, passing);
    case PLANNED_FILLS:
      return fills_way_on(rule, reader, passing);
    case PLANNED_ENTRIES:
      return entries_way_on(rule, reader, passing);
    case PLANNED_RHYTHMS:
      return rhythms_way_on(rule, reader, passing);
    case COMPOUND_BEAT:
      return compound_way_on(rule, reader, passing);
    case KEPT_TIME:
      return timekeeping_way_on(rule, reader, passing);
    case KEEP_FIXED:
      fixed = fixed_of(rule, 0);
      return fixed_way_on(&fixed, reader, passing);
    default:
      return -1;
  }
}

int narrow(const Rule *rules, int count, Ask ask, int row, const Reader *r, const uint8_t *lawful, uint8_t *mask) {
  uint8_t rest[TOKENS];
  memcpy(mask, lawful, TOKENS);
  for (int i = 0; i < count; i++) {
    if (!apply(rules, i, ask, row, r, mask)) return 0;
  }
  if (memchr(mask, 1, TOKENS)) return 1;
  memcpy(mask, lawful, TOKENS);
  for (int i = 0; i < count; i++) {  // together they leave nothing: each that would yields
    memcpy(rest, mask, TOKENS);
    if (!apply(rules, i, ask, row, r, rest)) return 0;
    if (memchr(rest, 1, TOKENS)) memcpy(mask, rest, TOKENS);
  }
  return 1;
}

EXPORT int rules_narrow(const Rule *rules, int count, const Reader *reader, uint8_t *mask) {
  uint8_t lawful[TOKENS];
  reader_allow(reader, lawful);
  return narrow(rules, count, NULL, 0, reader, lawful, mask);
}
