// The rule of one loudness (`melody.generation.rules.loudness`): the voices of an ensemble grow loud and soft together.
#include "rules.h"

enum { NEAR = 3 };  // bins of velocity

// numbers: bits of the tracks that are ruled.
void loudness_narrow(const Rule *rule, const Reader *r, uint8_t *mask) {
  int latest = -1, softest = VELOCITIES, loudest = -1;
  if (r->track < 0 || !((uint32_t)rule->numbers[0] >> r->track & 1) || r->position < 0) return;
  if (reader_under_way(r) || r->kind == VELOCITY) return;
  for (int track = 0; track < r->tracks; track++) {
    if (track == r->track || !r->written[track] || r->velocity[track] < 0) continue;
    if (r->latest_onset[track] < latest) continue;
    if (r->latest_onset[track] > latest) {
      latest = r->latest_onset[track];
      softest = VELOCITIES;
      loudest = -1;
    }
    int bin = r->velocity[track];
    softest = bin < softest ? bin : softest;
    loudest = bin > loudest ? bin : loudest;
  }
  if (latest < 0 || (r->written[r->track] && r->latest_onset[r->track] >= latest)) return;
  softest -= NEAR;
  loudest += NEAR;
  int running = r->velocity[r->track], goes_on = softest <= running && running <= loudest;
  if (goes_on && latest < r->tick) return;
  if (!goes_on) close_kind(mask, PITCH);
  close_ids(mask, FIRST_VELOCITY, FIRST_VELOCITY + (softest > 0 ? softest : 0));
  if (loudest < VELOCITIES - 1) close_ids(mask, FIRST_VELOCITY + loudest + 1, FIRST_VELOCITY + VELOCITIES);
}
