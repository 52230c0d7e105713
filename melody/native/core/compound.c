// The rule of the compound beat (`melody.generation.rules.compound`): drums that are added to 6/8, 9/8 or 12/8 keep time.
#include "kit.h"
#include "rules.h"

enum { EIGHTH = TICKS / 2, PARTS = 3, BEAT = PARTS * EIGHTH, EMPTY = 3 };

typedef struct {
  int place, highest;  // where the next stroke has to come, and the highest drum that it may be; -1: none
} Stroke;

typedef struct {
  int softest, loudest;  // bins of velocity
} Loudness;

static const Loudness LOUD_KICK = {17, 31}, LOUD_SNARE = {20, 31}, LOUD_CRASH = {14, 31}, FREE_KICK = {14, 22};
static const Loudness ACCENTED = {16, 28}, UNACCENTED = {8, 17};  // hi-hat on beats, and between them

static int is_idle(const Reader *r) {
  if (r->meter < 0 || reader_under_way(r)) return 1;
  int units = METER_UNITS[r->meter];
  return METER_TICKS[r->meter] != units * EIGHTH || units % PARTS || units <= PARTS;
}

static int drums_of(const Rule *rule) { return rule->numbers[1]; }

static int drum_on_beat(const Reader *r, int place) {  // -1: none
  static const int in_three[PARTS] = {KICK, -1, SNARE};
  if (place % BEAT) return -1;
  return r->bar_ticks / BEAT == PARTS ? in_three[place / BEAT % PARTS] : place / BEAT % 2 ? SNARE : KICK;
}

// The highest drum by which time is kept at a place; -1: none.
static int hat_at(const Rule *rule, const Reader *r, int place) {
  if (place % EIGHTH || (rule->numbers[3] && place % BEAT == EIGHTH)) return -1;
  return place + EIGHTH == r->bar_ticks ? OPEN_HAT : HAT;
}

// The tick in the bar from which on drums keep time.
static int start_of(const Rule *rule, const Reader *r) {
  if (!r->memory || !r->memory->plan.there || !r->memory->plan.by_track) return 0;
  Symbol symbol = memory_symbol(&r->memory->plan, drums_of(rule), r->bar);
  if ((!symbol.lag && symbol.like == EMPTY) || fill_start(r, drums_of(rule), r->bar) >= 0) return r->bar_ticks;
  return symbol.lag ? HELD[symbol.like] * r->bar_ticks / QUARTERS : 0;
}

static int may_strike(const Rule *rule, const Reader *r, int place, int drum) {
  int hat = hat_at(rule, r, place);
  int third = place % BEAT == BEAT - EIGHTH && drum_on_beat(r, place / BEAT * BEAT) == KICK;
  if (drum == drum_on_beat(r, place) || (drum == KICK && third)) return 1;
  if (hat >= 0 && (drum == HAT || drum == hat)) return 1;
  return is_crash(drum) && place == 0 && r->bar > 0 && r->memory && fill_start(r, drums_of(rule), r->bar - 1) >= 0;
}

// The highest drum of the next stroke that is still to come at a place; -1: none.
static int owed(const Rule *rule, const Reader *r, int place) {
  int on_beat = drum_on_beat(r, place), hat = hat_at(rule, r, place), last = -1;
  if (place == r->position) {
    if (r->track > drums_of(rule) && (r->noted || r->kind == TRACK || r->kind == VELOCITY)) return -1;
    for (int i = 0; i < r->nows; i++) {
      int pitch = r->now[i].pitch;
      if (r->now[i].track != drums_of(rule)) continue;
      last = pitch > last ? pitch : last;
      if (pitch == on_beat) on_beat = -1;
      if (pitch == HAT || pitch == hat) hat = -1;
    }
  }
  return on_beat > last ? on_beat : hat > last ? hat : -1;
}

static Stroke due(const Rule *rule, const Reader *r, int start) {
  int first = r->position > start ? r->position : start;
  for (int place = (first + EIGHTH - 1) / EIGHTH * EIGHTH; place < r->bar_ticks; place += EIGHTH) {
    int highest = owed(rule, r, place);
    if (highest >= 0) return (Stroke){place, highest};
  }
  return (Stroke){-1, -1};
}

// The bins of velocity of a drum at a place.
static Loudness loudness(int place, int drum) {
  int is_beat = place % BEAT == 0;
  if (drum == HAT || drum == OPEN_HAT) return is_beat ? ACCENTED : UNACCENTED;
  if (drum == KICK) return is_beat ? LOUD_KICK : FREE_KICK;
  return drum == SNARE ? LOUD_SNARE : LOUD_CRASH;
}

// What drums may strike where they are, up to the highest drum, and how loudly; elsewhere they are closed.
static void keep_strokes(const Rule *rule, const Reader *r, int start, int highest, uint8_t *mask) {
  int drums = drums_of(rule), may = 0, running = r->velocity[drums];
  if (r->position < 0 || (r->position % rule->numbers[2] == 0 && r->position < start)) return;
  uint8_t loud[VELOCITIES] = {0};
  for (int drum = 0; drum < PITCHES; drum++) {
    int here = r->position >= start && may_strike(rule, r, r->position, drum);
    Loudness of = loudness(r->position, drum);
    may |= here;
    here = here && drum > r->last_pitch && drum <= highest;
    for (int bin = of.softest; here && bin <= of.loudest; bin++) loud[bin] = 1;
    if (r->track == drums && !(here && of.softest <= running && running <= of.loudest)) mask[FIRST_DRUM + drum] = 0;
  }
  if (!may) mask[FIRST_TRACK + drums] = 0;
  if (r->track != drums) return;
  close_kind(mask, PITCH);
  for (int bin = 0; bin < VELOCITIES; bin++) mask[FIRST_VELOCITY + bin] &= loud[bin];
}

// numbers: bits of the tracks that are given, the drums, ticks between places at which new notes may begin, whether
// beats are fast; table: the notes that are given, as core/fixed.h has them. The next of them is at tick `given`.
void compound_narrow(const Rule *rule, int given, const Reader *r, uint8_t *mask) {
  if (is_idle(r)) return;
  int start = start_of(rule, r), drums = drums_of(rule);
  for (int place = 0; place < MOST_BAR_TICKS; place++) {
    if (place % rule->numbers[2] && r->bar_start + place != given) mask[FIRST_POSITION + place] = 0;
  }
  Stroke stroke = due(rule, r, start);
  keep_strokes(rule, r, start, stroke.place == r->position ? stroke.highest : PITCHES, mask);
  if (stroke.place < 0) return;
  close_beyond(r, stroke.place, drums, mask);
  if (stroke.place != r->position) return;
  close_kind(mask, POSITION);
  if (r->track != drums) close_notes(mask);
}

int compound_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  if (is_idle(r)) return -1;
  Stroke stroke = due(rule, r, start_of(rule, r));
  int drums = drums_of(rule);
  if (stroke.place < 0 || (stroke.place == r->position && r->track == drums)) return -1;
  return way_to(r, stroke.place, drums, passing);
}
