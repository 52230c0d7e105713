#include "counterpoint.h"

#include <string.h>

#include "export.h"

enum { OCTAVE = 12 };

void counterpoint_begin(Counterpoint *counterpoint) {
  memset(counterpoint, -1, sizeof *counterpoint);
}

void counterpoint_read(Counterpoint *counterpoint, int kind, int value) {
  if (kind == POSITION || kind == BAR) memcpy(counterpoint->before, counterpoint->last, sizeof counterpoint->last);
  if (kind == TRACK) counterpoint->track = value;
  if (kind == PITCH && counterpoint->track >= 0) counterpoint->last[counterpoint->track] = (int16_t)value;
}

// What a voice's channel tells of the track under way.
int16_t counterpoint_tell(const Counterpoint *counterpoint, int voice) {
  int track = counterpoint->track;
  if (track < 0 || voice == track || voice >= MOST_TRACKS) return 0;
  int before = counterpoint->before[voice], mine = counterpoint->before[track];
  if (before < 0 || mine < 0 || counterpoint->last[voice] == before) return 0;
  int interval = voice < track ? before - mine : mine - before;
  return (int16_t)(1 + (interval % OCTAVE + OCTAVE) % OCTAVE);
}

// The channels (count, voices) after each token.
EXPORT void counterpoint_channels(const int32_t *tokens, int count, int voices, int16_t *told) {
  Counterpoint counterpoint;
  counterpoint_begin(&counterpoint);
  for (int i = 0; i < count; i++) {
    int kind = KIND_OF[tokens[i]];
    counterpoint_read(&counterpoint, kind, tokens[i] - FIRST[kind]);
    for (int voice = 0; voice < voices; voice++) *told++ = counterpoint_tell(&counterpoint, voice);
  }
}
