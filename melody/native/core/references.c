#include "references.h"

#include <stdlib.h>
#include <string.h>

static const double EDGES[LIKES] = {0.35, 0.55, 0.75, 0.95};

int events_add(Events *events, Event event) {
  if (events->count == events->room) {
    int room = events->room ? 2 * events->room : 64;
    Event *more = realloc(events->events, (size_t)room * sizeof event);
    if (!more) return 0;
    events->events = more;
    events->room = room;
  }
  events->events[events->count++] = event;
  return 1;
}

static int compare(const void *one, const void *other) {
  const Event *a = one, *b = other;
  if (a->place != b->place) return a->place < b->place ? -1 : 1;
  if (a->track != b->track) return a->track < b->track ? -1 : 1;
  if (a->hit != b->hit) return a->hit < b->hit ? -1 : 1;
  if (a->loud != b->loud) return a->loud < b->loud ? -1 : 1;
  if (a->duration != b->duration) return a->duration < b->duration ? -1 : 1;
  return a->sure < b->sure ? -1 : a->sure > b->sure;
}

void events_sort(Event *events, int count) {
  if (count > 1) qsort(events, (size_t)count, sizeof *events, compare);
}

// ---- bars -----------------------------------------------------------------------------------------------------------

static int by_size(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return a < b ? -1 : a > b;
}

// Onset, track and hit as one number; of drums the onset to the nearest sixteenth.
static uint32_t feature_of(const Event *event) {
  uint32_t place = (uint32_t)(event->hit >= DRUM_HIT ? (event->place + 3) / 6 : event->place);
  return (place * 32 + event->track) * 256 + event->hit;
}

static int fill(Bar *bar, const Event *events, int count) {
  Event *kept = realloc(bar->events, (size_t)(count + 1) * sizeof *kept);
  if (kept) bar->events = kept;
  uint32_t *key = realloc(bar->key, (size_t)(count + 1) * sizeof *key);
  if (key) bar->key = key;
  if (!kept || !key) return 0;
  bar->count = count;
  bar->features = 0;
  if (!count) return 1;
  memcpy(kept, events, (size_t)count * sizeof *events);
  for (int i = 0; i < count; i++) key[i] = feature_of(&events[i]);
  qsort(key, (size_t)count, sizeof *key, by_size);
  for (int i = 0; i < count; i++) {
    if (!i || key[i] != key[i - 1]) key[bar->features++] = key[i];
  }
  return 1;
}

int past_add(Past *past, const Event *events, int count) {
  return fill(&past->bars[past->complete++ % REMEMBERED_BARS], events, count);
}

int past_copy(Past *to, const Past *from) {
  memset(to, 0, sizeof *to);
  to->complete = from->complete;
  int bars = from->complete < REMEMBERED_BARS ? from->complete : REMEMBERED_BARS;
  for (int i = 0; i < bars; i++) {
    if (!fill(&to->bars[i], from->bars[i].events, from->bars[i].count)) return 0;
  }
  return 1;
}

void past_free(Past *past) {
  for (int i = 0; i < REMEMBERED_BARS; i++) {
    free(past->bars[i].events);
    free(past->bars[i].key);
  }
}

const Bar *past_bar(const Past *past, int lag) {
  if (lag < 1 || lag > past->complete || lag > REMEMBERED_BARS) return NULL;
  return &past->bars[(past->complete - lag) % REMEMBERED_BARS];
}

double likeness(const Bar *a, const Bar *b) {
  int both = 0;
  if (!a->features || !b->features) return a->features || b->features ? 0.0 : 0.5;
  for (int i = 0, j = 0; i < a->features && j < b->features;) {
    both += a->key[i] == b->key[j];
    uint32_t x = a->key[i], y = b->key[j];
    i += x <= y;
    j += y <= x;
  }
  return (double)both / (double)(a->features + b->features - both);
}

int like_of(double value) {
  return (value >= EDGES[0]) + (value >= EDGES[1]) + (value >= EDGES[2]) + (value >= EDGES[3]);
}

// ---- what bars agree on ---------------------------------------------------------------------------------------------

// The first event of a bar that stands at a place or behind it.
static int first_from(const Bar *bar, int place) {
  int low = 0, high = bar->count;
  while (low < high) {
    int middle = (low + high) / 2;
    if (bar->events[middle].place < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The first event of this track and hit within so many ticks of a place; NULL where there is none.
static const Event *near(const Bar *bar, const Event *like, int ticks) {
  for (int i = first_from(bar, like->place - ticks); i < bar->count; i++) {
    const Event *event = &bar->events[i];
    if (event->place > like->place + ticks) break;
    if (event->track == like->track && event->hit == like->hit) return event;
  }
  return NULL;
}

// The events that at least two of the other bars agree on and the reference has not.
static int add_missed(const Bar *reference, const Bar *const *others, int count, Events *found) {
  int begin = found->count;
  for (int number = 0; number < count; number++) {
    for (int i = 0; i < others[number]->count; i++) {
      Event event = others[number]->events[i];
      int agreeing = 0, there = near(reference, &event, TOLERANCE + 1) != NULL;
      for (int k = begin; k < found->count && !there; k++) {
        const Event *added = &found->events[k];
        there = added->track == event.track && added->hit == event.hit && abs(added->place - event.place) <= TOLERANCE + 1;
      }
      if (there) continue;
      for (int other = 0; other < count; other++) agreeing += near(others[other], &event, TOLERANCE) != NULL;
      if (agreeing < 2) continue;
      event.sure = (uint8_t)(MISSING + 4 * count + agreeing - 1);
      if (!events_add(found, event)) return 0;
    }
  }
  return 1;
}

int agree(const Past *past, int lag, Events *found) {
  const Bar *reference = past_bar(past, lag), *others[FURTHER];
  int count = 0, begin = found->count;
  for (int further = 2 * lag; further <= (1 + FURTHER) * lag; further += lag) {
    const Bar *bar = past_bar(past, further);
    if (bar && (!reference->features || likeness(reference, bar) >= EDGES[0])) others[count++] = bar;
  }
  for (int i = 0; i < reference->count; i++) {
    Event event = reference->events[i];
    int sum = event.loud, having = 0;
    for (int other = 0; other < count; other++) {
      const Event *same = near(others[other], &event, TOLERANCE);
      if (!same) continue;
      sum += same->loud;
      having++;
    }
    if (count) event.loud = (uint8_t)((sum + (having + 1) / 2) / (1 + having));
    event.sure = (uint8_t)(count ? 4 * count + having : 0);
    if (!events_add(found, event)) return 0;
  }
  if (count < 2) return 1;
  if (!add_missed(reference, others, count, found)) return 0;
  if (found->count > begin) events_sort(found->events + begin, found->count - begin);
  return 1;
}
