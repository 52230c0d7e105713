#include "vocabulary.h"

#include "export.h"

#ifndef FINGERPRINT
#define FINGERPRINT ""
#endif

const int FIRST[KINDS + 1] = {0,           1,           2,              3,           FIRST_TIME_SIGNATURE, FIRST_KEY,
                              FIRST_TEMPO, FIRST_POSITION, FIRST_TRACK, FIRST_PROGRAM, FIRST_VELOCITY,     FIRST_PITCH,
                              FIRST_DRUM,  FIRST_SUSTAIN,  FIRST_DURATION, TOKENS};
uint8_t KIND_OF[TOKENS];
int16_t METER_TICKS[METERS];
uint8_t METER_UNITS[METERS];

// Meters whose bar is a whole number of 32nds and at most twelve quarters long, by denominator and numerator.
EXPORT int vocabulary_fill(void) {
  int meter = 0;
  for (int kind = 0; kind < KINDS; kind++) {
    for (int token = FIRST[kind]; token < FIRST[kind + 1]; token++) KIND_OF[token] = (uint8_t)kind;
  }
  for (int denominator = 1; denominator <= 32; denominator *= 2) {
    for (int numerator = 1; numerator <= MOST_BAR_TICKS; numerator++) {
      int quarters = 4 * TICKS * numerator;  // ticks times the denominator
      if (quarters % (3 * denominator) || quarters / denominator > MOST_BAR_TICKS || meter == METERS) continue;
      METER_TICKS[meter] = (int16_t)(quarters / denominator);
      METER_UNITS[meter++] = (uint8_t)numerator;
    }
  }
  return meter;
}

// What the sources were of which this is made.
EXPORT const char *core_fingerprint(void) { return FINGERPRINT; }

// For the check that Python's vocabulary is this one: FIRST (KINDS + 1), and each meter's ticks and units.
EXPORT void vocabulary_tell(int32_t *first, int32_t *ticks, int32_t *units) {
  for (int kind = 0; kind <= KINDS; kind++) first[kind] = FIRST[kind];
  for (int meter = 0; meter < METERS; meter++) {
    ticks[meter] = METER_TICKS[meter];
    units[meter] = METER_UNITS[meter];
  }
}
