// How voices that move stood to the track under way: `melody.tokens.counterpoint`.
#ifndef MELODY_COUNTERPOINT_H
#define MELODY_COUNTERPOINT_H
#include "vocabulary.h"

typedef struct {
  int16_t last[MOST_TRACKS], before[MOST_TRACKS];  // pitches, now and before this position; -1: none
  int track;                                       // -1: none is under way
} Counterpoint;

void counterpoint_begin(Counterpoint *counterpoint);
void counterpoint_read(Counterpoint *counterpoint, int kind, int value);
int16_t counterpoint_tell(const Counterpoint *counterpoint, int voice);

#endif
