// Where the track under way comes from: `melody.tokens.lines`.
#ifndef MELODY_LINES_H
#define MELODY_LINES_H
#include "vocabulary.h"

enum { LINE_CHANNELS = 3, LINE_REACH = 16 };  // move, above, below; notes that are looked back on

typedef struct {
  uint8_t notes[LINE_REACH];  // the last ones, the oldest first
  int16_t count, move;
} Line;

typedef struct {
  Line lines[MOST_TRACKS];
  int track;  // -1: none is under way
} Lines;

void lines_begin(Lines *lines);
void lines_read(Lines *lines, int kind, int value);
void lines_tell(const Lines *lines, int16_t told[LINE_CHANNELS]);

#endif
