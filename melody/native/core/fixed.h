// Notes that are fixed, in the order in which they are written.
#ifndef MELODY_FIXED_H
#define MELODY_FIXED_H
#include "rules.h"

typedef struct {
  int32_t onset, track;   // ticks
  int32_t number;         // among the fixed ones of its track at its onset
  int32_t duration;       // ticks
  int32_t pitch;          // -1: any that its track may have
  int32_t velocity;       // its bin
  int32_t following;      // how many of its track at its onset come after it
} FixedNote;

typedef struct {
  const FixedNote *notes;
  int count;
  uint32_t tracks;  // bits of those in which they stand
} Fixed;

// The first one that has not been written; NULL: none.
const FixedNote *fixed_next(const Fixed *fixed, const Reader *reader);
// pitches (tracks, 128): those that notes may have whose pitch is free.
void fixed_narrow(const Fixed *fixed, const uint8_t *pitches, const Reader *reader, uint8_t *mask);
// The token that leads to the next fixed note, as `style_way_on` has it.
int fixed_way_on(const Fixed *fixed, const Reader *reader, uint8_t *passing);

#endif
