"""Scores on the grid in a few words, and their MusicXML."""

from xml.etree.ElementTree import Element, fromstring

from symusic import KeySignature, Note, TimeSignature, Track

from melody.formats.musicxml.writer import musicxml_bytes
from melody.music.score import GRID, Score


def score_of(*tracks: Track, meter: tuple[int, int] = (4, 4), key: tuple[int, int] | None = None) -> Score:
    """A score on the grid."""
    score = Score(GRID)
    score.tracks = list(tracks)
    score.time_signatures.append(TimeSignature(0, *meter))
    if key is not None:
        score.key_signatures.append(KeySignature(0, *key))
    return score


def track(*notes: tuple[int, int, int], program: int = 0, drums: bool = False, name: str = "") -> Track:
    """A track of notes as (onset, duration, pitch)."""
    result = Track(name, program, drums)
    result.notes.extend([Note(onset, duration, pitch, 80) for onset, duration, pitch in notes])
    return result


def line(*pitches: int, ticks: int = GRID, **kind: object) -> Track:
    """A line of notes of one length."""
    return track(*((i * ticks, ticks, pitch) for i, pitch in enumerate(pitches)), **kind)  # type: ignore[arg-type]


def xml(score: Score, **options: object) -> Element:
    """A score as MusicXML, parsed."""
    return fromstring(musicxml_bytes(score, **options))  # type: ignore[arg-type]
