#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"

static int least(int a, int b) { return a < b ? a : b; }

// ---- what the model is told -----------------------------------------------------------------------------------------

static void tell_what_is_left(Reader *r) {
  if (r->plan.bars < 0) return;
  int left = r->plan.bars - r->bar > 1 ? r->plan.bars - r->bar : 1;
  r->row[r->layout.bars_left] = (int16_t)least(left, FAR_BARS);
  if (!r->bar_ticks) return;
  int ticks = r->bar_start + left * r->bar_ticks - r->tick;  // were all bars as long as this one
  int units = ticks >= 0 ? ticks / TIME_UNIT : -((-ticks + TIME_UNIT - 1) / TIME_UNIT);
  r->row[r->layout.time_left] = (int16_t)least(1 + units, FAR_TIME);
}

static void tell_foreseen(Reader *r) {
  if (!r->plan.foreseen) return;
  const int16_t *row = r->plan.foreseen + (size_t)least(r->tick, r->plan.foreseen_ticks - 1) * r->layout.foreseen_count;
  for (int i = 0; i < r->layout.foreseen_count; i++) r->row[r->layout.foreseen[i]] = row[i];
}

static void tell_chords(Reader *r) {
  static const int16_t none[CHORD_CHANNELS];
  const Chords *chords = &r->plan.chords;
  if (!chords->told) return;
  const int16_t *row = r->tick < chords->ticks ? chords->told + (size_t)r->tick * CHORD_CHANNELS : none;
  for (int i = 0; i < CHORD_CHANNELS; i++) r->row[r->layout.chords[i]] = row[i];
}

// Lets the chords be drawn that are to be, now that key and meter are known.
static int draw_chords(Reader *r) {
  Plan *plan = &r->plan;
  if (!plan->chords.draw || !plan->key_told || (r->bar == 0 && r->bar_ticks < WHOLE)) return 1;
  int stop = plan->stop >= 0 ? plan->stop : plan->bars > 0 ? plan->bars : r->bar + 1;
  Moment moment = {r->bar, r->bar_start, r->bar_ticks, r->meter, plan->key_told, stop};
  if (!plan->chords.draw(&moment, &plan->chords)) return 0;
  plan->chords.draw = NULL;
  tell_chords(r);
  return 1;
}

static void tell_sounding(Reader *r) {
  int bits = 0, bass = PITCHES, voices = least(r->layout.voices, MOST_SOUNDING);
  for (int i = 0; i < r->actives; i++) {
    const Sounding *note = &r->active[i];
    if (note->track < voices) bits |= 1 << note->track;
    if (note->pitch < bass && r->programs[note->track] != DRUMS) bass = note->pitch;
  }
  r->row[r->layout.sounding] = (int16_t)(1 + bits);
  r->row[r->layout.bass] = (int16_t)(bass < PITCHES ? 1 + bass : 0);
}

static int key_value(int key) {  // as a value of the channel
  int sharps = key % 15 - 7, minor = key / 15;
  return 1 + (7 * sharps + 9 * minor + 12 * 8) % 12 + 12 * minor;
}

// ---- reading --------------------------------------------------------------------------------------------------------

static void move_to(Reader *r, int position) {
  int tick = r->bar_start + position, kept = 0;
  if (tick != r->tick) {  // Position_0 after Bar is the same place
    r->befores = 0;
    for (int i = 0; i < r->actives; i++) {
      const Sounding *note = &r->active[i];
      if (note->end >= tick) r->before[r->befores++] = (Written){note->track, note->pitch};
    }
  }
  for (int i = 0; i < r->actives; i++) {
    if (r->active[i].end > tick) r->active[kept++] = r->active[i];
  }
  r->actives = kept;
  r->position = position;
  r->tick = tick;
  r->noted = 0;
  r->last_pitch = -1;
  r->nows = 0;
  r->row[r->layout.position] = (int16_t)(1 + position);
  tell_sounding(r);
  tell_what_is_left(r);
  tell_foreseen(r);
  tell_chords(r);
}

static void read_bar(Reader *r) {
  r->bar++;
  r->bar_before = r->bar_start;
  r->bar_start += r->bar_ticks;
  move_to(r, 0);
  r->position = -1;
  r->onsets = 0;
}

static void read_meter(Reader *r, int meter) {
  r->meter = meter;
  r->bar_ticks = METER_TICKS[meter];
  if (r->plan.whole && r->bar == 1 && r->bar_start < r->bar_ticks) {  // the piece began with a pickup: no bar
    r->plan.bars += r->plan.bars >= 0;
    r->plan.stop += r->plan.stop >= 0;
    r->plan.whole = 0;
    r->plan.had_pickup = 1;
  }
  r->row[r->layout.meter] = (int16_t)(1 + meter);
  tell_what_is_left(r);
}

static int read_pitch(Reader *r, int kind, int pitch) {
  if (r->track < 0 || r->nows == MOST_NOTES) return 0;
  r->pitch = r->last_pitch = pitch;
  r->length = 0;
  r->onsets += !r->noted;
  r->noted = 1;
  r->now[r->nows++] = (Written){(uint8_t)r->track, (uint8_t)pitch};
  // drums are not told: the channel moves with a transposition, they do not
  if (kind == PITCH && r->track < r->layout.voices) r->row[r->layout.voice[r->track]] = (int16_t)(1 + pitch);
  return 1;
}

static int read_duration(Reader *r, int ticks) {
  if (r->track < 0 || r->pitch < 0 || r->actives == MOST_NOTES) return 0;
  int end = r->tick + r->length + ticks;
  r->active[r->actives++] = (Sounding){end, (uint8_t)r->track, (uint8_t)r->pitch};
  r->written[r->track]++;
  r->latest_end[r->track] = end;
  r->latest_onset[r->track] = r->tick;
  r->sound_end = end > r->sound_end ? end : r->sound_end;
  tell_sounding(r);
  return 1;
}

static int read_event(Reader *r, int kind, int value) {
  switch (kind) {
    case BAR:
      read_bar(r);
      break;
    case TIME_SIGNATURE:
      read_meter(r, value);
      break;
    case KEY:
      r->key = value;
      if (!r->plan.key_told) r->plan.key_told = r->row[r->layout.key] = (int16_t)key_value(value);
      break;
    case TEMPO:
      r->tempo = value;
      break;
    case POSITION:
      move_to(r, value);
      break;
    case TRACK:
      if (r->bar < 0) break;  // in the header
      if (value >= r->tracks || !draw_chords(r)) return 0;
      r->track = value;
      r->last_pitch = -1;
      r->row[r->layout.track] = (int16_t)(1 + value);
      break;
    case PROGRAM:
      if (r->tracks == MOST_TRACKS) return 0;
      r->velocity[r->tracks] = -1;
      r->programs[r->tracks++] = value;
      break;
    case VELOCITY:
      if (r->track < 0) return 0;
      r->velocity[r->track] = value;
      break;
    case PITCH:
    case DRUM:
      return read_pitch(r, kind, value);
    case SUSTAIN:
      r->length += MOST_DURATION;
      break;
    case DURATION:
      return read_duration(r, value + 1);
    default:
      break;
  }
  return 1;
}

// Before any of them grows past what fits 32 bits.
static int is_far(const Reader *r) { return r->bar_start > 1 << 29 || r->length > 1 << 28; }

static int tells(const Layout *layout, const int32_t *columns, int count) {
  for (int i = 0; i < count; i++) {
    if (columns[i] < layout->count) return 1;
  }
  return 0;
}

int reader_read(Reader *r, int token) {
  if (token < 0 || token >= TOKENS || is_far(r)) return 0;
  int kind = KIND_OF[token];
  if (!read_event(r, kind, token - FIRST[kind])) return 0;
  r->kind = kind;
  if (r->recall) {
    int16_t told[4];
    if (!recall_read(r->recall, token)) return 0;
    recall_tell(r->recall, told);
    for (int i = 0; i < 4; i++) r->row[r->layout.repetition[i]] = told[i];
  }
  if (r->memory) {
    if (!memory_read(r->memory, kind, token - FIRST[kind])) return 0;
    for (int i = 0; i < r->layout.form_count; i++) r->row[r->layout.form[i]] = r->memory->told[i];
  }
  if (tells(&r->layout, r->layout.lines, LINE_CHANNELS)) {
    int16_t told[LINE_CHANNELS];
    lines_read(&r->lines, kind, token - FIRST[kind]);
    lines_tell(&r->lines, told);
    for (int i = 0; i < LINE_CHANNELS; i++) r->row[r->layout.lines[i]] = told[i];
  }
  if (tells(&r->layout, r->layout.stood, r->layout.voices)) {
    counterpoint_read(&r->counterpoint, kind, token - FIRST[kind]);
    for (int i = 0; i < r->layout.voices; i++) {
      r->row[r->layout.stood[i]] = counterpoint_tell(&r->counterpoint, i);
    }
  }
  return 1;
}

int reader_ends_with(const Reader *r, int token) {
  int kind = KIND_OF[token];
  return kind == END || (kind == BAR && r->bar + 1 == r->plan.stop);
}

// ---- making readers -------------------------------------------------------------------------------------------------

EXPORT Reader *reader_new(const Layout *layout, const Plan *plan, const FormPlan *form) {
  Reader *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->layout = *layout;
  r->plan = *plan;
  r->kind = NOTHING;
  r->bar = r->meter = r->key = r->tempo = r->position = r->track = r->last_pitch = r->pitch = -1;
  lines_begin(&r->lines);
  counterpoint_begin(&r->counterpoint);
  if (layout->has_repetition) r->recall = recall_new();
  if (layout->form_count) r->memory = memory_new(form, layout->parts);
  if ((layout->has_repetition && !r->recall) || (layout->form_count && !r->memory)) {
    reader_free(r);
    return NULL;
  }
  r->row[layout->key] = (int16_t)plan->key_told;
  tell_what_is_left(r);
  tell_foreseen(r);
  tell_chords(r);
  return r;
}

EXPORT Reader *reader_copy(const Reader *from) {
  Reader *r = malloc(sizeof *r);
  if (!r) return NULL;
  *r = *from;
  r->recall = from->recall ? recall_copy(from->recall) : NULL;
  r->memory = from->memory ? memory_copy(from->memory) : NULL;
  if ((from->recall && !r->recall) || (from->memory && !r->memory)) {
    reader_free(r);
    return NULL;
  }
  return r;
}

EXPORT void reader_free(Reader *r) {
  if (!r) return;
  recall_free(r->recall);
  memory_free(r->memory);
  free(r);
}

// Lets other plans hold from the next bar line on; returns 0 without memory.
EXPORT int reader_replan(Reader *r, const FormPlan *form, const Chords *chords) {
  r->plan.chords = *chords;
  return !r->memory || memory_replan(r->memory, form);
}

// Reads tokens (count); writes the channels after each to contexts (count, C), or none where that is NULL. Returns how
// many were read.
EXPORT int reader_read_all(Reader *r, const int32_t *tokens, int count, int16_t *contexts) {
  for (int i = 0; i < count; i++) {
    if (!reader_read(r, tokens[i])) return i;
    if (contexts) memcpy(contexts + (size_t)i * r->layout.count, r->row, (size_t)r->layout.count * sizeof *r->row);
  }
  return count;
}

EXPORT void reader_context(const Reader *r, int16_t *context) {
  memcpy(context, r->row, (size_t)r->layout.count * sizeof *context);
}

EXPORT void reader_mask(const Reader *r, uint8_t *mask) { reader_allow(r, mask); }
