// Bars as references: what stood in a bar and what bars of its kind agree on, to be followed event by event.
#ifndef MELODY_REFERENCES_H
#define MELODY_REFERENCES_H
#include <stdint.h>

enum {
  REMEMBERED_BARS = 128,
  FURTHER = 3,    // bars beyond the reference, by the same lag, that are asked
  TOLERANCE = 2,  // ticks by which an event may come earlier or later and be the same
  MISSING = 16,   // in `sure`: the reference itself has it not
  DRUM_HIT = 128,  // the first hit that is a drum
  LIKES = 4
};

typedef struct {
  int32_t place, duration;  // ticks
  uint8_t track, hit, loud, sure;
} Event;

typedef struct {
  Event *events;
  int count, room;
} Events;

// What is left of a reference from `begin` on; kept, lost, and the length of the event just followed.
typedef struct {
  Events left;
  int begin, there, kept, lost, length;  // there: 0 where there is no reference
} Slot;

// The last bars that are complete, in a ring: events and key of each. A key is a set of features, sorted.
typedef struct {
  Event *events;
  uint32_t *key;
  int count, features;
} Bar;

typedef struct {
  Bar bars[REMEMBERED_BARS];
  int complete;  // of all so far
} Past;

int events_add(Events *events, Event event);  // these return 0 without memory
int past_add(Past *past, const Event *events, int count);
int past_copy(Past *to, const Past *from);
void past_free(Past *past);

// The bar so many bars ago, 1 and more; NULL where it is not remembered.
const Bar *past_bar(const Past *past, int lag);

double likeness(const Bar *a, const Bar *b);
int like_of(double value);

// Adds to `found` what the bar so many bars ago holds, and what those before it by the same lag say of it.
int agree(const Past *past, int lag, Events *found);
void events_sort(Event *events, int count);

#endif
