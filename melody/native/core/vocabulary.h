// The vocabulary of `melody.tokens.vocabulary`: a kind's ids stand side by side, from FIRST[kind] on.
#ifndef MELODY_VOCABULARY_H
#define MELODY_VOCABULARY_H
#include <stdint.h>

typedef enum {
  PAD, BEGIN, END, BAR, TIME_SIGNATURE, KEY, TEMPO, POSITION, TRACK, PROGRAM, VELOCITY, PITCH, DRUM, SUSTAIN, DURATION,
  KINDS,
  NOTHING = -1  // before the first token
} Kind;

enum {
  TICKS = 24,  // of a quarter
  METERS = 189,
  KEYS = 30,
  TEMPOS = 61,
  MOST_BAR_TICKS = 12 * TICKS,
  MOST_TRACKS = 32,
  DRUMS = 128,  // the program of a drum track
  VELOCITIES = 32,
  PITCHES = 128,
  MOST_DURATION = 4 * TICKS,

  FIRST_TIME_SIGNATURE = 4,
  FIRST_KEY = FIRST_TIME_SIGNATURE + METERS,
  FIRST_TEMPO = FIRST_KEY + KEYS,
  FIRST_POSITION = FIRST_TEMPO + TEMPOS,
  FIRST_TRACK = FIRST_POSITION + MOST_BAR_TICKS,
  FIRST_PROGRAM = FIRST_TRACK + MOST_TRACKS,
  FIRST_VELOCITY = FIRST_PROGRAM + DRUMS + 1,
  FIRST_PITCH = FIRST_VELOCITY + VELOCITIES,
  FIRST_DRUM = FIRST_PITCH + PITCHES,
  FIRST_SUSTAIN = FIRST_DRUM + PITCHES,
  FIRST_DURATION = FIRST_SUSTAIN + 1,
  TOKENS = FIRST_DURATION + MOST_DURATION
};

extern const int FIRST[KINDS + 1];  // and the number of tokens
extern uint8_t KIND_OF[TOKENS];     // filled by `vocabulary_fill`, as are these:
extern int16_t METER_TICKS[METERS];
extern uint8_t METER_UNITS[METERS];  // its numerator, to 255

#endif
