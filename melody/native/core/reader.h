// Reading events one by one: where in the music we are, which token may follow, and what the model is told of it.
// It is `melody.tokens.reader` with `melody.tokens.grammar`; names are the same.
#ifndef MELODY_READER_H
#define MELODY_READER_H
#include "aligned_memory.h"
#include "counterpoint.h"
#include "export.h"
#include "lines.h"
#include "repetition.h"
#include "vocabulary.h"

enum {
  FAR_BARS = 17,
  TIME_UNIT = TICKS / 2,
  FAR_TIME = 33,
  MOST_VOICES = 16,
  MOST_SOUNDING = 8,
  MOST_NOTES = MOST_TRACKS * PITCHES,  // that sound at once: each pitch once in a track
  MOST_COLUMNS = 256,
  MOST_FORESEEN = 64,
  CHORD_CHANNELS = 6,  // this chord and its bass, the next ones, how long until then, and until the phrase ends
  WHOLE = 3 * TICKS    // a first bar as long is no pickup
};

// Columns of a layout's channels in a reader's row; a channel that is not told has the spare column, `count`.
typedef struct {
  int32_t count, voices, foreseen_count, has_repetition, form_count, parts;  // form_count: 0 without memory
  int32_t bars_left, key, position, meter, track, sounding, bass, time_left;
  int32_t voice[MOST_VOICES], foreseen[MOST_FORESEEN], repetition[4], form[MOST_FORM_CHANNELS];
  int32_t chords[CHORD_CHANNELS], lines[LINE_CHANNELS], stood[MOST_VOICES];
} Layout;

// Where a reader stands that is to be told chords from here on: `melody.tokens.harmony.Moment`.
typedef struct {
  int32_t bar, bar_start, bar_ticks, meter, key, stop;
} Moment;

// Chords that are planned, at each tick (ticks, CHORD_CHANNELS), and none beyond; NULL: there is no plan. Whoever gives
// the table keeps it. `draw`, where it is not NULL, gives one as soon as key and meter are known; 0 where that failed.
typedef struct Chords Chords;
struct Chords {
  int32_t ticks;
  const int16_t *told;
  int (*draw)(const Moment *moment, Chords *chords);
};

// What is known of a piece beforehand: numbers are -1 where they are not.
typedef struct {
  int32_t bars, stop, key_told, whole, had_pickup;
  int32_t foreseen_ticks;
  const int16_t *foreseen;  // (ticks, foreseen_count); NULL
  Chords chords;
} Plan;

typedef struct {
  int32_t end;  // tick
  uint8_t track, pitch;
} Sounding;

typedef struct {
  uint8_t track, pitch;
} Written;

typedef struct {
  Layout layout;
  Plan plan;
  int kind;                                      // of the last token
  int tracks, programs[MOST_TRACKS];             // programs of each track
  int bar, bar_start, bar_before, bar_ticks;     // index from 0; ticks
  int meter, key, tempo;                         // in force, -1: none
  int position, tick;                            // position: -1 right after a bar line
  int track, velocity[MOST_TRACKS];              // running velocity of each track, -1: none
  int noted, onsets;                             // a note stands at this position; positions with one in this bar
  int last_pitch, pitch, length;                 // of this track at this position; of the note under way, in Sustains
  int sound_end;                                 // tick at which the last sound ends
  int actives, befores, nows;                    // how many
  int written[MOST_TRACKS];                      // notes of each track, without the one under way
  int latest_end[MOST_TRACKS];                   // tick at which the latest of these ends
  int latest_onset[MOST_TRACKS];                 // tick at which it began
  Sounding active[MOST_NOTES];                   // notes that still sound
  Written before[MOST_NOTES], now[MOST_NOTES];   // what sounded right before this position; what was written at it
  int16_t row[MOST_COLUMNS + 1];                 // the channels, and a spare column
  Recall *recall;                                // where the layout has it
  Memory *memory;
  Lines lines;
  Counterpoint counterpoint;
} Reader;

EXPORT Reader *reader_new(const Layout *layout, const Plan *plan, const FormPlan *form);
EXPORT Reader *reader_copy(const Reader *reader);
EXPORT void reader_free(Reader *reader);

// Takes the next token; returns 1, or 0 for one that makes no sense here (a track that is not there, a note too many).
int reader_read(Reader *reader, int token);

// The tokens (TOKENS) that may follow; none after EOS.
void reader_allow(const Reader *reader, uint8_t *mask);

// Composing ends with this token: EOS, or the bar line before which it is to stop.
int reader_ends_with(const Reader *reader, int token);

static inline int reader_under_way(const Reader *reader) {  // a note
  return reader->kind == PITCH || reader->kind == DRUM || reader->kind == SUSTAIN;
}

static inline int reader_sounds(const Reader *reader) { return reader->sound_end > reader->bar_start; }

#endif
