// The rule of planned fills (`melody.generation.rules.fills`): where the plan of the drums varies the last of four bars
// they fill its end, and begin the next one with a crash.
#include "kit.h"
#include "rules.h"

enum { EACH = TICKS / 2, FOUR = 4 };
enum { FILLINGS = 4, CRASH_COUNT = 2 };
static const int FILLING[FILLINGS] = {SNARE, 43, 45, 48}, CRASHES[CRASH_COUNT] = {CRASH, OTHER_CRASH};

// A hit that has to come: where in the bar (-1: none), and of which drums one.
typedef struct {
  int place, count;
  const int *drums;
} Hit;

int fill_start(const Reader *r, int drums, int bar) {
  const FormPlan *plan = &r->memory->plan;
  int place = bar - plan->pickup;
  if (!plan->there || !plan->by_track || bar < 0 || (place % FOUR + FOUR) % FOUR != FOUR - 1) return -1;
  Symbol symbol = memory_symbol(plan, drums, bar);
  if (symbol.lag <= 0 || symbol.like < LIKES - 2 || symbol.like > LIKES - 1) return -1;
  return HELD[symbol.like] * r->bar_ticks / QUARTERS;
}

// One of these drums can still be played at a place, and none has been.
static int may_play(const Reader *r, int drums, int place, const int *which, int count) {
  if (place != r->position) return place > r->position;
  if (r->track > drums && (r->noted || r->kind == TRACK || r->kind == VELOCITY)) return 0;
  for (int i = 0; i < r->nows; i++) {
    if (r->now[i].track != drums) continue;
    if (r->now[i].pitch >= which[count - 1] || is_one_of(r->now[i].pitch, which, count)) return 0;
  }
  return 1;
}

static Hit due_hit(const Reader *r, int drums, int start) {
  Hit none = {-1, 0, NULL};
  if (r->position <= 0 && may_play(r, drums, 0, CRASHES, CRASH_COUNT) && fill_start(r, drums, r->bar - 1) >= 0) {
    return (Hit){0, CRASH_COUNT, CRASHES};
  }
  if (start < 0) return none;
  int place = r->position < start ? start : r->position + ((start - r->position) % EACH + EACH) % EACH;
  if (!may_play(r, drums, place, FILLING, FILLINGS)) place += EACH;
  return place < r->bar_ticks ? (Hit){place, FILLINGS, FILLING} : none;
}

// All has come that returns on the downbeat of a bar that returns.
static int has_returned(const Reader *r, int drums) {
  Symbol symbol = memory_symbol(&r->memory->plan, drums, r->bar);
  if (symbol.lag <= 0 || !HELD[symbol.like] || drums >= r->memory->parts) return 0;
  const Bar *there = past_bar(&r->memory->part[drums]->past, symbol.lag);
  for (int i = 0; there && i < there->count; i++) {
    if (there->events[i].place == 0 && there->events[i].hit % DRUM_HIT > r->last_pitch) return 0;
  }
  return there != NULL;
}

static int is_idle(const Rule *rule, const Reader *r) {
  return rule->numbers[0] < 0 || r->bar < 0 || reader_under_way(r) || !r->memory;
}

// numbers: the track of the drums, -1 for none.
void fills_narrow(const Rule *rule, const Reader *r, uint8_t *mask) {
  int drums = rule->numbers[0];
  if (is_idle(rule, r)) return;
  int start = fill_start(r, drums, r->bar);
  if (r->track == drums && start >= 0 && start <= r->position) {
    for (int pitch = 0; pitch < PITCHES; pitch++) {
      if (pitch != KICK && !is_one_of(pitch, FILLING, FILLINGS)) mask[FIRST_DRUM + pitch] = 0;
    }
    if (r->last_pitch >= FILLING[FILLINGS - 1]) close_kind(mask, VELOCITY);  // drums of a place go upwards
  }
  Hit hit = due_hit(r, drums, start);
  if (hit.place < 0) return;
  close_beyond(r, hit.place, drums, mask);
  if (hit.place != r->position) return;
  close_kind(mask, POSITION);
  if (r->track != drums) {
    close_kind(mask, PITCH);
    close_kind(mask, VELOCITY);
    return;
  }
  close_ids(mask, FIRST_DRUM + hit.drums[hit.count - 1] + 1, FIRST_DRUM + PITCHES);
  if (hit.drums != CRASHES || !has_returned(r, drums)) return;
  for (int pitch = 0; pitch < PITCHES; pitch++) {
    if (!is_one_of(pitch, CRASHES, CRASH_COUNT)) mask[FIRST_DRUM + pitch] = 0;
  }
}

int fills_way_on(const Rule *rule, const Reader *r, uint8_t *passing) {
  int drums = rule->numbers[0];
  if (is_idle(rule, r)) return -1;
  Hit hit = due_hit(r, drums, fill_start(r, drums, r->bar));
  if (hit.place < 0 || (hit.place == r->position && r->track == drums)) return -1;
  return way_to(r, hit.place, drums, passing);
}
