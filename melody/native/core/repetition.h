// What followed the last time that a piece stood as it does now: `melody.tokens.repetition`, in bounded memory.
#ifndef MELODY_REPETITION_H
#define MELODY_REPETITION_H
#include <stdint.h>

enum { LEAST = 8, REMEMBERED = 4096, MOST_TIMES = 8, MOST_AGO = 24 };

// A passage of LEAST tokens: where it ended last (0: an empty slot), and how often it has stood, up to MOST_TIMES.
typedef struct {
  uint16_t place;
  uint16_t times;
} Passage;

typedef struct {
  int count, room;        // tokens that there are, and that there is room for
  int at, length, times;  // place of the token recalled (-1: none), tokens that agree, times that they have stood
  uint16_t *tokens;       // (room)
  Passage *passages;      // (2 room), a hash table without chains; its keys stand in `tokens`
} Recall;

Recall *recall_new(void);
Recall *recall_copy(const Recall *recall);
void recall_free(Recall *recall);
int recall_read(Recall *recall, int token);                // returns 0 without memory
void recall_tell(const Recall *recall, int16_t told[4]);  // recalled, agreed, times, ago

#endif
