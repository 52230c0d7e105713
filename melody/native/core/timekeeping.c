// The rule of kept time (`melody.generation.rules.timekeeping`): where a groove begins that the plan holds on to, a hi-hat
// or ride keeps time.
#include "kit.h"
#include "rules.h"

enum { EIGHTH = TICKS / 2, FEW = 4, LOUD = 4, MOST_DUE = 2, MOST_BETWEEN = 2, LIKE_EMPTY = 3, EIGHT = 8 };

typedef struct {
  int softest, loudest;  // bins of velocity
} Range;

static const Range ON_BEATS = {17, 29}, BETWEEN = {10, 28}, STRONG = {17, 31}, ANY = {0, VELOCITIES - 1};

typedef struct {
  const int *drums;  // upwards, `count` of which one is due
  int count;
  Range range;
} Stroke;

// What drums do at a place: the strokes that are due, upwards, and who may join; `rules`: whether anything is ruled.
typedef struct {
  int rules, count;
  Stroke due[MOST_DUE];
  uint8_t free[PITCHES];
  Range range;
} Place;

// A groove behind `heard` bars in which time was kept, or one that begins.
typedef struct {
  int bars, crashes;  // how many of them; whether a crash may come
  const Bar *heard[FEW];
  Stroke kept;
  int step, between;  // of one that begins: ticks from one hi-hat to the next, kicks between the beats so far
} Groove;

static const int KICK_ALONE[] = {KICK}, SNARE_ALONE[] = {SNARE}, HAT_ALONE[] = {HAT};

// How loudly a group of drums keeps time in a bar: the softest and the loudest bin; loudest -1: it does not.
static Range kept_by(const Bar *bar, int group, int ticks) {
  Range none = {0, -1}, found = {VELOCITIES, -1};
  uint8_t struck[MOST_BAR_TICKS] = {0}, loud[MOST_BAR_TICKS] = {0};
  for (int i = 0; i < bar->count; i++) {
    const Event *event = &bar->events[i];
    if (event->place % EIGHTH || event->place >= MOST_BAR_TICKS || !is_in_group(event->hit % DRUM_HIT, group)) continue;
    struck[event->place] = 1;
    loud[event->place] = event->loud;
  }
  int eighths = ticks / EIGHTH, strokes = 0, on_all_beats = 1;
  for (int place = 0; place < MOST_BAR_TICKS; place += EIGHTH) {
    if (place < ticks && place % TICKS == 0 && !struck[place]) on_all_beats = 0;
    if (!struck[place]) continue;
    strokes++;
    found.softest = loud[place] < found.softest ? loud[place] : found.softest;
    found.loudest = loud[place] > found.loudest ? loud[place] : found.loudest;
  }
  return on_all_beats || strokes >= eighths - eighths / 4 ? found : none;
}

static int goes_on(const Reader *r, Groove *groove) {
  for (int k = 0; k < groove->bars; k++) {
    for (int group = 0; group < GROUPS; group++) {
      Range loud = kept_by(groove->heard[k], group, r->bar_ticks);
      if (loud.loudest < 0) continue;
      groove->kept = (Stroke){KEEPERS[group], LARGEST, {loud.softest - LOUD, loud.loudest + LOUD}};
      return 1;
    }
  }
  return 0;
}

// Returns 0 where nothing is ruled. numbers: the drums' track, the bin of tempo from which beats are fast, and whether
// drums play in the primer.
static int groove_of(const Rule *rule, const Reader *r, Groove *groove) {
  int drums = rule->numbers[0];
  const Memory *m = r->memory;
  if (drums < 0 || r->bar < 0 || reader_under_way(r) || !m || !m->plan.there || !m->plan.by_track) return 0;
  Symbol symbol = memory_symbol(&m->plan, drums, r->bar);
  int is_new = symbol.lag ? !HELD[symbol.like] : symbol.like && symbol.like < LIKE_EMPTY;
  Symbol after = memory_symbol(&m->plan, drums, r->bar + 1);
  if (r->bar < m->plan.pickup || !is_new || after.lag != 1 || after.like < LIKES - 1 || r->meter < 0) return 0;
  if (METER_TICKS[r->meter] != METER_UNITS[r->meter] * TICKS) return 0;
  memset(groove, 0, sizeof *groove);
  for (int lag = 1; drums < m->parts && groove->bars < FEW && lag <= r->bar - m->plan.pickup; lag++) {
    const Bar *bar = past_bar(&m->part[drums]->past, lag);
    if (!bar) break;
    if (bar->count) groove->heard[groove->bars++] = bar;
  }
  groove->crashes = (r->bar - m->plan.pickup) % EIGHT == 0 || fill_start(r, drums, r->bar - 1) >= 0;
  if (goes_on(r, groove)) return 1;
  if (rule->numbers[2]) return 0;
  groove->bars = 0;
  groove->step = r->tempo >= rule->numbers[1] ? TICKS : EIGHTH;
  for (int i = 0; i < m->now.count; i++) {
    const Event *event = &m->now.events[i];
    groove->between += event->track == drums && event->hit == DRUM_HIT + KICK && event->place % TICKS > 0;
  }
  return 1;
}

static Place going_on_at(const Groove *groove, int place) {
  Place found = {0};
  if (place % TICKS) return found;
  found = (Place){.rules = 1, .count = 1, .due = {groove->kept}, .range = ANY};
  for (int k = 0; k < groove->bars; k++) {
    const Bar *bar = groove->heard[k];
    for (int i = 0; i < bar->count; i++) found.free[bar->events[i].hit % DRUM_HIT] |= bar->events[i].place == place;
  }
  found.free[place / TICKS % 2 ? SNARE : KICK] = 1;
  found.free[CRASH] = found.free[OTHER_CRASH] = groove->crashes && place == 0;
  return found;
}

static Place beginning_at(const Groove *groove, const Reader *r, int place) {
  Place found = {.rules = 1, .range = STRONG};
  int beat = place / TICKS, has_snare = r->bar_ticks == 3 * TICKS ? beat == 2 : beat % 2;
  if (place % groove->step) {
    found.range = ANY;
    found.free[KICK] = found.free[HAT] = found.free[PEDAL_HAT] = found.free[OPEN_HAT] = 1;
    return found;
  }
  if (place % TICKS) {
    found.free[KICK] = beat && groove->between < MOST_BETWEEN;
  } else if (has_snare) {
    found.due[found.count++] = (Stroke){SNARE_ALONE, 1, STRONG};
  } else if (beat) {
    found.free[KICK] = 1;
  } else {
    found.due[found.count++] = (Stroke){KICK_ALONE, 1, STRONG};
    found.free[CRASH] = found.free[OTHER_CRASH] = 1;
  }
  found.due[found.count++] = (Stroke){HAT_ALONE, 1, place % TICKS ? BETWEEN : ON_BEATS};
  return found;
}

static Place place_of(const Groove *groove, const Reader *r, int place) {
  return groove->bars ? going_on_at(groove, place) : beginning_at(groove, r, place);
}

// The highest drum of the next stroke that is still to come at a place; -1: none.
static int owed(const Reader *r, int drums, int place, const Place *own) {
  int last = -1;
  uint8_t played[PITCHES] = {0};
  if (place == r->position) {
    if (r->track > drums && (r->noted || r->kind == TRACK || r->kind == VELOCITY)) return -1;
    for (int i = 0; i < r->nows; i++) {
      if (r->now[i].track != drums) continue;
      played[r->now[i].pitch] = 1;
      last = r->now[i].pitch > last ? r->now[i].pitch : last;
    }
  }
  for (int i = 0; i < own->count; i++) {
    const Stroke *stroke = &own->due[i];
    int highest = stroke->drums[stroke->count - 1], is_played = 0;
    for (int k = 0; k < stroke->count; k++) is_played |= played[stroke->drums[k]];
    if (!is_played && last < highest) return highest;
  }
  return -1;
}

// The tick in the bar of the next stroke that has to come, and the highest drum that it may be; -1: none.
static int due(const Rule *rule, const Reader *r, const Groove *groove, int *highest) {
  int first = r->position > 0 ? r->position : 0;
  for (int place = (first + EIGHTH - 1) / EIGHTH * EIGHTH; place < r->bar_ticks; place += EIGHTH) {
    Place own = place_of(groove, r, place);
    *highest = own.count ? owed(r, rule->numbers[0], place, &own) : -1;
    if (*highest >= 0) return place;
  }
  return -1;
}

// What drums may strike where they are, up to the highest drum, and how loudly.
static void keep_strokes(const Reader *r, const Place *own, int highest, int running, uint8_t *mask) {
  uint8_t drums[PITCHES] = {0}, loud[VELOCITIES] = {0};
  for (int drum = r->last_pitch + 1; drum < PITCHES && drum <= highest; drum++) {
    int is_there = own->free[drum];
    Range range = own->range;
    for (int i = 0; i < own->count; i++) {
      for (int k = 0; k < own->due[i].count; k++) {
        if (own->due[i].drums[k] != drum) continue;
        is_there = 1;
        range = own->due[i].range;
      }
    }
    if (!is_there) continue;
    drums[drum] = range.softest <= running && running <= range.loudest;
    for (int bin = range.softest > 0 ? range.softest : 0; bin < VELOCITIES && bin <= range.loudest; bin++) loud[bin] = 1;
  }
  close_kind(mask, PITCH);
  for (int drum = 0; drum < PITCHES; drum++) mask[FIRST_DRUM + drum] &= drums[drum];
  for (int bin = 0; bin < VELOCITIES; bin++) mask[FIRST_VELOCITY + bin] &= loud[bin];
}

void timekeeping_narrow(const Rule *rule, const Reader *r, uint8_t *mask) {
  Groove groove;
  int drums = rule->numbers[0], highest = -1;
  if (!groove_of(rule, r, &groove)) return;
  int place = due(rule, r, &groove, &highest), is_here = place >= 0 && place == r->position;
  if (place >= 0) close_beyond(r, place, drums, mask);
  if (is_here) {
    close_kind(mask, POSITION);
    if (r->track != drums) close_notes(mask);
  }
  if (r->track != drums || r->position < 0) return;
  Place own = place_of(&groove, r, r->position);
  if (own.rules) keep_strokes(r, &own, is_here ? highest : PITCHES, r->velocity[drums], mask);
}

int timekeeping_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  Groove groove;
  int drums = rule->numbers[0], highest = -1;
  if (!groove_of(rule, r, &groove)) return -1;
  int place = due(rule, r, &groove, &highest);
  if (place < 0 || (place == r->position && r->track == drums)) return -1;
  return way_to(r, place, drums, passing);
}
