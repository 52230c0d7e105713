"""Any music file to a score: MIDI, MusicXML, ABC, kern or sound, told apart by what is in it rather than by its name.

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
from melody.formats.sensed import read_picture, read_recording
from melody.senses.recording import is_recording
from melody.senses.sensed import Listening
from melody.storage.files import read_bytes

MAX_FILE_BYTES = 64 << 20  # of any kind of notes; MIDI has a limit of its own
MAX_RECORDING_BYTES = 128 << 20
_XML_SUFFIXES = (".musicxml", ".xml", ".mxl")
_SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff")
_MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")

# What else people hand in, by how it begins, and what to do about it.
_MISTAKES = (
    (b"%PDF", "a PDF page", "export MusicXML or MIDI from the notation program, or the page as PNG"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it first: gunzip FILE"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it first: xz -d FILE"),
    (b"BZh", "compressed by bzip2", "unpack it first: bunzip2 FILE"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"<!DOCTYPE html", "a web page", "download the music file itself"),
    (b"<html", "a web page", "download the music file itself"),
)


def read(source: str | os.PathLike[str] | bytes) -> Score:
    """Return the score of a music file, or of its bytes. Raises `UnreadableFile` or `LimitExceeded`."""
    return read_file(source).score


def read_file(source: str | os.PathLike[str] | bytes, name: str = "<bytes>", known: Listening = Listening()) -> Reading:
    """Return a music file's score with its title, repairs and remarks, from a path or from the file's bytes.

    `name` stands in messages about bytes, and its suffix helps where they do not tell their kind; `known` is for
    recordings. Raises `UnreadableFile` for what is no music that melody reads, naming what it seems to be, and
    `LimitExceeded`.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    else:
        name, data = os.fspath(source), read_bytes(source, byte_limit(source))
    if not data:
        raise UnreadableFile(f"{name}: is empty; export or download it again")
    for kind in KINDS:
        if kind.fits(data, Path(name).suffix.lower()):
            heard = kind.read is read_recording
            _refuse_more(data, name, MAX_RECORDING_BYTES if heard else MAX_FILE_BYTES)
            return read_recording(data, name, known) if heard else kind.read(data, name)
    _refuse_more(data, name, MAX_FILE_BYTES)
    kinds = ", ".join(kind.name for kind in KINDS[:-1])
    raise UnreadableFile(f"{name}: {_guess(data)}; melody reads {kinds} and {KINDS[-1].name}")


def byte_limit(path: str | os.PathLike[str]) -> int:
    """Return how many bytes of a file are read, by what its name says of it."""
    is_sound = Path(os.fspath(path)).suffix.lower() in _SOUND_SUFFIXES
    return MAX_RECORDING_BYTES if is_sound else MAX_FILE_BYTES


def _refuse_more(data: bytes, name: str, limit: int) -> None:
    if len(data) > limit:
        raise LimitExceeded(f"{name}: {len(data):,} bytes; melody reads up to {limit:,}; cut it")


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


def _is_recording(data: bytes, suffix: str) -> bool:
    return is_recording(data)


def _is_picture(data: bytes, suffix: str) -> bool:
    return data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def _is_abc(data: bytes, suffix: str) -> bool:
    return suffix == ".abc" or re.match(rb"(?:\xef\xbb\xbf)?(?:%.*\n|\s)*X:\s*\d", data) is not None


def _guess(data: bytes) -> str:
    for beginning, what, remedy in _MISTAKES:
        if data[: len(beginning)].lower() == beginning.lower():
            return f"looks like {what}; {remedy}"
    if data[4:8] == b"ftyp":
        return "looks like a recording or film in MP4 (M4A); save the sound as WAV, FLAC, MP3 or OGG"
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
    Kind("recordings (.wav, .flac, .mp3, .ogg)", _is_recording, read_recording),
    Kind("pictures of a page (.png, .jpg)", _is_picture, read_picture),
)
