#include "lines.h"

#include <string.h>

#include "export.h"

enum { STEP = 2, SKIP = 5, LONGEST = 4, MOST_AWAY = 15 };  // as melody.tokens.lines

void lines_begin(Lines *lines) {
  memset(lines, 0, sizeof *lines);
  lines->track = -1;
}

// The value of "move" after one by so many semitones: direction, size, and how often it has gone that way.
static int16_t moved(int move, int by) {
  int up = by > 0, far = up ? by : -by, size = (far > STEP) + (far > SKIP), run = 0;
  if (move && (move - 1) / LONGEST / 3 == up) {
    run = (move - 1) % LONGEST + 1;
    run = run < LONGEST ? run : LONGEST - 1;
  }
  return (int16_t)(1 + (3 * up + size) * LONGEST + run);
}

static void sing(Line *line, int pitch) {
  int by = line->count ? pitch - line->notes[line->count - 1] : 0;
  if (by) line->move = moved(line->move, by);
  if (line->count == LINE_REACH) {
    memmove(line->notes, line->notes + 1, LINE_REACH - 1);
    line->count--;
  }
  line->notes[line->count++] = (uint8_t)pitch;
}

void lines_read(Lines *lines, int kind, int value) {
  if (kind == PITCH && lines->track >= 0) sing(&lines->lines[lines->track], value);
  if (kind == TRACK) lines->track = value;
  if (kind == POSITION || kind == BAR) lines->track = -1;
}

void lines_tell(const Lines *lines, int16_t told[LINE_CHANNELS]) {
  memset(told, 0, LINE_CHANNELS * sizeof *told);
  const Line *line = lines->track < 0 ? NULL : &lines->lines[lines->track];
  if (!line || !line->count) return;
  int last = line->notes[line->count - 1], highest = last, lowest = last;
  for (int i = 0; i < line->count; i++) {
    highest = line->notes[i] > highest ? line->notes[i] : highest;
    lowest = line->notes[i] < lowest ? line->notes[i] : lowest;
  }
  told[0] = line->move;
  told[1] = (int16_t)(1 + (highest - last < MOST_AWAY ? highest - last : MOST_AWAY));
  told[2] = (int16_t)(1 + (last - lowest < MOST_AWAY ? last - lowest : MOST_AWAY));
}

// The channels (count, LINE_CHANNELS) after each token.
EXPORT void lines_channels(const int32_t *tokens, int count, int16_t *told) {
  Lines lines;
  lines_begin(&lines);
  for (int i = 0; i < count; i++) {
    int kind = KIND_OF[tokens[i]];
    lines_read(&lines, kind, tokens[i] - FIRST[kind]);
    lines_tell(&lines, told + LINE_CHANNELS * (size_t)i);
  }
}
