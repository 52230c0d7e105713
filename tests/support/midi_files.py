"""MIDI files byte by byte, and a strategy for scores, for the tests of reader, writer and check."""

import struct

from hypothesis import strategies as st
from symusic import ControlChange, KeySignature, Note, PitchBend, Tempo, TextMeta, TimeSignature, Track
from symusic.core import ScoreTick as Score

from melody.music.score import notes_of

EOT = b"\x00\xff\x2f\x00"
NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"  # middle C, 96 ticks
TRACK = NOTE + EOT


def number(value: int) -> bytes:
    """A variable-length number."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def header(tracks: int = 1, kind: int = 1, division: int = 480) -> bytes:
    """A header chunk."""
    return b"MThd" + struct.pack(">IHHH", 6, kind, tracks, division)


def chunk(body: bytes, length: int | None = None) -> bytes:
    """A track chunk, of a wrong length if one is given."""
    return b"MTrk" + struct.pack(">I", len(body) if length is None else length) + body


def meta(kind: int, payload: bytes, delta: int = 0) -> bytes:
    """A meta event."""
    return number(delta) + bytes([0xFF, kind]) + number(len(payload)) + payload


def file(*bodies: bytes, kind: int = 1, division: int = 480) -> bytes:
    """A file of these tracks."""
    return header(len(bodies), kind, division) + b"".join(map(chunk, bodies))


WHOLE = file(TRACK, TRACK)
LONGER = NOTE + b"\x10\x90\x40\x40\x10\x80\x40\x00"


def notes(score: Score) -> list[list[tuple[int, ...]]]:
    """(onset, duration, pitch, velocity) of every note, sorted, by track."""
    return [sorted(zip(*(column.tolist() for column in notes_of(track)), strict=True)) for track in score.tracks]


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=12).map(
    str.strip
)
ticks = st.integers(0, 4000)
velocities = st.integers(1, 127)


@st.composite
def tracks(draw: st.DrawFn, with_notes: bool = True) -> Track:
    """A track with notes, some of which overlap, controls, bends and lyrics."""
    is_drum = draw(st.booleans())
    track = Track(draw(names), draw(st.integers(0, 127)), is_drum)
    notes = st.builds(Note, ticks, st.integers(1, 2000), st.integers(0, 127), velocities)
    track.notes = draw(st.lists(notes, min_size=int(with_notes), max_size=12))
    controls = st.builds(ControlChange, ticks, st.integers(0, 119), st.integers(0, 127))
    track.controls = draw(st.lists(controls, max_size=4))
    track.pitch_bends = draw(st.lists(st.builds(PitchBend, ticks, st.integers(-8192, 8191)), max_size=3))
    track.lyrics = draw(st.lists(st.builds(TextMeta, ticks, names.filter(bool)), max_size=2))
    return track


meters = st.tuples(st.integers(1, 13), st.sampled_from([1, 2, 4, 8, 16, 32]))


@st.composite
def scores(draw: st.DrawFn, max_tracks: int = 5, tpq: st.SearchStrategy[int] = st.just(480)) -> Score:
    """Scores with whatever a MIDI file may hold; their tracks all have notes."""
    score = Score(draw(tpq))
    for track in draw(st.lists(tracks(), max_size=max_tracks)):
        score.tracks.append(track)
    tempos = draw(st.dictionaries(ticks, st.integers(100_000, 2_000_000), max_size=3))
    score.tempos = [Tempo(tick, mspq=value) for tick, value in sorted(tempos.items())]
    changes = draw(st.dictionaries(ticks, meters, max_size=3))
    score.time_signatures = [TimeSignature(tick, *meter) for tick, meter in sorted(changes.items())]
    keys = draw(st.dictionaries(ticks, st.tuples(st.integers(-7, 7), st.integers(0, 1)), max_size=3))
    score.key_signatures = [KeySignature(tick, *key) for tick, key in sorted(keys.items())]
    markers = draw(st.lists(st.tuples(ticks, names.filter(bool)), max_size=3, unique=True))
    score.markers = [TextMeta(*marker) for marker in markers]
    return score
