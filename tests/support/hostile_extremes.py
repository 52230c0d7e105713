"""MIDI files that are odd but sound, that must be refused, and that are as large as the reader allows."""

import base64
import gzip
import struct
from dataclasses import replace

from support.hostile_pieces import DUO, PAIR, PAIR_KEYS, PIECES, TEMPO, Case, noise, off, on, song
from support.midi_files import EOT, chunk, header, meta, number

# ---- odd, but sound --------------------------------------------------------------------------------------------------


def odd() -> list[Case]:
    """Files that need no repair, however strange: the notes must be right, and nothing may be called mended."""
    name_of_latin_1 = meta(3, "Flöte".encode("latin-1"))
    foreign = b"XFIH" + struct.pack(">I", 3) + b"abc"
    overlap = on(0, 60) + on(24, 60) + off(24, 60) + off(48, 60)
    meters = meta(0x58, b"\4\2\x18\x08") + PAIR + meta(0x58, b"\7\3\x18\x08") + on(0, 64) + off(96, 64)
    many = b"".join(meta(0x51, (600_000 + i).to_bytes(3, "big"), 1) for i in range(2000))
    tempos = ((0, TEMPO), *((i + 1, 600_000 + i) for i in range(2000)))
    rest = DUO.data[14:]
    longer = DUO.data[:4] + struct.pack(">IHHH", 10, 1, 3, 480) + b"more" + rest
    return [
        *(Case(f"{name} as it is", piece.data, piece.keys) for name, piece in PIECES.items()),
        song(meters, name="a meter change inside a bar", says="", surely=[*PAIR_KEYS, (192, 96, 64)]),
        Case("no tempo", header(1) + chunk(PAIR + EOT), PAIR_KEYS, tempos=()),
        Case("no notes", header(1) + chunk(EOT), tempos=()),
        Case("forty tracks, all but one empty", header(40) + chunk(EOT) * 39 + chunk(PAIR + EOT), PAIR_KEYS, tempos=()),
        song(overlap, name="overlapping notes of one pitch", says="", surely=[(0, 48, 60), (24, 72, 60)]),
        song(name_of_latin_1 + PAIR, name="a name in Latin-1", says="", surely=PAIR_KEYS),
        song(b"\0\xf0\x83\x00" + b"\1" * 383 + b"\xf7" + PAIR, name="system-exclusive", says="", surely=PAIR_KEYS),
        song(b"\x80\x80\x80\x00" + PAIR[1:], name="a delta of four bytes", says="", surely=PAIR_KEYS),
        replace(song(many, PAIR, name="2,000 tempos", says="", surely=PAIR_KEYS), tempos=tempos),
        song(PAIR + off(10, 99), name="an end of no note", says="", surely=PAIR_KEYS),
        Case("a foreign chunk", DUO.data[:14] + foreign + rest + foreign, DUO.keys),
        Case("a longer header", longer, DUO.keys),
        Case("a zero between tracks", DUO.data[: DUO.chunks[2]] + b"\0" + DUO.data[DUO.chunks[2] :], DUO.keys),
    ]


# ---- to be refused ---------------------------------------------------------------------------------------------------


def refused() -> list[Case]:
    """No music, nothing left of it, or more than anyone needs; `says` stands in the refusal."""
    plain = DUO.data
    far = number((1 << 28) - 1) + b"\x90\x3c\x40"
    stripped = bytes(byte & 0x7F for byte in plain)
    note = b"\0\x90\x3c\x40\1\x3c\0"
    programs = b"".join(bytes([0, 0xC0 | c, p, 0, 0x90 | c, 60, 64, 1, 60, 0]) for c in range(16) for p in range(128))
    controls = b"\0\xb0\x07\x40" + b"\0\x07\x40" * 8000
    shared = header(2) + chunk(controls + EOT) + chunk(programs[: 10 * 200] + EOT)
    cases: dict[str, tuple[bytes, str]] = {
        "nothing": (b"", "empty"),
        "a text": (b"Dear diary, today I composed.\n", "plain text"),
        "gzip": (gzip.compress(plain, mtime=0), "gunzip"),
        "bzip2": (b"BZh91AY&SY" + noise(4, 90), "bunzip2"),
        "PNG": (b"\x89PNG\r\n\x1a\n" + noise(5, 90), "PNG"),
        "JPEG": (b"\xff\xd8\xff\xe0" + noise(6, 90), "JPEG"),
        "PDF": (b"%PDF-1.7\n" + noise(7, 90), "PDF"),
        "MP3": (b"ID3\4" + noise(8, 90), "MP3"),
        "WAV": (b"RIFF\x24\0\0\0WAVEfmt " + noise(9, 30), "WAV"),
        "a web page": (b"<!DOCTYPE html><p>404", "web page"),
        "zeros": (bytes(5000), "zeros"),
        "noise": (noise(10, 5000), "no music file"),
        "a MIDI file as base64": (base64.b64encode(plain), "plain text"),
        "a MIDI file as hexadecimal": (plain.hex().encode(), "plain text"),
        "seven bits of each byte": (stripped, ""),
        "a mark alone": (b"MThd", "header"),
        "half a header alone": (plain[:11], "header"),
        "a header alone": (plain[:14], "without a track"),
        "a track's mark alone": (plain[:18], "no note"),
        "cut before its first note": (plain[: DUO.chunks[1] + 9], "no note"),
        "a track of noise": (header(1) + chunk(noise(11, 2000)), "no note"),
        "a note beyond 2**31 ticks": (header(1) + chunk(far * 9 + EOT), "tick"),
        "37 bytes with a far-away note": (
            header(1, division=1) + chunk(number((1 << 28) - 1) + note[1:] + EOT),
            "tick",
        ),
        "a far-away end": (header(1) + chunk(PAIR + (number((1 << 28) - 1) + b"\xff\1\0") * 9 + EOT), "tick"),
        "2,000 tracks": (header(2000) + chunk(note + EOT) * 2000, "tracks"),
        "65,535 tracks": (header(65535) + chunk(note + EOT) * 65535, "tracks"),
        "2,048 channels and programs": (header(1) + chunk(programs + EOT), "tracks"),
        "controls that 200 tracks share": (shared, "events"),
        "a million notes": (header(1) + chunk(note * 1_000_000 + EOT), "events"),
        "a million program changes": (header(1) + chunk(b"\0\xc0\1" * 1_000_000 + note + EOT), "events"),
        "two million texts": (header(1) + chunk(b"\0\xff\1\0" * 2_000_000 + note + EOT), "events"),
        "400,000 tempos": (header(1) + chunk(meta(0x51, b"\7\7\7", 1) * 400_000 + note + EOT), "events"),
        "400,000 markers": (header(1) + chunk(meta(6, b"ab", 1) * 400_000 + note + EOT), "events"),
        "400,000 lyrics": (header(1) + chunk(meta(5, b"ab", 1) * 400_000 + note + EOT), "events"),
        "400,000 stray messages": (header(1) + chunk(b"\0\xf8" * 400_000 + note + EOT), "events"),
        "20 MB of notes": (header(1) + chunk(note * 3_000_000 + EOT), "bytes"),
    }
    return [Case(name, data, says=says) for name, (data, says) in cases.items()]


def heavy() -> list[Case]:
    """As much as the reader's limits allow, in the shapes that cost most; to be read or refused in bounded time."""
    note = b"\0\x90\x3c\x40\1\x3c\0"
    crossing = b"".join(b"\0\x90" + bytes([p, 64]) for p in range(128)) * 1800
    bodies = {
        "240,000 notes": note * 240_000,
        "230,000 notes that never end": crossing,
        "240,000 notes with a status each": (on(1, 60) + off(1, 60)) * 240_000,
        "90,000 tempos": meta(0x51, b"\7\7\7", 1) * 90_000 + note,
        "90,000 meters": meta(0x58, b"\4\2\x18\x08", 1) * 90_000 + note,
        "90,000 markers": meta(6, b"ab", 1) * 90_000 + note,
        "90,000 escape sequences": meta(1, b"\x1b[31m\x1b]0;", 1) * 90_000 + note,
        "8 MB of one escape sequence": meta(3, b"\x1b[" * 4_000_000) + note,
        "8 MB of unfinished strings": meta(3, b"\x1b]" * 4_000_000) + note,
        "100 texts of 70,000 letters": meta(1, b"\x1b]a" * 23_000) * 100 + note,
        "a word of 60,000 letters beside a strange one": meta(1, b"\xe9 " + b"a" * 60_000) + note,
        "noise between marks": b"MTrk\0\0\0\1" * 1000 + note,
    }
    cases = [Case(name, header(1) + chunk(body + EOT), None) for name, body in bodies.items()]
    marks = header(1) + b"MTrk" * 2_000_000
    zeros = header(1) + chunk(note + bytes(8_000_000))
    chunks = header(1) + b"abcd\0\0\0\0" * 900_000 + chunk(note + EOT)
    nested = header(1) + b"".join(b"MTrk" + struct.pack(">I", 8_000_000 - 8 * i) for i in range(1_000_000))
    return [*cases, Case("8 MB of marks", marks, None), Case("8 MB of zeros", zeros, None),
            Case("empty chunks", chunks, None), Case("nested chunks", nested, None)]  # fmt: skip
