#include "aligned_memory.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"

static const uint8_t LAGS[LAG_COUNT] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18,
                                        19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 40, 48, 56, 64};
static const Symbol UNTOLD = {0, 0};

static double prior_of(int lag) {  // powers of two up to 32 are usual, whole fours less so
  if (!(lag & (lag - 1)) && lag <= 32) return 0.0;
  return lag % 4 == 0 ? (double)-0.05f : (double)-0.1f;
}

static int place_of(int lag) {
  for (int i = 0; i < LAG_COUNT; i++) {
    if (LAGS[i] == lag) return i;
  }
  return 0;
}

// ---- plans ----------------------------------------------------------------------------------------------------------

Symbol memory_symbol(const FormPlan *plan, int part, int bar) {
  int line = plan->by_track ? part : 0;
  if (!plan->there || bar < 0 || bar >= plan->bars || line >= plan->lines) return UNTOLD;
  return plan->symbols[(size_t)line * plan->bars + bar];
}

static void *copy_of(const void *from, size_t bytes) {
  void *to = malloc(bytes + 1);
  if (to && bytes) memcpy(to, from, bytes);
  return to;
}

static void free_plan(FormPlan *plan) {
  free((void *)plan->symbols);
  free((void *)plan->ahead_bars);
  free((void *)plan->ahead);
  *plan = (FormPlan){0};
}

static int take_plan(FormPlan *to, const FormPlan *from) {
  *to = (FormPlan){0};
  if (!from || !from->there) return 1;
  *to = *from;
  to->symbols = copy_of(from->symbols, (size_t)from->lines * from->bars * sizeof(Symbol));
  to->ahead_bars = copy_of(from->ahead_bars, (size_t)from->aheads * sizeof(int32_t));
  to->ahead = copy_of(from->ahead, (size_t)from->aheads * sizeof(Event));
  return to->symbols && to->ahead_bars && to->ahead;
}

int memory_replan(Memory *m, const FormPlan *plan) {
  free_plan(&m->plan);
  if (plan->there && m->count < 0) m->pickup = plan->pickup;
  return take_plan(&m->plan, plan);
}

// ---- making memories ------------------------------------------------------------------------------------------------

static Part *new_part(int complete) {  // of a track that has been silent in so many bars
  Part *part = calloc(1, sizeof *part);
  if (!part) return NULL;
  part->lowest = PITCHES;
  part->highest = -1;
  for (int i = 0; i < complete; i++) {
    if (past_add(&part->past, NULL, 0)) continue;
    past_free(&part->past);
    free(part);
    return NULL;
  }
  return part;
}

Memory *memory_new(const FormPlan *plan, int voices) {
  Memory *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->voices = voices;
  m->pickup = plan && plan->there ? plan->pickup : -1;
  m->count = m->order = -1;
  m->part[0] = new_part(0);
  m->parts = m->part[0] != NULL;
  if (m->parts && take_plan(&m->plan, plan)) return m;
  memory_free(m);
  return NULL;
}

static int copy_events(Events *to, const Events *from) {
  *to = (Events){copy_of(from->events, (size_t)from->count * sizeof(Event)), from->count, from->count};
  return to->events != NULL;
}

Memory *memory_copy(const Memory *from) {
  Memory *m = malloc(sizeof *m);
  if (!m) return NULL;
  *m = *from;
  m->now = m->planned.left = m->usual.left = (Events){0};
  memset(m->part, 0, sizeof m->part);
  int fine = take_plan(&m->plan, &from->plan) && copy_events(&m->now, &from->now) &&
             copy_events(&m->planned.left, &from->planned.left) && copy_events(&m->usual.left, &from->usual.left);
  for (int i = 0; i < from->parts && fine; i++) {
    Part *part = m->part[i] = malloc(sizeof *part);
    if (!part) fine = 0;
    else *part = *from->part[i], fine = past_copy(&part->past, &from->part[i]->past);
  }
  if (fine) return m;
  memory_free(m);
  return NULL;
}

void memory_free(Memory *m) {
  if (!m) return;
  for (int i = 0; i < MOST_TRACKS; i++) {
    if (!m->part[i]) continue;
    past_free(&m->part[i]->past);
    free(m->part[i]);
  }
  free_plan(&m->plan);
  free(m->now.events);
  free(m->planned.left.events);
  free(m->usual.left.events);
  free(m);
}

// ---- what is told ---------------------------------------------------------------------------------------------------

static void tell_slot(Memory *m, int16_t *told, const Slot *slot, int playing) {
  memset(told, 0, OF_SLOT * sizeof *told);
  if (!slot->there) return;
  int total = m->now.count + playing + slot->lost, share = 6 * slot->kept / (total ? total : 1);
  told[4] = (int16_t)(playing ? slot->length : 0);
  told[5] = (int16_t)(total ? 2 + (share < 5 ? share : 5) : 1);
  for (int i = slot->begin; i < slot->left.count; i++) {
    const Event *event = &slot->left.events[i];
    int is_next = event->place > m->place || m->order < 0 || event->track > m->track ||
                  (event->track == m->track && event->hit > m->order);
    if (!is_next) continue;
    int far = event->place - m->place, louder = event->loud - m->velocity[event->track];
    told[0] = (int16_t)(1 + event->place);
    told[1] = (int16_t)(1 + TOLERANCE + (far < FAR_WAIT ? far : FAR_WAIT));
    told[2] = (int16_t)(1 + event->hit);
    told[3] = (int16_t)(1 + event->loud);
    told[6] = (int16_t)(1 + event->sure);
    told[7] = (int16_t)(1 + LOUDER + (louder > LOUDER ? LOUDER : louder < -LOUDER ? -LOUDER : louder));
    return;
  }
  told[0] = BAR_END;
  told[1] = END_WAIT;
}

static void tell(Memory *m, int playing) {  // playing: a note has just begun
  tell_slot(m, m->told + TELL_PLANNED, &m->planned, playing);
  tell_slot(m, m->told + TELL_USUAL, &m->usual, playing);
}

static void tell_phrase(Memory *m) {
  m->told[0] = (int16_t)(m->pickup >= 0 ? 1 + ((m->count - m->pickup) % PHRASE + PHRASE) % PHRASE : 0);
}

static void tell_range(Memory *m, const Part *part) {
  m->told[TELL_RANGE] = (int16_t)(part->lowest <= part->highest ? 1 + part->lowest : 0);
  m->told[TELL_RANGE + 1] = (int16_t)(part->lowest <= part->highest ? 1 + part->highest : 0);
}

static void tell_track(Memory *m) {  // of the track under way, or of the piece
  const Part *part = m->part[m->voices ? m->track : 0];
  memcpy(m->told + 1, part->told, sizeof part->told);
  if (m->voices) tell_range(m, part);
}

// ---- bar lines ------------------------------------------------------------------------------------------------------

static void score_lags(Part *part, int number) {
  const Bar *bar = past_bar(&part->past, 1);
  for (int i = 0; i < LAG_COUNT && LAGS[i] <= number; i++) {
    part->scores[i] = 0.5 * part->scores[i] + 0.5 * likeness(bar, past_bar(&part->past, 1 + LAGS[i]));
  }
}

static int end_bar(Memory *m) {
  Events own = {0};
  int fine = 1;
  for (int i = 0; i < m->parts && fine; i++) {
    own.count = 0;
    for (int k = 0; k < m->now.count && m->voices && fine; k++) {
      if (m->now.events[k].track == i) fine = events_add(&own, m->now.events[k]);
    }
    const Events *events = m->voices ? &own : &m->now;
    fine = fine && past_add(&m->part[i]->past, events->events, events->count);
    if (fine) score_lags(m->part[i], m->count);
  }
  free(own.events);
  return fine;
}

static int begins_with_pickup(const Memory *m) {
  int first = -1;  // place of the first event of the bar before
  for (int i = 0; i < m->parts; i++) {
    const Bar *bar = past_bar(&m->part[i]->past, 1);
    if (bar->count && (first < 0 || bar->events[0].place < first)) first = bar->events[0].place;
  }
  return m->first_ticks < m->ticks || (first >= 0 && 2 * first >= m->first_ticks);
}

static Symbol symbol_of(const Memory *m, int part, int bar) {
  return m->voices || !m->plan.by_track ? memory_symbol(&m->plan, part, bar) : UNTOLD;
}

static void plan_told(const Memory *m, int part, Symbol symbol, int16_t *told) {
  int left = 1;
  memset(told, 0, 3 * sizeof *told);
  if (!symbol.lag && !symbol.like) return;
  while (left < MOST_LEFT) {
    Symbol later = symbol_of(m, part, m->count + left);
    if (later.lag != symbol.lag || (!symbol.lag && later.like != symbol.like)) break;
    left++;
  }
  told[0] = (int16_t)(symbol.lag ? 4 + place_of(abs(symbol.lag)) : symbol.like);
  told[1] = (int16_t)(symbol.lag ? symbol.like : 0);
  told[2] = (int16_t)left;
}

// The lag by which the last bars of a part are explained best, 0: none yet.
static int usual_lag(const Part *part, int number, int16_t *told) {
  double best = -1.0;
  int place = -1;
  for (int i = 0; i < LAG_COUNT && LAGS[i] <= number; i++) {
    if (part->scores[i] + prior_of(LAGS[i]) <= best) continue;
    best = part->scores[i] + prior_of(LAGS[i]);
    place = i;
  }
  told[0] = (int16_t)(1 + place);
  told[1] = (int16_t)(place >= 0 ? like_of(part->scores[place]) : 0);
  return place >= 0 ? LAGS[place] : 0;
}

// Adds the bar that a symbol names to a reference; where it is not known, nothing is there. Returns 0 without memory.
static int refer(const Memory *m, int part, int lag, Slot *slot) {
  int ahead = m->count - lag;
  if (lag >= 0) {
    if (!past_bar(&m->part[part]->past, lag)) return 1;
    slot->there++;
    return agree(&m->part[part]->past, lag, &slot->left);
  }
  int known = 0;
  for (int i = 0; i < m->plan.aheads; i++) {
    if (m->plan.ahead_bars[i] != ahead) continue;
    known = 1;
    const Event *event = &m->plan.ahead[i];
    if (event->loud == UINT8_MAX || (m->voices && event->track != part)) continue;  // the mark of an empty bar
    if (!events_add(&slot->left, *event)) return 0;
  }
  slot->there += known;
  return 1;
}

static void begin_slot(Slot *slot) {
  slot->begin = slot->there = slot->kept = slot->lost = slot->length = slot->left.count = 0;
}

static int plan_bar(Memory *m) {
  begin_slot(&m->planned);
  begin_slot(&m->usual);
  for (int i = 0; i < m->parts; i++) {
    Symbol symbol = symbol_of(m, i, m->count);
    int16_t *told = m->part[i]->told;
    plan_told(m, i, symbol, told);
    int usual = usual_lag(m->part[i], m->count, told + 3);
    if (!refer(m, i, symbol.lag, &m->planned) || !refer(m, i, usual, &m->usual)) return 0;
    if (i < m->voices) m->told[TELL_PARTS + i] = (int16_t)(symbol.lag ? 3 + symbol.like : symbol.like);
  }
  if (m->planned.there > 1) events_sort(m->planned.left.events, m->planned.left.count);
  if (m->usual.there > 1) events_sort(m->usual.left.events, m->usual.left.count);
  return 1;
}

static int begin_bar(Memory *m) {
  if (m->count >= 0 && !end_bar(m)) return 0;
  m->count++;
  if (m->count == 1 && m->pickup < 0) m->pickup = begins_with_pickup(m);
  m->now.count = m->place = 0;
  m->order = -1;
  tell_phrase(m);
  if (!plan_bar(m)) return 0;
  tell_track(m);
  tell(m, 0);
  return 1;
}

static void take_meter(Memory *m, int ticks) {
  if (m->count == 0) {
    m->first_ticks = ticks;
  } else if (m->count == 1 && !m->plan.there && m->first_ticks < ticks) {
    m->pickup = 1;
    tell_phrase(m);
  }
  m->ticks = ticks;
}

// ---- within a bar ---------------------------------------------------------------------------------------------------

// A reference without the events that should have come before this place.
static void pass(Slot *slot, int place) {
  while (slot->begin < slot->left.count && slot->left.events[slot->begin].place < place - TOLERANCE) {
    slot->begin++;
    slot->lost++;
  }
}

// The hit just read is taken out of a reference where it stands there at this place.
static void follow(Slot *slot, int place, int track, int hit) {
  Event *events = slot->left.events;
  slot->length = 0;
  for (int i = slot->begin; i < slot->left.count && events[i].place <= place + TOLERANCE; i++) {
    if (events[i].hit != hit || events[i].track != track) continue;
    slot->length = events[i].duration < MOST_DURATION ? events[i].duration : MOST_DURATION;
    slot->kept++;
    slot->left.count--;
    memmove(events + i, events + i + 1, (size_t)(slot->left.count - i) * sizeof *events);
    return;
  }
}

static void read_hit(Memory *m, int kind, int hit) {
  m->hit = m->order = hit;
  follow(&m->planned, m->place, m->track, hit);
  follow(&m->usual, m->place, m->track, hit);
  if (m->voices && kind == PITCH) {
    Part *part = m->part[m->track];
    part->lowest = hit < part->lowest ? hit : part->lowest;
    part->highest = hit > part->highest ? hit : part->highest;
    tell_range(m, part);
  }
  tell(m, 1);
}

static int read_track(Memory *m, int track) {
  while (m->voices && m->parts <= track) {
    if (!(m->part[m->parts] = new_part(m->part[0]->past.complete))) return 0;
    m->parts++;
  }
  if (m->count < 0) return 1;  // in the header
  m->track = track;
  m->order = -1;
  tell_track(m);
  tell(m, 0);
  return 1;
}

int memory_read(Memory *m, int kind, int value) {
  switch (kind) {
    case DURATION: {
      Event event = {m->place, m->held + value + 1, (uint8_t)m->track, (uint8_t)m->hit, m->velocity[m->track], 0};
      m->held = 0;
      if (!events_add(&m->now, event)) return 0;
      tell(m, 0);
      break;
    }
    case PITCH:
    case DRUM:
      read_hit(m, kind, value + (kind == DRUM ? DRUM_HIT : 0));
      break;
    case POSITION:
      m->place = value;
      m->order = -1;
      pass(&m->planned, value);
      pass(&m->usual, value);
      tell(m, 0);
      break;
    case VELOCITY:
      m->velocity[m->track] = (uint8_t)value;
      tell(m, 0);
      break;
    case TRACK:
      return read_track(m, value);
    case SUSTAIN:
      m->held += MOST_DURATION;
      break;
    case BAR:
      return begin_bar(m);
    case TIME_SIGNATURE:
      take_meter(m, METER_TICKS[value]);
      break;
    default:
      break;
  }
  return 1;
}

// The channels (count, width) after each token; returns 0 without memory, or for what is no token.
EXPORT int memory_channels(const FormPlan *plan, int voices, const int32_t *tokens, int count, int width, int16_t *told) {
  Memory *m = memory_new(plan, voices);
  int fine = m != NULL;
  for (int i = 0; i < count && fine; i++) {
    fine = tokens[i] >= 0 && tokens[i] < TOKENS;
    int kind = fine ? KIND_OF[tokens[i]] : PAD;
    fine = fine && memory_read(m, kind, tokens[i] - FIRST[kind]);
    if (fine) memcpy(told + (size_t)i * width, m->told, (size_t)width * sizeof *told);
  }
  memory_free(m);
  return fine;
}
