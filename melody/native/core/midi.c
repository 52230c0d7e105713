// Reads a MIDI file in which nothing needs repair, at once; leaves every other one to the careful reader in Python.
//
// Strict is: a header of 6 bytes, as many tracks as it announces, one chunk behind the other up to the last byte; in each
// chunk whole events with data bytes below 128, no running status across meta and system events, one end of the track, at
// its end; and each note ends. Notes end first in, first out, and are a tick long at least. As melody/formats/midi/track.py and
// parts.py have it; tests hold both readers to one result.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

enum { NOTE_OFF = 8, NOTE_ON, TOUCH, CONTROL, PROGRAM, PRESSURE, BEND };
enum { META = 0xFF, SYSEX = 0xF0, ESCAPE = 0xF7, END_OF_TRACK = 0x2F };
enum { KEYS = 16 * 128, NONE = -1 };

typedef struct {
  int64_t tick;
  int64_t duration;  // of a note; NONE until it has ended
  int32_t place;     // among the events of its track
  int32_t next;      // note of its key that sounds beside it, and ends after it
  uint8_t kind, channel, first, second;
} Message;

// Results: first the counts alone, then, where there is room for so many, all else. Columns lie one behind the other.
typedef struct {
  int32_t kind, division, track_count, events;
  int32_t note_count, other_count, payload_count;
  int64_t *tracks;    // rows of notes, programs, controls, bends, pressures, touches, payloads; and see `read_track` (10)
  int64_t *notes;     // place, tick, channel, pitch, velocity, duration (6, note_count), in order in each track
  int64_t *others;    // place, tick, channel, first, second (5, other_count), by kind in each track
  int64_t *payloads;  // tick, status, kind of meta event, first byte, length (5, payload_count)
} MidiFile;

typedef struct {
  const uint8_t *data;
  int position, stop;
  int64_t tick;
} Walk;

// The number of up to four bytes at the position; -1 where there is none.
static int64_t number(Walk *walk) {
  int64_t result = 0;
  for (int i = 0; i < 4 && walk->position < walk->stop; i++) {
    uint8_t byte = walk->data[walk->position++];
    result = result << 7 | (byte & 0x7F);
    if (byte < 0x80) return result;
  }
  return -1;
}

// ---- notes ----------------------------------------------------------------------------------------------------------

typedef struct {
  int32_t first[KEYS], last[KEYS];  // notes that sound, in order of their beginning
  int64_t orphans, brief;           // note-offs of notes that do not sound; notes without length
} Sounding;

static void begin_note(Sounding *sounding, Message *messages, int32_t note) {
  int key = messages[note].channel << 7 | messages[note].first;
  messages[note].duration = NONE;
  messages[note].next = NONE;
  if (sounding->first[key] == NONE) sounding->first[key] = note;
  else messages[sounding->last[key]].next = note;
  sounding->last[key] = note;
}

static void end_note(Sounding *sounding, Message *messages, int key, int64_t tick) {
  int32_t note = sounding->first[key];
  if (note == NONE) {
    sounding->orphans++;
    return;
  }
  int64_t duration = tick - messages[note].tick;
  sounding->brief += !duration;
  messages[note].duration = duration ? duration : 1;
  sounding->first[key] = messages[note].next;
}

static int by_place(const void *one, const void *other) {  // of notes that begin at one tick
  const Message *a = one, *b = other;
  if (a->first != b->first) return a->first - b->first;
  if (a->duration != b->duration) return a->duration < b->duration ? -1 : 1;
  if (a->second != b->second) return a->second - b->second;
  if (a->channel != b->channel) return a->channel - b->channel;
  return a->place - b->place;
}

static void sort_notes(Message *notes, int count) {  // their ticks are in order
  for (int begin = 0, end; begin < count; begin = end) {
    for (end = begin + 1; end < count && notes[end].tick == notes[begin].tick;) end++;
    if (end - begin > 1) qsort(notes + begin, (size_t)(end - begin), sizeof *notes, by_place);
  }
}

// ---- a track --------------------------------------------------------------------------------------------------------

static void write_row(int64_t *column, size_t most, const Message *message) {
  column[0] = message->place;
  column[most] = message->tick;
  column[2 * most] = message->channel;
  column[3 * most] = message->first;
  column[4 * most] = message->second;
}

// Notes and other messages of a track, which begin at these rows of the results.
static void write_rows(const MidiFile *file, Message *notes, int noted, const Message *others, int count,
                       const int64_t *rows, int64_t *track) {
  static const uint8_t kinds[] = {PROGRAM, CONTROL, BEND, PRESSURE, TOUCH};
  size_t all = (size_t)file->note_count;
  int64_t *column = file->notes + rows[0], *other = file->others + rows[1];
  sort_notes(notes, noted);
  for (int i = 0; i < noted; i++, column++) {
    write_row(column, all, &notes[i]);
    column[5 * all] = notes[i].duration;
  }
  track[0] = noted;
  for (int k = 0; k < 5; k++) {
    track[1 + k] = 0;
    for (int i = 0; i < count; i++) {
      if (others[i].kind != kinds[k]) continue;
      write_row(other++, (size_t)file->other_count, &others[i]);
      track[1 + k]++;
    }
  }
}

// A meta or system event whose status stands before the position, to row `row`. Returns 0 where it is not sound, else 1,
// or 2 for the end of the track.
static int read_payload(const MidiFile *file, Walk *walk, int status, int64_t row) {
  int kind = 0;
  if (status != META && status != SYSEX && status != ESCAPE) return 0;
  if (status == META) {
    if (walk->position >= walk->stop) return 0;
    kind = walk->data[walk->position++];
  }
  int64_t length = number(walk);
  if (length < 0 || length > walk->stop - walk->position) return 0;
  if (status == META && kind == END_OF_TRACK) return length == 0 && walk->position == walk->stop ? 2 : 0;
  if (file->payloads) {
    size_t all = (size_t)file->payload_count;
    int64_t *column = file->payloads + row;
    column[0] = walk->tick;
    column[all] = status;
    column[2 * all] = kind;
    column[3 * all] = walk->position;
    column[4 * all] = length;
  }
  walk->position += (int)length;
  return 1;
}

typedef struct {  // room for the messages of a track: notes from the front, others from the back; none while counting
  Message *messages;
  int size;
  Sounding sounding;
} Room;

// Reads a chunk to its end; the numbers of its notes, other messages and payloads are added to `rows`.
static int read_track(const MidiFile *file, Walk *walk, Room *room, int64_t *rows, int64_t *track, int *events) {
  Sounding *sounding = &room->sounding;
  Message *messages = room->messages;
  int status = 0, noted = 0, count = 0;
  int64_t payloads = 0;
  memset(sounding->first, 0xFF, sizeof sounding->first);  // NONE
  sounding->orphans = sounding->brief = walk->tick = 0;
  for (int32_t place = 0;; place++) {
    int64_t delta = number(walk);
    if (delta < 0 || walk->position >= walk->stop) return 0;
    walk->tick += delta;
    ++*events;
    int byte = walk->data[walk->position];
    if (byte >= 0xF0) {
      walk->position++;
      int read = read_payload(file, walk, byte, rows[2] + payloads);
      if (!read) return 0;
      if (read == 2) break;
      payloads++;
      status = 0;
      continue;
    }
    if (byte >= 0x80) {
      status = byte;
      walk->position++;
    }
    int kind = status >> 4, size = kind == PROGRAM || kind == PRESSURE ? 1 : 2;
    if (!status || walk->position + size > walk->stop) return 0;
    uint8_t first = walk->data[walk->position], second = size == 2 ? walk->data[walk->position + 1] : 0;
    walk->position += size;
    if ((first | second) & 0x80) return 0;
    if (kind == NOTE_OFF || (kind == NOTE_ON && !second)) {
      if (messages) end_note(sounding, messages, (status & 15) << 7 | first, walk->tick);
      continue;
    }
    Message message = {walk->tick, 0, place, NONE, (uint8_t)kind, status & 15, first, second};
    if (kind == NOTE_ON) noted++;
    else count++;
    if (!messages) continue;
    messages[kind == NOTE_ON ? noted - 1 : room->size - count] = message;
    if (kind == NOTE_ON) begin_note(sounding, messages, noted - 1);
  }
  if (messages) {
    Message *others = messages + room->size - count;
    for (int i = 0; i < noted; i++) {
      if (messages[i].duration == NONE) return 0;
    }
    for (int i = 0; i < count / 2; i++) {  // into the order of time
      Message message = others[i];
      others[i] = others[count - 1 - i];
      others[count - 1 - i] = message;
    }
    write_rows(file, messages, noted, others, count, rows, track);
    track[6] = payloads;
    track[7] = walk->tick;
    track[8] = sounding->orphans;
    track[9] = sounding->brief;
  }
  rows[0] += noted;
  rows[1] += count;
  rows[2] += payloads;
  return 1;
}

// ---- the file -------------------------------------------------------------------------------------------------------

static int big_endian(const uint8_t *bytes, int count) {  // up to 31 bits; more come out below 0
  uint32_t result = 0;
  for (int i = 0; i < count; i++) result = result << 8 | bytes[i];
  return (int)result;
}

static int read_tracks(MidiFile *file, const uint8_t *data, int size, Room *room) {
  int64_t rows[3] = {0, 0, 0};
  int position = 14;
  file->events = 0;
  for (int t = 0; t < file->track_count; t++) {
    if (size - position < 8 || memcmp(data + position, "MTrk", 4)) return 0;
    int length = big_endian(data + position + 4, 4);
    position += 8;
    if (length < 0 || length > size - position) return 0;
    Walk walk = {data, position, position + length, 0};
    int64_t *track = file->tracks ? file->tracks + 10 * t : NULL;
    if (!read_track(file, &walk, room, rows, track, &file->events)) return 0;
    position += length;
  }
  file->note_count = (int32_t)rows[0];
  file->other_count = (int32_t)rows[1];
  file->payload_count = (int32_t)rows[2];
  return position == size;
}

// Returns 1 and fills in the counts, where `tracks` is NULL, or else the results, for which there is room by the counts;
// 0 where the file needs a careful reader.
EXPORT int midi_read(const uint8_t *data, int size, MidiFile *file) {
  if (size < 14 || memcmp(data, "MThd\0\0\0\6", 8)) return 0;
  file->kind = big_endian(data + 8, 2);
  file->track_count = big_endian(data + 10, 2);
  file->division = big_endian(data + 12, 2);
  Room room = {NULL, file->tracks ? file->note_count + file->other_count : 0, {{0}, {0}, 0, 0}};
  if (file->tracks && !(room.messages = malloc(((size_t)room.size + 1) * sizeof *room.messages))) return 0;
  int read = file->track_count && read_tracks(file, data, size, &room);
  free(room.messages);
  return read;
}
