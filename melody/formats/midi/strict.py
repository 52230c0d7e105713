"""The fast way to read a MIDI file: in C, where nothing in it needs repair and the core is there.

What comes out is what `events.scan` and `parts.read_columns` find, but that of the raw events only those with payloads
are kept. All other files, and those beyond a limit, are left to these, which know what to say.
"""

import ctypes
from array import array
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import numpy as np

from melody.formats.midi.parts import Messages, PartMessages
from melody.formats.midi.track import NO_EVENTS, Limits, MidiFile, MidiTrack
from melody.music.score import Notes
from melody.native.library import core

_NOTHING = Messages(*np.zeros((5, 0), np.int64))


class _File(ctypes.Structure):  # core/midi.c
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("kind", "division", "track_count", "events")),
        *((name, ctypes.c_int32) for name in ("note_count", "other_count", "payload_count")),
        *((name, ctypes.c_void_p) for name in ("tracks", "notes", "others", "payloads")),
    ]


class Strict(NamedTuple):
    """A file without defects: what `scan` returns of it, and the messages of each track."""

    file: MidiFile
    columns: list[PartMessages]
    orphans: int  # note-offs of notes that do not sound
    brief: list[int]  # of each track the notes without length, which are a tick long now


def read_strictly(data: bytes, name: str, limits: Limits) -> Strict | None:
    """Read a file in which nothing needs repair; None for every other, and where there is no core."""
    library = core()
    if library is None or len(data) > limits.file_bytes or NO_EVENTS in data:
        return None
    found = _File()
    if not library.midi_read(data, len(data), ctypes.byref(found)):  # counts
        return None
    count, payload_count = found.track_count, found.payload_count + found.track_count  # with the ends of the tracks
    if count > limits.tracks or found.events > limits.events or payload_count > limits.payloads:
        return None
    shapes = (count, 10), (6, found.note_count), (5, found.other_count), (5, found.payload_count)
    begin = [0, *accumulate(rows * columns for rows, columns in shapes)]
    room = np.empty(begin[-1], np.int64)
    address = room.ctypes.data
    found.tracks, found.notes, found.others, found.payloads = (address + 8 * place for place in begin[:4])
    if not library.midi_read(data, len(data), ctypes.byref(found)):
        return None
    tracks, notes, others, payloads = (
        room[start:stop].reshape(shape) for (start, stop), shape in zip(pairwise(begin), shapes, strict=True)
    )
    numbers = tracks.tolist()
    if max(row[7] for row in numbers) > limits.ticks:
        return None
    file = MidiFile(name, limits, found.kind, found.division, count, events=found.events, payloads=payload_count)
    events, columns, note, other = iter(payloads.T.tolist()), [], 0, 0
    for noted, *kinds, own, end, _, _ in numbers:
        file.tracks.append(_track(list(islice(events, own)), data, end))
        *begins, duration = notes[:, note : note + noted]
        note += noted
        by_kind = []
        for of_kind in kinds:
            by_kind.append(Messages(*others[:, other : other + of_kind]) if of_kind else _NOTHING)
            other += of_kind
        columns.append(PartMessages(Messages(*begins), Notes(begins[1], duration, *begins[3:]), *by_kind))
    return Strict(file, columns, sum(row[8] for row in numbers), [row[9] for row in numbers])


def _track(events: list[list[int]], data: bytes, end: int) -> MidiTrack:
    """A track of the events with payloads alone: (tick, status, kind, first byte, length)."""
    ticks = array("q", [event[0] for event in events])
    messages = array("I", [status << 16 | kind << 8 for _, status, kind, _, _ in events])
    payloads = {index: data[first : first + length] for index, (*_, first, length) in enumerate(events)}
    return MidiTrack(ticks, messages, payloads, end)
