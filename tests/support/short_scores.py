"""Scores on the grid in a few words, and their MusicXML."""

from xml.etree.ElementTree import Element, fromstring

from symusic import KeySignature, Note, Tempo, TextMeta, TimeSignature, Track

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


def beat() -> Track:
    """A bar of rock: hats in eighths, kick and snare."""
    hats = [(i * 12, 3, 42) for i in range(8)]
    return track(*sorted([*hats, (0, 3, 36), (48, 3, 36), (24, 3, 38), (72, 3, 38)]), drums=True, name="Drums")


def mixed() -> Score:
    """Drums, a piano, a tune with triplets and chord symbols, a key change, a meter change, a pickup."""
    piano = [(24 + i * 24, 24, pitch) for i in range(16) for pitch in (43, 60, 67, 76 - i % 3)]
    tune = [(24 + i * 8, 8, 72 + i % 5) for i in range(24)]
    drums = Track("Drums", 0, True)
    drums.notes.extend([Note(24 + note.time, note.duration, note.pitch, 90) for note in beat().notes])
    score = score_of(
        track(*tune, program=73, name="Flute"), track(*piano, name="Piano"), drums, meter=(1, 4), key=(2, 0)
    )
    score.time_signatures.extend([TimeSignature(24, 4, 4), TimeSignature(216, 3, 4)])
    score.key_signatures.append(KeySignature(216, -3, 1))
    score.tempos.append(Tempo(0, qpm=96))
    score.markers.extend([TextMeta(24, "D"), TextMeta(120, "A7"), TextMeta(132, "Em7b5")])
    return score
