// Rules of a style (`melody.generation.rules.styles`): no parallel fifths and octaves, planned chords and phrases, and
// a last chord on the tonic.
#include <string.h>

#include "rules.h"

enum { FIFTH = 7 };

static int class_of(int pitch) { return (pitch % OCTAVE + OCTAVE) % OCTAVE; }

// ---- no parallels ---------------------------------------------------------------------------------------------------

void style_no_parallels(const Reader *r, uint8_t *mask) {
  int before[MOST_TRACKS];
  for (int i = 0; i < MOST_TRACKS; i++) before[i] = -1;
  for (int i = 0; i < r->befores; i++) before[r->before[i].track] = r->before[i].pitch;
  if (!r->nows || r->track < 0 || before[r->track] < 0) return;
  int mine = before[r->track], kept = mask[FIRST_PITCH + mine];
  for (int i = 0; i < r->nows; i++) {
    int voice = r->now[i].track, pitch = r->now[i].pitch;
    if (voice == r->track || before[voice] < 0 || before[voice] == pitch) continue;
    int sign = voice < r->track ? 1 : -1;  // intervals are the upper voice's above the lower
    int interval = class_of(sign * (before[voice] - mine));
    if (interval != 0 && interval != FIFTH) continue;
    for (int p = class_of(pitch - sign * interval); p < PITCHES; p += OCTAVE) mask[FIRST_PITCH + p] = 0;
  }
  mask[FIRST_PITCH + mine] = (uint8_t)kept;  // a voice that does not move is free
}

// ---- planned chords -------------------------------------------------------------------------------------------------

enum { PHRASE_END = CHORD_CHANNELS - 1, SOUNDS = 1, LONG = 2 * TICKS };  // as melody.tokens.harmony

// A pitch of one of these tracks, bits, may follow.
static int begins_note(const Reader *r, int tracks) {
  if (r->position < 0 || r->track < 0 || !((uint32_t)tracks >> r->track & 1)) return 0;
  return r->kind == POSITION || r->kind == TRACK || r->kind == VELOCITY || r->kind == DURATION;
}

static void keep_classes(uint8_t *mask, int classes) {  // of pitches, as bits
  for (int pitch = 0; pitch < PITCHES; pitch++) {
    if (!(classes >> class_of(pitch) & 1)) mask[FIRST_PITCH + pitch] = 0;
  }
}

// numbers: bits of the tracks without fixed notes, the lowest voice; table: the classes of each chord, as bits.
void style_planned_chords(const Rule *rule, const Reader *r, uint8_t *mask) {
  const int16_t *now = planned_here(r), *before = now ? now - CHORD_CHANNELS : NULL;
  if (!now || !begins_note(r, rule->numbers[0])) return;
  int same = before[CHORD] == now[CHORD] && before[CHORD_BASS] == now[CHORD_BASS];
  if (!now[CHORD] || same || now[CHORD] >= rule->count) return;
  int bass = now[CHORD_BASS] ? 1 << (now[CHORD_BASS] - 1) : 0;
  int classes = r->track == rule->numbers[1] && r->track > 0 ? bass : bass | rule->table[now[CHORD]];
  keep_classes(mask, classes);
}

// numbers: bits of the tracks without fixed notes, of the classes that the primer sounds, and the number of keys.
// table: the classes of each key, and behind them of each chord, as bits.
void style_own_scale(const Rule *rule, const Reader *r, uint8_t *mask) {
  const int16_t *now = planned_here(r);
  int keys = rule->numbers[2], key = r->plan.key_told;
  if (!key || key > keys || !begins_note(r, rule->numbers[0])) return;
  int classes = rule->numbers[1] | rule->table[key - 1];
  if (now && keys + now[CHORD] < rule->count) classes |= rule->table[keys + now[CHORD]];
  keep_classes(mask, classes);
}

// numbers: the highest voice.
void style_planned_phrases(const Rule *rule, const Reader *r, uint8_t *mask) {
  const int16_t *now = planned_here(r), *before = now ? now - CHORD_CHANNELS : NULL;
  if (!now || r->track != rule->numbers[0] || (r->kind != PITCH && r->kind != SUSTAIN)) return;
  if (now[PHRASE_END] == SOUNDS && before[PHRASE_END] != SOUNDS) close_lengths(mask, LONG - r->length, -1);
}

// numbers: bits of the tracks without fixed notes; table: of each chord the classes of its leading note and root, or -1.
void style_leading_notes(const Rule *rule, const Reader *r, uint8_t *mask) {
  const int16_t *now = planned_here(r), *before = now ? now - CHORD_CHANNELS : NULL;
  if (!now || !begins_note(r, rule->numbers[0])) return;
  if (now[CHORD] >= rule->count || before[CHORD] >= rule->count) return;
  int mine = -1;
  for (int i = 0; i < r->befores; i++) mine = r->before[i].track == r->track ? r->before[i].pitch : mine;
  if (mine < 0 || mine + 1 >= PITCHES || class_of(mine) != rule->table[2 * before[CHORD]]) return;
  if (class_of(mine + 1) != rule->table[2 * now[CHORD] + 1]) return;
  int kept = mask[FIRST_PITCH + mine + 1];
  close_kind(mask, PITCH);
  mask[FIRST_PITCH + mine + 1] = (uint8_t)kept;
}

// ---- the last chord -------------------------------------------------------------------------------------------------

typedef struct {
  int tonic, minor, bass;  // bass: its track
  int asked, asked_bass, asked_classes;  // the chord asked for, if any: class of its bass, and bits of all
} Closing;

// The classes that a track may have, as bits; `third` (3 or 4) is the one that another track has taken, 0: none.
static int classes_of(const Closing *chord, int track, int third) {
  if (chord->asked) return track == chord->bass ? 1 << chord->asked_bass : chord->asked_classes;
  int steps = 1;
  if (track != chord->bass) steps |= 1 << FIFTH | (third ? 1 << third : chord->minor ? 1 << 3 | 1 << 4 : 1 << 4);
  int classes = steps << chord->tonic;
  return (classes | classes >> OCTAVE) & 0xfff;
}

static int fits(const Closing *chord, int track, int pitch) {
  return classes_of(chord, track, 0) >> class_of(pitch) & 1;
}

static Symbol planned(const Reader *r, int track) {
  static const Symbol untold;
  return r->memory ? memory_symbol(&r->memory->plan, track, r->bar) : untold;
}

// The bar of a track returns, and ends as it ended before.
static int returns(const Reader *r, int track) {
  Symbol symbol = planned(r, track);
  return symbol.lag && symbol.like >= LIKES - 1;
}

static int is_silent(const Reader *r, int track) {  // as planned
  Symbol symbol = planned(r, track);
  return !symbol.lag && symbol.like == 3 && r->memory->plan.by_track;
}

static int middle_of(const Reader *r) {  // the last strong beat
  return METER_UNITS[r->meter < 0 ? METERS - 1 : r->meter] % 4 ? 0 : r->bar_ticks / 2;
}

// Lengths of the note under way: a foreign one makes room for the last chord, whose notes end together.
static void close_by(const Reader *r, const Closing *chord, int close, uint8_t *mask) {
  int past = r->tick + r->length, held = 0;
  int is_weak = r->tick > r->bar_start || close >= r->bar_start + r->bar_ticks;
  int stays = fits(chord, r->track, r->pitch) && !(r->track == chord->bass && is_weak);
  if (r->tick < close && !stays) close_lengths(mask, 1, close > past ? close - past : 0);
  if (r->tick != close) return;
  for (int i = 0; i < r->actives; i++) {
    int end = r->active[i].end;
    held = end > held ? end : held;
    for (int k = 0; k < r->nows - 1; k++) {
      if (r->now[k].track != r->active[i].track) continue;
      close_lengths(mask, end - past, end > past ? end - past : 0);
      return;
    }
  }
  int rest = r->bar_start + r->bar_ticks - close;  // of the bar: the last chord takes half of it, or more
  int whole = r->tick + (rest / 2 > TICKS ? rest / 2 : TICKS);
  close_lengths(mask, (held > whole ? held : whole) - past, -1);
}

// The third that a note of the chord has taken in minor; 0 where none has.
static int third_taken(const Reader *r, const Closing *chord) {
  int minor = 0, major = 0;
  for (int i = 0; i < r->actives && chord->minor; i++) {
    if (r->active[i].end <= r->tick) continue;
    int step = class_of(r->active[i].pitch - chord->tonic);
    minor |= step == 3;
    major |= step == 4;
  }
  return minor ? 3 : major ? 4 : 0;
}

static int is_standing(const Reader *r, const Closing *chord, int track, int tick) {  // in the last chord, at a tick
  for (int i = 0; i < r->actives; i++) {
    const Sounding *note = &r->active[i];
    if (note->track == track && note->end > tick && fits(chord, track, note->pitch)) return 1;
  }
  return 0;
}

static int all_ring(const Reader *r, const Closing *chord, const int *free, int count, int tick) {
  for (int i = 0; i < count; i++) {
    if (!is_standing(r, chord, free[i], tick)) return 0;
  }
  return 1;
}

// What may follow in the last bar, where no note is under way. `own` are the tracks without fixed notes, `free` (count)
// those of them that close, `others` those whose bar returns.
static void close_bar(const Reader *r, const Closing *chord, int close, const int *free, int count, uint32_t own,
                      uint32_t others, uint8_t *mask) {
  int missing = -1, place = close - r->bar_start, goes_on = others && all_ring(r, chord, free, count, close);
  if (r->tick > close) {  // the chord has closed; only what returns plays to its end
    for (int track = 0; track < MOST_TRACKS; track++) {
      if ((own & ~others) >> track & 1) mask[FIRST_TRACK + track] = 0;
    }
    if (r->track >= 0 && (others | ~own) >> r->track & 1) return;
    close_kind(mask, PITCH);
    close_kind(mask, VELOCITY);
    return;
  }
  for (int i = 0; i < count; i++) {
    if (missing < 0 && !is_standing(r, chord, free[i], r->tick)) missing = free[i];
  }
  if (!goes_on && place + 1 < MOST_BAR_TICKS) close_ids(mask, FIRST_POSITION + place + 1, FIRST_POSITION + MOST_BAR_TICKS);
  int strong = r->tick >= close || r->position == 0 || r->position == middle_of(r);
  if (missing >= 0 || !strong) mask[FIRST[END]] = 0;
  if (r->tick != close || r->position < 0 || missing < 0) return;
  for (int track = 0; track < MOST_TRACKS; track++) {  // the voices close one after the other
    if (track != missing && !(track < missing && others >> track & 1)) mask[FIRST_TRACK + track] = 0;
  }
  if (r->track >= 0 && r->track < missing && others >> r->track & 1) return;
  if (r->track != missing) {
    close_kind(mask, PITCH);
    close_kind(mask, VELOCITY);
  }
  int classes = classes_of(chord, r->track, third_taken(r, chord));
  keep_classes(mask, classes);
}

typedef struct {
  Closing chord;
  int free[MOST_TRACKS], count, close, under_way;
  uint32_t own, others;
} Ending;

// numbers: bits of the tracks that close, the lowest voice, the tick of the last fixed note.
// table: start, bass (-1: no chord) and bits of the classes of each chord asked for.
static int ending_of(const Rule *rule, const Reader *r, Ending *ending) {  // 0 where it is none yet
  int *free = ending->free, count = 0, total = r->plan.bars, key = r->plan.key_told - 1;
  uint32_t own = (uint32_t)rule->numbers[0], others = 0;
  if (total < 0 || key < 0 || r->bar < 0 || r->bar >= total) return 0;
  for (int track = 0; track < MOST_TRACKS; track++) {
    if (!(own >> track & 1)) continue;
    if (returns(r, track)) others |= 1u << track;
    else if (!is_silent(r, track)) free[count++] = track;
  }
  if (!count) return 0;
  int left = total - 1 - r->bar, under_way = r->kind == PITCH || r->kind == SUSTAIN;
  int close = r->bar_start + left * r->bar_ticks + middle_of(r);  // at the latest
  close = close > rule->numbers[2] ? close : rule->numbers[2];
  if (under_way ? close - r->tick - r->length > MOST_DURATION : left) return 0;  // it is still far
  if (under_way && returns(r, r->track)) return 0;
  Closing chord = {key % OCTAVE, key >= OCTAVE, rule->numbers[1], 0, 0, 0};
  for (int i = 0; i < rule->count && rule->table[3 * i] <= close; i++) {
    chord.asked = rule->table[3 * i + 1] >= 0;
    chord.asked_bass = rule->table[3 * i + 1];
    chord.asked_classes = rule->table[3 * i + 2];
  }
  if (chord.asked) chord.minor = 0;
  ending->chord = chord;
  ending->count = count;
  ending->close = close;
  ending->under_way = under_way;
  ending->own = own;
  ending->others = others;
  return 1;
}

void style_tonic_ending(const Rule *rule, const Reader *r, uint8_t *mask) {
  Ending e;
  if (!ending_of(rule, r, &e)) return;
  if (e.under_way) close_by(r, &e.chord, e.close, mask);
  else close_bar(r, &e.chord, e.close, e.free, e.count, e.own, e.others, mask);
}

int style_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  Ending e;
  int lacking = -1;
  if (!ending_of(rule, r, &e) || e.under_way || r->tick > e.close) return -1;
  for (int i = 0; i < e.count && lacking < 0; i++) {
    lacking = is_standing(r, &e.chord, e.free[i], e.close) ? -1 : e.free[i];
  }
  memset(passing, 0, TOKENS);
  memset(passing + FIRST_POSITION, 1, MOST_BAR_TICKS);
  passing[FIRST[BAR]] = 1;
  if (r->tick < e.close) {
    int target = FIRST_POSITION + e.close - r->bar_start;
    close_ids(passing, FIRST_POSITION, target);
    return lacking >= 0 ? target : -1;
  }
  if (r->position < 0) return -1;
  if (lacking < 0) return e.others ? -1 : FIRST[END];
  passing[FIRST[END]] = 1;
  for (int track = lacking + 1; track < MOST_TRACKS; track++) passing[FIRST_TRACK + track] = 1;
  return FIRST_TRACK + lacking;
}
