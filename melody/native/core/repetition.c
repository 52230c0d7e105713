#include "repetition.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"

static const int LENGTHS[] = {8, 12, 16, 24, 32, 48, 64, 96, 128};
enum { LENGTH_COUNT = sizeof LENGTHS / sizeof LENGTHS[0], LONGEST = 128 };

enum { FIRST_ROOM = 512 };  // a power of two

// The slot of the passage that ends before `end`, or the empty one where it belongs.
static Passage *slot_of(Recall *recall, int end) {
  const uint16_t *passage = recall->tokens + end - LEAST;
  uint64_t half[2], hash;
  memcpy(half, passage, sizeof half);
  hash = half[0] * 0x9E3779B97F4A7C15u ^ half[1] * 0xC2B2AE3D27D4EB4Fu;
  hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9u;
  for (uint32_t place = (uint32_t)(hash >> 40);; place++) {
    Passage *slot = &recall->passages[place % (2 * (uint32_t)recall->room)];
    if (!slot->place || !memcmp(recall->tokens + slot->place - LEAST, passage, LEAST * sizeof *passage)) return slot;
  }
}

static int agreeing(const Recall *recall) {
  const uint16_t *tokens = recall->tokens;
  int most = recall->at < LONGEST ? recall->at : LONGEST, length = LEAST;
  while (length < most && tokens[recall->at - 1 - length] == tokens[recall->count - 1 - length]) length++;
  return length;
}

// Puts the passages into a table for so many tokens, behind the first `gone`, which are there no more.
static int tabulate(Recall *recall, int room, int gone) {
  Passage *old = recall->passages, *table = calloc((size_t)2 * room, sizeof *table);
  int slots = 2 * recall->room;
  if (!table) return 0;
  recall->passages = table;
  recall->room = room;
  for (int i = 0; i < slots && old; i++) {
    int place = old[i].place - gone;
    if (old[i].place && place >= LEAST) *slot_of(recall, place) = (Passage){(uint16_t)place, old[i].times};
  }
  free(old);
  return 1;
}

// Makes room for tokens: up to a number; from there on all but the last ones go, so that a piece without end does not
// grow.
static int make_room(Recall *recall) {
  if (recall->room < 2 * REMEMBERED) {
    int room = recall->room ? 2 * recall->room : FIRST_ROOM;
    uint16_t *tokens = realloc(recall->tokens, (size_t)room * sizeof *tokens);
    if (!tokens) return 0;
    recall->tokens = tokens;
    return tabulate(recall, room, 0);
  }
  int gone = recall->count - REMEMBERED;
  memmove(recall->tokens, recall->tokens + gone, REMEMBERED * sizeof *recall->tokens);
  recall->count = REMEMBERED;
  recall->at = recall->at - gone > -1 ? recall->at - gone : -1;
  return tabulate(recall, recall->room, gone);
}

void recall_free(Recall *recall) {
  if (!recall) return;
  free(recall->tokens);
  free(recall->passages);
  free(recall);
}

Recall *recall_new(void) {
  Recall *recall = calloc(1, sizeof *recall);
  if (!recall) return NULL;
  recall->at = -1;
  if (make_room(recall)) return recall;
  recall_free(recall);
  return NULL;
}

Recall *recall_copy(const Recall *from) {
  Recall *recall = malloc(sizeof *recall);
  if (!recall) return NULL;
  size_t bytes = (size_t)from->room * sizeof *from->tokens, table = (size_t)2 * from->room * sizeof *from->passages;
  *recall = *from;
  recall->tokens = malloc(bytes);
  recall->passages = malloc(table);
  if (!recall->tokens || !recall->passages) {
    recall_free(recall);
    return NULL;
  }
  memcpy(recall->tokens, from->tokens, bytes);
  memcpy(recall->passages, from->passages, table);
  return recall;
}

int recall_read(Recall *recall, int token) {
  if (recall->at >= 0 && recall->tokens[recall->at] == token) {
    recall->at++;
    recall->length++;
  } else {
    recall->at = -1;
  }
  recall->tokens[recall->count++] = (uint16_t)token;
  if (recall->count >= LEAST) {
    Passage *passage = slot_of(recall, recall->count);
    if (recall->at < 0 && passage->place) {
      recall->at = passage->place;
      recall->length = agreeing(recall);
    }
    recall->times = passage->times < MOST_TIMES ? passage->times + 1 : MOST_TIMES;
    *passage = (Passage){(uint16_t)recall->count, (uint16_t)recall->times};
  }
  return recall->count < recall->room || make_room(recall);
}

void recall_tell(const Recall *recall, int16_t told[4]) {
  memset(told, 0, 4 * sizeof *told);
  if (recall->at < 0) return;
  int64_t back = recall->count - recall->at;
  int half_octaves = 0, agreed = 0;  // 2 log2(back) = log2(back * back)
  while (back * back >> (half_octaves + 1)) half_octaves++;
  while (agreed < LENGTH_COUNT && LENGTHS[agreed] <= recall->length) agreed++;
  told[0] = (int16_t)(1 + recall->tokens[recall->at]);
  told[1] = (int16_t)agreed;
  told[2] = (int16_t)recall->times;
  told[3] = (int16_t)(1 + (half_octaves < MOST_AGO ? half_octaves : MOST_AGO));
}

// The channels (count, 4) after each token; returns 0 without memory.
EXPORT int recall_channels(const int32_t *tokens, int count, int16_t *told) {
  Recall *recall = recall_new();
  int fine = recall != NULL;
  for (int i = 0; i < count && fine; i++) {
    fine = recall_read(recall, tokens[i]);
    recall_tell(recall, told + 4 * (size_t)i);
  }
  recall_free(recall);
  return fine;
}
