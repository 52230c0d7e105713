"""Bytes to the raw events of a MIDI file: the chunks of a Standard MIDI File, found whatever their state.

A header that is damaged, a wrapper, wrong lengths, lost marks, and bytes that are no music are mended or passed over,
and noted. The events of each track are read by `track`.
"""

import re
from typing import Literal

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.midi.track import (
    END_OF_TRACK,
    ESCAPE,
    FALLBACK_DIVISION,
    SYSEX,
    TRACK_MARK,
    Limits,
    MidiFile,
    MidiTrack,
    Repairs,
    is_sound,
    read_events,
)

__all__ = ["END_OF_TRACK", "ESCAPE", "SYSEX", "Limits", "MidiFile", "MidiTrack", "Repairs", "scan"]

_HEADER_MARK = b"MThd"
_ANY_MARK = re.compile(rb"MT(?:rk|hd)")
_OTHER_BYTE_ORDER = b"\x06\0\0\0"  # a header's length, the lowest byte first


def scan(data: bytes, name: str, limits: Limits) -> MidiFile:
    """Read all events of a file. Raises `UnreadableFile` without a track chunk, `LimitExceeded` past `limits`."""
    if len(data) > limits.file_bytes:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads MIDI files up to {limits.file_bytes:,} bytes")
    file = MidiFile(name, limits)
    data = _undo_text_mode(data, file)
    position = _read_header(data, file)
    while (chunk := _next_track(data, position, file)) is not None:
        position = _read_track(data, chunk, file)
        _check_limits(file)
    if not file.tracks:
        raise UnreadableFile(f"{name}: a MIDI header without a track; the file is cut off or damaged, export it again")
    if file.announced is not None and file.announced != len(file.tracks):
        sentence = f"the header announces {file.announced:,} tracks; read the {len(file.tracks):,} that are there"
        file.repairs.add(sentence, "header")
    return file


def _check_limits(file: MidiFile) -> None:
    if len(file.tracks) > file.limits.tracks:
        raise LimitExceeded(
            f"{file.name}: over {file.limits.tracks:,} tracks, all that melody reads; leave the others out"
        )
    if file.tracks[-1].end > file.limits.ticks:
        raise LimitExceeded(
            f"{file.name}: track {len(file.tracks)} reaches tick {file.tracks[-1].end:,}; "
            f"melody reads up to {file.limits.ticks:,}; remove the event that lies far away"
        )


# ---- text mode -------------------------------------------------------------------------------------------------------


def _undo_text_mode(data: bytes, file: MidiFile) -> bytes:
    """Take out the returns that a transfer in text mode put before each line feed, where all chunks fit without."""
    if b"\r\n" not in data or data.count(b"\n") != data.count(b"\r\n") or _fits(data):
        return data
    plain = data.replace(b"\r\n", b"\n")
    if not _fits(plain):
        return data
    file.repairs.add("passed a transfer in text mode; took out a return before each line feed", "file")
    return plain


def _fits(data: bytes) -> bool:
    """Tell if the chunks follow each other from the file's first byte to its last."""
    position = 0
    while _is_chunk(data, position):
        position = _chunk_end(data, position)
    return position == len(data)


def _is_chunk(data: bytes, position: int) -> bool:
    """Tell if a chunk of any kind stands here: four letters or digits and a length that fits."""
    mark = data[position : position + 4]
    return len(mark) == 4 and mark.isalnum() and mark.isascii() and _chunk_end(data, position) <= len(data)


def _chunk_end(data: bytes, position: int) -> int:
    return position + 8 + int.from_bytes(data[position + 4 : position + 8], "big")


# ---- header ----------------------------------------------------------------------------------------------------------


def _read_header(data: bytes, file: MidiFile) -> int:
    """Fill in kind, division and the announced number of tracks; return the byte after the header."""
    header, first_track = data.find(_HEADER_MARK), data.find(TRACK_MARK)
    if header < 0 or (0 <= first_track < header):
        return _read_lost_header(data, file, first_track)
    if header:
        _note_wrapper(data, header, file)
    fields, stop = header + 8, header + 14
    if len(data) < stop:
        raise UnreadableFile(f"{file.name}: the file ends inside its MIDI header; export it again")
    place = f"byte {header + 4:,}"
    if data[header + 4 : fields] == _OTHER_BYTE_ORDER:
        _read_fields(data[fields:stop], file, "little")
        file.repairs.add("the header's numbers are in the wrong byte order; turned them round", place)
        return stop
    _read_fields(data[fields:stop], file)
    given = _chunk_end(data, header)
    if given >= stop and (data[given : given + 4] == TRACK_MARK or _is_chunk(data, given)):
        return given
    if data[stop : stop + 4] != TRACK_MARK or given != stop:
        file.repairs.add(f"the header's length is given as {given - fields:,}; went on at the next track", place)
    return stop


def _note_wrapper(data: bytes, header: int, file: MidiFile) -> None:
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        file.repairs.add("a RIFF wrapper around the MIDI file; unwrapped", "byte 0")
    else:
        file.repairs.add(f"{header:,} bytes before the MIDI header; left out", "byte 0")


def _read_lost_header(data: bytes, file: MidiFile, first_track: int) -> int:
    if first_track < 0:
        raise UnreadableFile(f"{file.name}: no MIDI file (it has neither a header nor a track)")
    if first_track >= 10 and data[first_track - 10 : first_track - 6] == b"\x00\x00\x00\x06":
        file.repairs.add("the header's mark MThd is damaged; read it all the same", "header")
        _read_fields(data[first_track - 6 : first_track], file)
    else:
        file.repairs.add(f"no header; took {FALLBACK_DIVISION} ticks a quarter", "header")
    return first_track


def _read_fields(fields: bytes, file: MidiFile, order: Literal["big", "little"] = "big") -> None:
    file.kind, file.announced, file.division = (int.from_bytes(fields[i : i + 2], order) for i in (0, 2, 4))


# ---- tracks ----------------------------------------------------------------------------------------------------------


def _next_track(data: bytes, position: int, file: MidiFile) -> int | None:
    """The byte at which the next track chunk starts, past foreign chunks (legal) and garbage (noted)."""
    while position < len(data):
        mark = data[position : position + 4]
        if mark == TRACK_MARK:
            return position
        if mark == _HEADER_MARK and _is_another_file(position, file):
            return None
        if _is_lost_track(data, position, file):
            return position
        if _is_chunk(data, position):
            file.count(0, payloads=1)  # a million empty ones would take as long as a million texts
            position = _chunk_end(data, position)
            continue
        found = _ANY_MARK.search(data, position + 1)
        _note_garbage(data, position, found.start() if found else None, file)
        if found is None:
            return None
        position = found.start()
    return None


def _is_another_file(position: int, file: MidiFile) -> bool:
    """Tell if a header that stands here begins a second file: all tracks of the first have been read."""
    another = bool(file.tracks) and len(file.tracks) >= (file.announced or 0)
    what = "a second MIDI file behind the first; left out" if another else "a second header; passed over"
    file.repairs.add(what, f"byte {position:,}")
    return another


def _is_lost_track(data: bytes, position: int, file: MidiFile) -> bool:
    """Tell if a chunk of another mark is a track: to its very end it holds events without a defect."""
    stop = _chunk_end(data, position)
    if stop > len(data) or not is_sound(data, position + 8, stop, file):
        return False
    mark = data[position : position + 4].decode("latin-1")
    file.repairs.add("a track's mark MTrk is damaged; read it all the same", f"{mark} at byte {position:,}")
    return True


def _note_garbage(data: bytes, position: int, stop: int | None, file: MidiFile) -> None:
    count = (len(data) if stop is None else stop) - position
    if count > 1 or data[position]:  # a single zero pads to an even length
        where = "after the last track" if stop is None else "between tracks" if file.tracks else "before the tracks"
        file.repairs.add(f"bytes {where} that are no music; left out", f"{count:,} from byte {position:,}")


def _read_track(data: bytes, chunk: int, file: MidiFile) -> int:
    """Read the chunk at byte `chunk`; return the byte at which to look for the next."""
    start, declared = chunk + 8, _chunk_end(data, chunk)
    file.tracks.append(MidiTrack())
    place = f"track {len(file.tracks)}, byte {chunk + 4:,}"
    if declared == len(data) or data[declared : declared + 4] == TRACK_MARK or _is_chunk(data, declared):
        return _read_fitting(data, start, declared, place, file)
    position, ended = read_events(data, start, len(data), file, trusted=False)
    if ended and position == declared:
        return position
    following = data.find(TRACK_MARK, position)
    if declared > len(data) and following < 0 and not ended:
        file.repairs.add("the file is cut off inside a track; kept what is there", place)
    else:
        file.repairs.add("the chunk's length is wrong; read to the end-of-track event", place)
    if ended:
        return position
    return len(data) if following < 0 else following


def _read_fitting(data: bytes, start: int, declared: int, place: str, file: MidiFile) -> int:
    """Read a chunk at whose end another one, or the end of the file, stands."""
    position, ended = read_events(data, start, declared, file, trusted=True)
    if not ended or position == declared:
        return declared
    if data[position : position + 4] == TRACK_MARK:
        file.repairs.add("the chunk's length reaches over the next track; went on where this one ends", place)
        return position
    left = f"{declared - position:,} from byte {position:,}"
    file.repairs.add("bytes after an end-of-track event; left out", left)
    return declared
