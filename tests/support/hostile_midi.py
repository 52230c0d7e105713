"""Damaged, odd and malicious MIDI files by name, each with what a right reading gives; made from three small pieces.

A damaged file comes with the notes that a reader must still find (`surely`), those that it may find with whatever end
(`perhaps`: their note-off is lost), and a word of the sentence that must tell what was mended (`says`). Nothing here
uses melody: the expectations follow from how each file was made.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace

from support.hostile_pieces import (
    BAND,
    CONDUCTOR,
    DUO,
    PAIR,
    PAIR_KEYS,
    PIECES,
    SOLO,
    TEMPO,
    Case,
    Event,
    Piece,
    lay,
    line,
    noise,
    off,
    on,
    said,
    song,
)
from support.midi_files import EOT, header, meta, number

# ---- damaged, and mended ---------------------------------------------------------------------------------------------


def damaged() -> list[Case]:
    """Every file that a reader should mend, and say so."""
    makers = (
        _cut, _lengths, _headers, _marks, _wrappings, _repeated, _divisions, _ends, _numbers, _zeros, _notes, _values,
        _texts, _strays, _translations, _several,
    )  # fmt: skip
    return [case for maker in makers for case in maker()]


def _whole(name: str, data: bytes, says: str, piece: Piece, **changes: object) -> Case:
    return replace(Case(name, data, piece.keys, says=says), **changes)


def _kept_before(name: str, data: bytes, says: str, piece: Piece, byte: int, track: int | None = None) -> Case:
    """All notes must stand that end before `byte`, or in a track other than `track`."""
    surely = [n.key for n in piece.notes if n.ended <= byte or (track is not None and n.track != track)]
    rest = [n.key for n in piece.notes if n.ended > byte and (track is None or n.track == track)]
    began = [key for key in rest if any(n.key == key and n.began <= byte for n in piece.notes)]
    return Case(name, data, tuple(surely), tuple(began), says, tempos=None if track == 0 else ((0, TEMPO),))


def _cut(per_piece: int = 13) -> Iterator[Case]:
    for name, piece in PIECES.items():
        first = piece.notes[0].ended
        for index in range(per_piece):
            byte = first + (len(piece.data) - 1 - first) * index // (per_piece - 1)
            yield _kept_before(f"{name} cut at byte {byte}", piece.data[:byte], "", piece, byte)


def _lengths() -> Iterator[Case]:
    for name, piece in PIECES.items():
        for track in sorted({0, len(piece.chunks) - 1}):
            start, true = piece.chunks[track] + 4, len(piece.body(track))
            for length in (0, 1, true // 2, true - 1, true + 1, true + 8, 10 * true, 0x7FFFFFFF, 0xFFFFFFFF):
                data = piece.data[:start] + struct.pack(">I", length) + piece.data[start + 4 :]
                yield _whole(f"{name}, track {track + 1} of {true} bytes called {length}", data, "length", piece)
    everything = struct.pack(">I", len(DUO.data) - DUO.chunks[0] - 8)
    data = DUO.data[: DUO.chunks[0] + 4] + everything + DUO.data[DUO.chunks[0] + 8 :]
    yield _whole("a first track that holds all others", data, "next track", DUO)
    data = DUO.data
    for start in DUO.chunks:
        data = data[: start + 4] + b"\0\0\0\0" + data[start + 8 :]
    yield _whole("all tracks of length 0", data, "length", DUO)
    trap = meta(1, b"see MTrk\0\0\0\2 below") + BAND.body(1)
    data = header(1) + b"MTrk" + struct.pack(">I", 5) + trap
    keys = tuple(n.key for n in BAND.notes if n.track == 1)
    yield Case("a wrong length, and a text that speaks of MTrk", data, keys, says="length", tempos=None)


def _headers() -> Iterator[Case]:
    data, rest = DUO.data, DUO.data[14:]
    for announced in (0, 1, 2, 4, 5, 32767, 65535):
        yield _whole(f"{announced} tracks announced", header(announced) + rest, "announces", DUO)
    for kind in (2, 3, 255, 65535):
        yield _whole(f"type {kind}", header(3, kind) + rest, f"type {kind}", DUO)
    yield _whole("type 0 with three tracks", header(3, 0) + rest, "type 0", DUO)
    for length in (0, 3, 5, 7, 9, 4096, 0xFFFFFFFF):
        damaged_header = data[:4] + struct.pack(">I", length) + data[8:]
        yield _whole(f"header length {length}", damaged_header, "header's length", DUO)
    for mark in (b"MThD", b"mthd", b"\0\0\0\0", b"RThd"):
        yield _whole(f"header mark {mark!r}", mark + data[4:], "MThd", DUO)
    yield _whole("no header", rest, "no header", DUO)
    yield _whole("half a header", data[7:], "", DUO)
    yield _whole("two bytes more in the header than it says", data[:14] + b"\0\0" + rest, "header's length", DUO)
    little = b"MThd" + struct.pack("<IHHH", 6, 1, 3, 480)
    yield _whole("a header of the wrong byte order", little + rest, "byte order", DUO)
    everywhere = little
    for track in range(3):
        body = DUO.body(track)
        everywhere += b"MTrk" + struct.pack("<I", len(body)) + body
    yield _whole("every number of the wrong byte order", everywhere, "byte order", DUO)


def _marks() -> Iterator[Case]:
    for mark in (b"MTrK", b"Mtrk", b"mtrk", b"NTrk", b"\0\0\0\0", b"M\xd4rk"):
        for track in (1, 2):
            start = DUO.chunks[track]
            data = DUO.data[:start] + mark + DUO.data[start + 4 :]
            yield _whole(f"track {track + 1} marked {mark!r}", data, "mark", DUO)


def _wrappings() -> Iterator[Case]:
    data = DUO.data
    for name, size in (("right", len(data)), ("zero", 0), ("giant", 0xFFFFFFFF)):
        inner = b"RMIDdata" + struct.pack("<I", size) + data
        yield _whole(f"RIFF of {name} size", b"RIFF" + struct.pack("<I", size) + inner, "RIFF", DUO)
    info = b"LIST" + struct.pack("<I", 12) + b"INFOINAM\0\0\0\0"
    inner = b"RMIDdata" + struct.pack("<I", len(data)) + data + info
    yield _whole("RIFF with a list behind", b"RIFF" + struct.pack("<I", len(inner)) + inner, "RIFF", DUO)
    before = {
        "a byte": b"\0", "a byte order mark": b"\xef\xbb\xbf", "a line": b"Here it comes:\r\n", "zeros": bytes(128),
        "an answer of a server": b"HTTP/1.1 200 OK\r\nContent-Type: audio/midi\r\n\r\n", "noise": noise(1, 300),
    }  # fmt: skip
    for name, junk in before.items():
        yield _whole(f"{name} before the file", junk + data, "before the MIDI header", DUO)
    after = {
        "zeros": bytes(64), "a line": b"the end\r\n", "an escape sequence": b"\x1b[2J", "noise": noise(2, 300),
        "a tag": b"TAG" + b"Air".ljust(125, b"\0"), "many zeros": bytes(100_000),
    }  # fmt: skip
    for name, junk in after.items():
        yield _whole(f"{name} after the file", data + junk, "after the last track", DUO)
    for name, junk in {"two zeros": b"\0\0", "a line": b"\r\n--\r\n", "noise": noise(3, 50)}.items():
        between = data[: DUO.chunks[2]] + junk + data[DUO.chunks[2] :]
        yield _whole(f"{name} between tracks", between, "between tracks", DUO)
        yield _whole(f"{name} before the first track", data[:14] + junk + data[14:], "", DUO)


def _repeated() -> Iterator[Case]:
    yield _whole("a second file behind", DUO.data + BAND.data, "second", DUO)
    yield _whole("the same file twice", DUO.data + DUO.data, "second", DUO)
    yield _whole("noise and a second file behind", DUO.data + b"\xfe\xfd" + SOLO.data, "second", DUO)


def _divisions() -> Iterator[Case]:
    rest = DUO.data[14:]
    yield _whole("division 0", header(3, 1, 0) + rest, "division 0", DUO)
    for frames, ticks, nominal in ((24, 4, 24), (25, 40, 25), (29, 100, 30 / 1.001), (30, 80, 30), (30, 2, 30)):
        data = header(3, 1, (256 - frames) << 8 | ticks) + rest
        rate = 1 / (nominal * ticks)
        yield _whole(f"time code {frames} x {ticks}", data, "time code", DUO, tempos=None, seconds_per_tick=rate)
    yield _whole("time code without ticks", header(3, 1, 0xE700) + rest, "time code", DUO, tempos=None)


def _ends() -> Iterator[Case]:
    for name, piece in PIECES.items():
        last = len(piece.chunks) - 1
        body = piece.body(last)[:-4]
        data = piece.data[: piece.chunks[last]] + b"MTrk" + struct.pack(">I", len(body)) + body
        yield _whole(f"{name} without the last end-of-track", data, "end-of-track", piece)
        yield _whole(f"{name} without it, and its length kept", piece.data[:-4], "", piece)
    data = header(3)
    for track in range(3):
        body = DUO.body(track)[:-4]
        data += b"MTrk" + struct.pack(">I", len(body)) + body
    yield _whole("no end-of-track at all", data, "end-of-track", DUO)
    body = SOLO.body(0)
    half = SOLO.notes[11].ended - SOLO.chunks[0] - 8
    early = body[:half] + EOT + body[half:]
    data = header(1, 0) + b"MTrk" + struct.pack(">I", len(early)) + early
    yield _whole("an end-of-track in the middle", data, "end-of-track", SOLO)
    twice = body + EOT + EOT
    data = header(1, 0) + b"MTrk" + struct.pack(">I", len(twice)) + twice
    yield _whole("three end-of-tracks", data, "end-of-track", SOLO)
    data = SOLO.data[:-3] + b"\xff\x2f\x7f"
    yield _whole("an end-of-track with a length", data, "", SOLO)


def _inserted(piece: Piece, track: int, note: int, junk: bytes) -> tuple[bytes, int]:
    """The file with bytes put in after a note's end, the chunk's length adapted; and where."""
    at = piece.notes[note].ended
    start = piece.chunks[track]
    length = struct.pack(">I", len(piece.body(track)) + len(junk))
    data = piece.data[: start + 4] + length + piece.data[start + 8 : at] + junk + piece.data[at:]
    return data, at


def _numbers() -> Iterator[Case]:
    junks = {
        "a delta of five bytes": (b"\x81\x80\x80\x80\x00\x90\x10\x10", "variable-length"),
        "a delta of nine bytes": (b"\xff" * 9 + b"\x7f", "variable-length"),
        "a delta without end": (b"\xff" * 300, "variable-length"),
        "a text of 256 MB": (b"\x00\xff\x01\xff\xff\xff\x7f", "longer than"),
        "a text length of five bytes": (b"\x00\xff\x01\x90\x80\x80\x80\x00", "variable-length"),
        "a system-exclusive event longer than all": (b"\x00\xf0\xff\x7f\x7e", "longer than"),
        "an escape longer than all": (b"\x00\xf7\xff\xff\x7f", "longer than"),
    }
    for name, (junk, says) in junks.items():
        for where, piece, track, note in (("duo", DUO, 1, 5), ("band", BAND, 2, 15)):
            data, at = _inserted(piece, track, note, junk)
            yield _kept_before(f"{where} with {name}", data, says, piece, at, track)
    data, _ = _inserted(DUO, 1, 4, b"\x80\x80\x80\x80\x00\xff\x01\x00")
    yield _whole("a delta of five bytes that is zero", data, "", DUO)


def _zeros() -> Iterator[Case]:
    for name, piece in PIECES.items():
        for share in (0.4, 0.8):
            byte = piece.notes[int(len(piece.notes) * share)].ended
            data = piece.data[:byte] + bytes(len(piece.data) - byte)
            yield _kept_before(f"{name} zero from byte {byte}", data, "zeros", piece, byte)
            yield _kept_before(f"{name} zero from byte {byte}, to 4 kB", data.ljust(4096, b"\0"), "zeros", piece, byte)
    byte = DUO.notes[5].ended
    data = DUO.data[:byte] + bytes(40) + DUO.data[byte + 40 :]
    yield _kept_before("forty bytes of a track zero", data, "zeros", DUO, byte, 1)


def _notes() -> Iterator[Case]:
    sound, end = PAIR_KEYS, "without an end"
    yield song(PAIR + on(0, 64), name="a last note without end", says=end, surely=sound, perhaps=[(192, 0, 64)])
    yield song(on(0, 70) + PAIR, name="a first note without end", says=end, surely=sound, perhaps=[(0, 0, 70)])
    body = on(0, 60) + on(96, 60) + off(96, 60)
    yield song(body, name="a note struck again without end", says=end, surely=[(0, 96, 60), (96, 96, 60)])
    body = b"".join(on(0, 60) + on(96, 62) + off(48, 62) + number(48) + b"\xff\1\0" for _ in range(4))
    keys = [(192 * i, 192, 60) for i in range(3)] + [(192 * i + 96, 48, 62) for i in range(4)]
    yield song(body, name="a pitch that never ends", says=end, surely=keys, perhaps=[(576, 0, 60)])
    body = b"".join(on(96, 36 + i) for i in range(8))
    yield song(body, name="note-ons alone", says=end, surely=[], perhaps=[(96 * (i + 1), 0, 36 + i) for i in range(8)])
    chords = [(0, 0, 60 + i) for i in range(0, 9, 2)]
    body = b"".join(on(0, 60 + i) for i in range(0, 9, 2)) + number(960) + b"\xff\1\0"
    yield song(body, name="a chord without end", says=end, surely=[], perhaps=chords)
    body = on(0, 60) + b"\x60\x81\x3c\x00" + on(0, 62) + off(96, 62)
    yield song(body, name="an end on another channel", says=end, surely=[(96, 96, 62)], perhaps=[(0, 0, 60)])
    for count in (1, 3):
        body = PAIR + b"".join(on(0, 70 + i) + off(0, 70 + i) for i in range(count)) + PAIR
        keys = [*sound, *((o + 192, d, p) for o, d, p in sound)]
        ghosts = [(192, 1, 70 + i) for i in range(count)]
        yield song(body, name=f"{count} notes without length", says="length", surely=keys + ghosts)
    body = b"".join(on(48, 60 + i) + off(0, 60 + i) for i in range(6))
    keys = [(48 * (i + 1), 1, 60 + i) for i in range(6)]
    yield song(body, name="no note has a length", says="length", surely=keys)


def _values() -> Iterator[Case]:
    values = {
        "tempo 0": (0x51, b"\0\0\0", "tempos"), "a tempo of no bytes": (0x51, b"", "tempos"),
        "a tempo of one byte": (0x51, b"\7", "tempos"), "a tempo of two bytes": (0x51, b"\7\xa1", "tempos"),
        "meter 0/4": (0x58, b"\0\2\x18\x08", "meters"), "meter 0/1": (0x58, b"\0\0\0\0", "meters"),
        "a meter of 2**200": (0x58, b"\4\xc8\x18\x08", "meters"), "a meter of one byte": (0x58, b"\4", "meters"),
        "a meter of no bytes": (0x58, b"", "meters"), "a key of 99 sharps": (0x59, b"\x63\0", "keys"),
        "a key of 100 flats": (0x59, b"\x9c\1", "keys"), "a key of mode 7": (0x59, b"\0\7", "keys"),
        "a key of one byte": (0x59, b"\1", "keys"),
    }  # fmt: skip
    for name, (kind, payload, says) in values.items():
        data, _ = _inserted(DUO, 1, 3, meta(kind, payload))
        yield _whole(name, data, says, DUO)


HOSTILE_NAMES = {
    "colours": b"\x1b[31mred\x1b[0m",
    "a window title": b"\x1b]0;owned\x07",
    "a cleared screen": b"\x1b[2J\x1b[H",
    "a bell": b"ding\x07",
    "backspaces": b"safe\x08\x08\x08\x08evil",
    "C1 controls": b"a\xc2\x9b31mb",
    "reversed text": "abc\u202egpj.exe".encode(),
    "a line break": b"one\r\nTwo: 2",
    "a zero inside": b"a\0b",
    "an endless string": b"\x1bP" + b"q" * 200,
    "zero-width letters": "a\u200bb\u2060c".encode(),
}


def _texts() -> Iterator[Case]:
    for what, name in HOSTILE_NAMES.items():
        yield song(meta(3, name) + PAIR, name=f"a track name with {what}", says="control", surely=PAIR_KEYS)
    lyric = meta(5, b"la\x1b[31m")
    yield song(lyric + PAIR, name="a lyric with colours", says="control", surely=PAIR_KEYS)
    yield song(meta(6, b"\x07\x07") + PAIR, name="a marker of bells", says="control", surely=PAIR_KEYS)
    yield song(meta(3, b"x" * 500_000) + PAIR, name="a name of 500,000 letters", says="cut", surely=PAIR_KEYS)
    yield song(meta(1, b"y" * 300_000) + PAIR, name="a text of 300,000 letters", says="cut", surely=PAIR_KEYS)


def _strays() -> Iterator[Case]:
    for status, data in (
        (0xF1, b"\1"),
        (0xF2, b"\1\2"),
        (0xF3, b"\1"),
        (0xF4, b""),
        (0xF6, b""),
        (0xF8, b""),
        (0xFE, b""),
    ):
        message = b"\0" + bytes([status]) + data
        yield song(message + PAIR, name=f"a system message {status:#x}", says="system message", surely=PAIR_KEYS)
    loud = PAIR.replace(b"\x3c\x50", b"\x3c\xd0")
    yield song(loud, name="a velocity above 127", says="above 127", surely=PAIR_KEYS)
    high = PAIR.replace(b"\x90\x3c", b"\x90\xbc").replace(b"\x80\x3c", b"\x80\xbc")
    yield song(high, name="a pitch above 127", says="above 127", surely=PAIR_KEYS)
    body = on(0, 60) + meta(1, b"x") + b"\x60\x3c\0" + on(0, 62) + off(96, 62)
    yield song(body, name="running status across a text", says="running status", surely=PAIR_KEYS)
    body = on(0, 60) + b"\0\xf0\2\x7e\xf7" + b"\x60\x3c\0" + on(0, 62) + off(96, 62)
    yield song(body, name="running status across a system-exclusive event", says="running status", surely=PAIR_KEYS)
    yield song(
        b"\0\x3c\x40" + PAIR,
        PAIR,
        name="a track that begins without status",
        says="status",
        surely=PAIR_KEYS,
        perhaps=PAIR_KEYS,
    )


def _translations() -> Iterator[Case]:
    """Files that passed a transfer in text mode, which put a return before each line feed."""
    for seed in range(4):
        events, keys = line(10 + seed, 0, 12, 60)
        events = [Event(10 * round(e.tick / 60), e.message, e.note, e.begins) for e in events]
        keys = [(10 * round(o / 60), 10 * round((o + d) / 60) - 10 * round(o / 60), p) for o, d, p in keys]
        piece = lay([(CONDUCTOR, []), (said((3, b"\nlines\n"), (1, b"a\nb")) + events, keys)], 1)
        yield _whole(f"text mode, piece {seed}", piece.data.replace(b"\n", b"\r\n"), "text mode", piece)


def _several() -> Iterator[Case]:
    """More than one defect at once."""
    data, rest = DUO.data, DUO.data[14:]
    riff = b"RIFF" + struct.pack("<I", 4096) + b"RMIDdata" + struct.pack("<I", 4096)
    for note in (3, 12, 18, 24):
        byte = DUO.notes[note].ended + 1
        yield _kept_before(f"RIFF, cut after note {note + 1}", riff + data[:byte], "RIFF", DUO, byte)
        cut = header(65535, 2) + rest[: byte - 14]
        yield _kept_before(f"type 2, 65,535 tracks announced, cut after note {note + 1}", cut, "announces", DUO, byte)
        yield _kept_before(f"no header, cut after note {note + 1}", rest[: byte - 14], "no header", DUO, byte)
    bare = header(3)
    for track in range(3):
        bare += b"MTrk\0\0\0\0" + DUO.body(track)[:-4]
    yield _whole("no end-of-track, and all lengths 0", bare, "end-of-track", DUO)
    yield _whole("noise before, noise behind", noise(20, 99) + data + noise(21, 99), "before the MIDI header", DUO)
    yield _whole("noise between tracks, 7 announced", header(7) + rest.replace(b"MTrk", b"\xfeMTrk"), "announces", DUO)
    yield _whole("no header, all lengths 0", bare[14:], "no header", DUO)
