"""Small MusicXML documents, written part by part and measure by measure."""

from collections.abc import Sequence

from melody.formats.midi import Reading
from melody.formats.musicxml import parse_musicxml
from melody.music.score import Score, notes_of

Row = tuple[float, float, int]  # onset and duration in quarters, pitch


def note(step: str = "C", octave: int = 4, duration: int = 4, more: str = "", alter: int = 0) -> str:
    """A note; what comes before its pitch is `more`."""
    pitch = f"<step>{step}</step><alter>{alter}</alter><octave>{octave}</octave>"
    return f"<note>{more}<pitch>{pitch}</pitch><duration>{duration}</duration></note>"


def attributes(inside: str) -> str:
    """Attributes that begin with a division of one a quarter."""
    return f"<attributes><divisions>1</divisions>{inside}</attributes>"


def key(fifths: int, mode: str = "") -> str:
    """A key signature."""
    return f"<key><fifths>{fifths}</fifths>{f'<mode>{mode}</mode>' if mode else ''}</key>"


def document(*parts: Sequence[str], names: Sequence[str] = (), heads: Sequence[str] = ()) -> bytes:
    """A document of parts, each a sequence of measures."""
    listed, body = "", ""
    for number, measures in enumerate(parts, 1):
        name = names[number - 1] if names else f"Part {number}"
        head = heads[number - 1] if heads else ""
        listed += f'<score-part id="P{number}"><part-name>{name}</part-name>{head}</score-part>'
        inside = "".join(f'<measure number="{place}">{own}</measure>' for place, own in enumerate(measures, 1))
        body += f'<part id="P{number}">{inside}</part>'
    return f"<score-partwise><part-list>{listed}</part-list>{body}</score-partwise>".encode()


def read(*measures: str) -> Reading:
    """What melody reads of one part."""
    return parse_musicxml(document(measures), "any.musicxml")


def rows(score: Score, track: int = 0) -> list[Row]:
    """The notes of a track, in order."""
    columns = zip(*(column.tolist() for column in notes_of(score.tracks[track])[:3]), strict=True)
    return [(onset / score.tpq, duration / score.tpq, pitch) for onset, duration, pitch in columns]


def keys(score: Score) -> list[tuple[float, int]]:
    """The key signatures, as (quarter, sharps)."""
    return [(change.time / score.tpq, change.key) for change in score.key_signatures]


def markers(score: Score) -> list[tuple[float, str]]:
    """The markers, as (quarter, text)."""
    return [(marker.time / score.tpq, marker.text) for marker in score.markers]
