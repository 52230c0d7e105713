"""Tokens of **kern: durations, pitches, ties (Humdrum user guide, chapters 2 and 6; David Huron, CCARH).

4.c#   a dotted quarter, C sharp 4      [8cc 8ee]   tied on, tied from before
qF     a grace note                     40%3r       a rest of three 40ths
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from melody.formats.musicxml.directions import VELOCITIES

MAX_RECIP = 2_048
_DURATION = re.compile(r"(\d+)(?:%(\d+))?(\.*)")
_PITCH = re.compile(r"(([A-Ga-g])\2*)(#+|-+)?")
_SIGNS = frozenset("'\"`~^,:;TtMmWwSsO$")
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_LEVEL = re.compile(r"(?<![a-z])(p{1,4}|f{1,4}|m[pf]|fp|s?f{1,2}z|rfz?|sf{1,2}p?)(?![a-z])")
_KEY = re.compile(r"\*([A-Ga-g])([#-]?)(?::|$)")
_SIGNATURE = re.compile(r"\*k\[((?:[a-g][#n-]+)*)\]")
_METER = re.compile(r"\*M(\d{1,3}(?:\+\d{1,3})*)/(\d{1,3})$")
_TEMPO = re.compile(r"\*MM(\d{1,4}(?:\.\d{0,6})?)$")
_SLOWEST_QPM, _FASTEST_QPM = 4, 10_000  # MIDI holds no slower one


class Mark(NamedTuple):
    """One note or rest of a token; lengths in quarters."""

    length: Fraction | None  # None: it says none
    pitch: int | None  # None: a rest, or nothing
    is_grace: bool = False
    goes_on: bool = False  # tied to a later note
    continues: bool = False  # tied to an earlier one
    slurs: int = 0  # that begin
    signs: int = 0  # articulations, ornaments and fermatas


class Level(NamedTuple):
    """Velocities of a sign of dynamics."""

    now: int | None  # of the notes over it; None: an accent
    after: int | None  # of those that follow; None: as before


@lru_cache(1 << 15)
def mark_of(text: str) -> Mark:
    """The note or rest of a token, or of one note of a chord."""
    match = _DURATION.search(text)
    length = _length(*match.groups()) if match else None
    pitch = None if "r" in text else pitch_of(text)
    tie = "_" in text
    is_grace = "q" in text or "Q" in text
    signs = sum(letter in _SIGNS for letter in text)
    return Mark(length, pitch, is_grace, "[" in text or tie, "]" in text or tie, text.count("("), signs)


def _length(recip: str, over: str | None, dots: str) -> Fraction | None:
    """Quarters of 4, 4., 0 (a breve), 00 (a long) or 40%3 (three 40ths of a whole note); None past any note's."""
    if len(recip) > 4 or len(over or "") > 4 or len(dots) > 4:
        return None
    if not int(recip):
        whole = Fraction(2 ** len(recip))
    elif int(recip) > MAX_RECIP or int(over or 1) > MAX_RECIP:
        return None
    else:
        whole = Fraction(int(over or 1), int(recip))
    return 4 * whole * (2 - Fraction(1, 2 ** len(dots)))


def pitch_of(text: str) -> int | None:
    """The pitch of a note, C 60, c 72 being cc; None where there is none."""
    match = _PITCH.search(text)
    if match is None:
        return None
    letters, signs = match[1], match[3] or ""
    octave = 3 + len(letters) if letters[0].islower() else 4 - len(letters)
    return 12 * (octave + 1) + _STEPS[letters[0].lower()] + signs.count("#") - signs.count("-")


# ---- interpretations -------------------------------------------------------------------------------------------------


def level_of(text: str) -> Level | None:
    """The loudness of ``p``, ``f >`` or ``sfz``; None for a hairpin alone and anything else."""
    match = _LEVEL.search(text)
    if match is None:
        return None
    sign = match[1]
    if sign in VELOCITIES:
        return Level(VELOCITIES[sign], VELOCITIES[sign])
    return Level(VELOCITIES["f"], VELOCITIES["p"]) if sign.endswith("p") else Level(None, None)


def meter_of(text: str) -> tuple[int, int] | None:
    """The meter of ``*M6/8`` or ``*M3+2/8``, None for anything else and for what no file can hold."""
    match = _METER.match(text)
    if match is None:
        return None
    units, unit = sum(map(int, match[1].split("+"))), int(match[2])
    return (units, unit) if 0 < units < 256 and unit in (1, 2, 4, 8, 16, 32, 64) else None


def signature_of(text: str) -> int | None:
    """The sharps (flats negative) of ``*k[b-e-]``."""
    match = _SIGNATURE.match(text)
    return max(-7, min(7, match[1].count("#") - match[1].count("-"))) if match else None


def is_minor(text: str) -> bool | None:
    """Return if ``*a:`` names a minor key, None for anything else."""
    match = _KEY.match(text)
    return match[1].islower() if match and ":" in text else None


def tempo_of(text: str) -> float | None:
    """The quarters a minute of ``*MM96``."""
    match = _TEMPO.match(text)
    qpm = float(match[1]) if match else 0.0
    return qpm if _SLOWEST_QPM <= qpm <= _FASTEST_QPM else None
