// Rules of a style (`melody.generation.rules.styles`): no parallel fifths and octaves, and a last chord on the tonic.
#include "rules.h"

enum { OCTAVE = 12, FIFTH = 7 };

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

// The last bar of a track returns, and ends as it ended before, or is planned to be silent.
static int ends_as_planned(const Reader *r, int track) {
  Symbol symbol = planned(r, track);
  int empty = !symbol.lag && symbol.like == 3;
  return (symbol.lag && symbol.like >= LIKES - 1) || (empty && r->memory->plan.by_track);
}

static int middle_of(const Reader *r) {  // the last strong beat
  return METER_UNITS[r->meter < 0 ? METERS - 1 : r->meter] % 4 ? 0 : r->bar_ticks / 2;
}

// Lengths of the note under way: a foreign one makes room for the last chord, whose notes end together.
static void close_by(const Reader *r, const Closing *chord, int close, uint8_t *mask) {
  int past = r->tick + r->length, held = 0;
  if (r->tick < close && !fits(chord, r->track, r->pitch)) close_lengths(mask, 1, close > past ? close - past : 0);
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

static int is_standing(const Reader *r, const Closing *chord, int track) {  // in the last chord
  for (int i = 0; i < r->actives; i++) {
    const Sounding *note = &r->active[i];
    if (note->track == track && note->end > r->tick && fits(chord, track, note->pitch)) return 1;
  }
  return 0;
}

// What may follow in the last bar, where no note is under way. `free` (count) are the tracks that close, `others` those
// that end as planned.
static void close_bar(const Reader *r, const Closing *chord, int close, const int *free, int count, uint32_t others,
                      uint8_t *mask) {
  int missing = -1, place = close - r->bar_start;
  for (int i = 0; i < count && missing < 0; i++) missing = is_standing(r, chord, free[i]) ? -1 : free[i];
  if (!others && place + 1 < MOST_BAR_TICKS) close_ids(mask, FIRST_POSITION + place + 1, FIRST_POSITION + MOST_BAR_TICKS);
  int strong = r->tick >= close || r->position == 0 || r->position == middle_of(r);
  if (missing >= 0 || !strong) mask[FIRST[END]] = 0;
  if (r->tick != close || r->position < 0 || missing < 0) return;
  for (int track = 0; track < MOST_TRACKS; track++) {  // the voices close one after the other
    if (track != missing && !(others >> track & 1)) mask[FIRST_TRACK + track] = 0;
  }
  if (r->track >= 0 && others >> r->track & 1) return;
  if (r->track != missing) {
    close_kind(mask, PITCH);
    close_kind(mask, VELOCITY);
  }
  int classes = classes_of(chord, r->track, third_taken(r, chord));
  for (int pitch = 0; pitch < PITCHES; pitch++) {
    if (!(classes >> class_of(pitch) & 1)) mask[FIRST_PITCH + pitch] = 0;
  }
}

// numbers: bits of the tracks that close, the lowest voice, the tick of the last fixed note.
// table: start, bass (-1: no chord) and bits of the classes of each chord asked for.
void style_tonic_ending(const Rule *rule, const Reader *r, uint8_t *mask) {
  int free[MOST_TRACKS], count = 0, total = r->plan.bars, key = r->plan.key_told - 1;
  uint32_t own = (uint32_t)rule->numbers[0], others = 0;
  if (total < 0 || key < 0 || r->bar < 0 || r->bar >= total) return;
  for (int track = 0; track < MOST_TRACKS; track++) {
    if (!(own >> track & 1)) continue;
    if (ends_as_planned(r, track)) others |= 1u << track;
    else free[count++] = track;
  }
  if (!count) return;
  int left = total - 1 - r->bar, under_way = r->kind == PITCH || r->kind == SUSTAIN;
  int close = r->bar_start + left * r->bar_ticks + middle_of(r);  // at the latest
  close = close > rule->numbers[2] ? close : rule->numbers[2];
  if (under_way ? close - r->tick - r->length > MOST_DURATION : left) return;  // it is still far
  if (under_way && ends_as_planned(r, r->track)) return;
  Closing chord = {key % OCTAVE, key >= OCTAVE, rule->numbers[1], 0, 0, 0};
  for (int i = 0; i < rule->count && rule->table[3 * i] <= close; i++) {
    chord.asked = rule->table[3 * i + 1] >= 0;
    chord.asked_bass = rule->table[3 * i + 1];
    chord.asked_classes = rule->table[3 * i + 2];
  }
  if (chord.asked) chord.minor = 0;
  if (under_way) close_by(r, &chord, close, mask);
  else close_bar(r, &chord, close, free, count, others, mask);
}
