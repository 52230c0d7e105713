"""Any music file to a score: MIDI, MusicXML, ABC or kern, told apart by what is in it rather than by its name.

To add a kind: a module with a reader, and a line in `KINDS`.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from symusic.core import ScoreTick as Score

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.abc import first_tune
from melody.formats.kern import looks_like_kern, parse_kern
from melody.formats.midi.reader import Reading, parse
from melody.formats.musicxml import parse_musicxml
from melody.storage.files import read_bytes

MAX_FILE_BYTES = 64 << 20  # of any kind; MIDI has a limit of its own
_XML_SUFFIXES = (".musicxml", ".xml", ".mxl")
_MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")

# What else people hand in, by how it begins, and what to do about it.
_MISTAKES = (
    (b"\x89PNG", "a PNG picture", "export the music itself from the program that made the picture"),
    (b"\xff\xd8\xff", "a JPEG picture", "export the music itself from the program that made the picture"),
    (b"%PDF", "a PDF page", "export MusicXML or MIDI from the notation program"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first: gunzip FILE"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it first: xz -d FILE"),
    (b"BZh", "compressed by bzip2", "unpack it first: bunzip2 FILE"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"ID3", "an MP3 recording", "melody reads notes, not sound; export MIDI"),
    (b"\xff\xfb", "an MP3 recording", "melody reads notes, not sound; export MIDI"),
    (b"fLaC", "a FLAC recording", "melody reads notes, not sound; export MIDI"),
    (b"OggS", "an Ogg recording", "melody reads notes, not sound; export MIDI"),
    (b"<!DOCTYPE html", "a web page", "download the music file itself"),
    (b"<html", "a web page", "download the music file itself"),
)


def read(source: str | os.PathLike[str] | bytes) -> Score:
    """Return the score of a music file, or of its bytes. Raises `UnreadableFile` or `LimitExceeded`."""
    return read_file(source).score


def read_file(source: str | os.PathLike[str] | bytes, name: str = "<bytes>") -> Reading:
    """Return a music file's score with its title, repairs and remarks, from a path or from the file's bytes.

    `name` stands in messages about bytes, and its suffix helps where they do not tell their kind. Raises
    `UnreadableFile` for what is no music that melody reads, naming what it seems to be, and `LimitExceeded`.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        if len(data) > MAX_FILE_BYTES:
            raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads up to {MAX_FILE_BYTES:,}; cut it")
    else:
        name, data = os.fspath(source), read_bytes(source, MAX_FILE_BYTES)
    if not data:
        raise UnreadableFile(f"{name}: is empty; export or download it again")
    for kind in KINDS:
        if kind.fits(data, Path(name).suffix.lower()):
            return kind.read(data, name)
    known = ", ".join(kind.name for kind in KINDS[:-1])
    raise UnreadableFile(f"{name}: {_guess(data)}; melody reads {known} and {KINDS[-1].name}")


def _is_midi(data: bytes, suffix: str) -> bool:
    if data[:4] in (b"MThd", b"MTrk") or (data[:4] == b"RIFF" and data[8:12] == b"RMID"):
        return True
    return suffix in _MIDI_SUFFIXES and b"MTrk" in data and not any(data.startswith(m[0]) for m in _MISTAKES)


def _is_musicxml(data: bytes, suffix: str) -> bool:
    if data.startswith(b"PK"):
        return suffix == ".mxl" or b"META-INF/container.xml" in data[:512]
    head = data[:4096].replace(b"\0", b"")  # UTF-16 looks like ASCII then
    return b"<score-partwise" in head or b"<score-timewise" in head or (suffix in _XML_SUFFIXES and b"<?xml" in head)


def _is_kern(data: bytes, suffix: str) -> bool:
    return suffix == ".krn" or looks_like_kern(data)


def _is_abc(data: bytes, suffix: str) -> bool:
    return suffix == ".abc" or re.match(rb"(?:\xef\xbb\xbf)?(?:%.*\n|\s)*X:\s*\d", data) is not None


def _guess(data: bytes) -> str:
    for beginning, what, remedy in _MISTAKES:
        if data[: len(beginning)].lower() == beginning.lower():
            return f"looks like {what}; {remedy}"
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "looks like a WAV recording; melody reads notes, not sound; export MIDI"
    if not data.strip(b"\0"):
        return "holds nothing but zeros; the copy or download failed, fetch it again"
    try:
        data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < 4090:  # not a letter cut in two at the end
            return "is no music file that melody knows"
    return "looks like plain text; an ABC tune starts with a line X:1"


class Kind(NamedTuple):
    """A kind of music file."""

    name: str  # as people know it, with its suffixes
    fits: Callable[[bytes, str], bool]  # by the file's bytes and its suffix
    read: Callable[[bytes, str], Reading]  # from the bytes; the file's name is for messages


KINDS = (  # the first that fits reads the file
    Kind("MIDI (.mid, .midi, .kar, .rmi)", _is_midi, parse),
    Kind("MusicXML (.musicxml, .xml, .mxl)", _is_musicxml, parse_musicxml),
    Kind("kern (.krn)", _is_kern, parse_kern),
    Kind("ABC (.abc)", _is_abc, first_tune),
)
