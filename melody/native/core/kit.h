// Drums of the kit by their part in a groove, as in `melody.music.drumkit`.
#ifndef MELODY_KIT_H
#define MELODY_KIT_H

enum { KICK = 36, SNARE = 38, HAT = 42, PEDAL_HAT = 44, OPEN_HAT = 46, CRASH = 49, OTHER_CRASH = 57 };
enum { GROUPS = 6, LARGEST = 3 };  // of drums that keep time
static const int KEEPERS[GROUPS][LARGEST] = {{HAT, PEDAL_HAT, OPEN_HAT}, {51, 53, 53}, {54, 54, 54},
                                             {69, 69, 69},               {70, 70, 70}, {82, 82, 82}};

static inline int is_crash(int drum) { return drum == CRASH || drum == OTHER_CRASH; }

static inline int is_one_of(int drum, const int *drums, int count) {
  for (int i = 0; i < count; i++) {
    if (drums[i] == drum) return 1;
  }
  return 0;
}

static inline int is_in_group(int drum, int group) { return is_one_of(drum, KEEPERS[group], LARGEST); }

static inline int keeps_time(int drum) {
  for (int group = 0; group < GROUPS; group++) {
    if (is_in_group(drum, group)) return 1;
  }
  return 0;
}
#endif
