"""Short tunes in ABC, and notes as text: ``60@1:2/3`` is middle C after half a quarter, three quarters long."""

from fractions import Fraction

from symusic.core import ScoreTick as Score

from melody.formats.abc import TuneReading, parse_abc


def read_one(music: str, meter: str = "4/4", unit: str = "1/4", key: str = "C", fields: str = "") -> TuneReading:
    """The reading of a tune with this music below its header."""
    (reading,) = parse_abc(f"X:1\nT:t\nM:{meter}\nL:{unit}\n{fields}K:{key}\n{music}\n")
    return reading


def tune(music: str, meter: str = "4/4", unit: str = "1/4", key: str = "C", fields: str = "") -> Score:
    """The score of a tune with this music below its header."""
    return read_one(music, meter, unit, key, fields).score


def notes(score: Score, track: int = 0) -> list[str]:
    """The notes of a track in order of time and pitch."""
    found = sorted((note.time, note.pitch, note.duration) for note in score.tracks[track].notes)
    return [f"{pitch}@{_quarters(onset)}/{_quarters(duration)}" for onset, pitch, duration in found]


def _quarters(ticks: int) -> str:
    """Ticks as a fraction of a quarter; fifteenths and the like were rounded to ticks."""
    quarters = Fraction(ticks, 480).limit_denominator(16)
    return str(quarters).replace("/", ":")
