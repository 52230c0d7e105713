"""Ranges of tracks: what ``--range Soprano=C4:A5`` says, which track it means, and which pitches a track may have.

A pitch is a MIDI number or a name with its octave; middle C is C4 = 60 (where a DAW writes C3, use the number). A
track goes by its name, whatever its case, or by its number from 1, as `melody inspect` shows both.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from melody.errors import UsageError
from melody.music.key import FLAT_NAMES, LETTERS, SHARP_NAMES, Key

PITCHES = 128
Span = tuple[int, int]  # lowest and highest pitch, both within
Pitches = NDArray[np.bool_]  # (128,)

_PITCH = re.compile(r"\s*([A-Ga-g])(#{0,2}|b{0,2}|♯|♭)(-?\d{1,2})\s*", re.ASCII)
_SHIFTS = {"#": 1, "♯": 1, "b": -1, "♭": -1}


def parse_pitch(text: str) -> int:
    """The MIDI number that `text` names: 60, C4, F#5, Bb3. Raises `UsageError`."""
    if text.strip().isdecimal():
        pitch = int(text)
    elif match := _PITCH.fullmatch(text):
        pitch = 12 * (int(match[3]) + 1) + LETTERS[match[1].upper()] + sum(_SHIFTS[sign] for sign in match[2])
    else:
        raise UsageError(f"pitch {text!r}: write a MIDI number, or a name with its octave as C4 (60), F#5 or Bb3")
    if not 0 <= pitch < PITCHES:
        raise UsageError(f"pitch {text!r} is none of MIDI's; they go from C-1 (0) to G9 (127)")
    return pitch


def parse_ranges(texts: Sequence[str]) -> dict[str, Span]:
    """``["Soprano=C4:A5", "4=36:60"]`` as ``{"Soprano": (60, 81), "4": (36, 60)}``. Raises `UsageError`."""
    result: dict[str, Span] = {}
    for text in texts:
        track, equals, span = text.rpartition("=")
        low, colon, high = span.partition(":")
        track = track.strip()
        if not (equals and colon and track):
            raise UsageError(f"`ranges` {text}: write it as Soprano=C4:A5, or 1=60:81 for the first track")
        if track in result:
            raise UsageError(f"`ranges` {text}: there is another range of {track}; give one")
        result[track] = (parse_pitch(low), parse_pitch(high))
    return result


def check_ranges(ranges: Mapping[str, Span]) -> None:
    """Raise `UsageError` for a range that is none."""
    for track, span in ranges.items():
        if len(span) != 2 or not all(isinstance(pitch, int) for pitch in span):
            raise UsageError(f"range of {track}: give the lowest and the highest pitch as MIDI numbers, got {span}")
        if not 0 <= span[0] <= span[1] < PITCHES:
            raise UsageError(f"range of {track}: {span[0]}:{span[1]} must go from low to high within 0:127")


def ranges_by_track(ranges: Mapping[str, Span], names: Sequence[str]) -> dict[int, Span]:
    """The range of each track, by its index among `names`. Raises `UsageError` as `find_track`, and for two of one."""
    result: dict[int, Span] = {}
    for wanted, span in ranges.items():
        track = find_track(names, wanted)
        if track in result:
            raise UsageError(f"range of {wanted}: there is another range of this track; give one")
        result[track] = span
    return result


def find_track(names: Sequence[str], wanted: str, option: str = "range of") -> int:
    """The index of the track that a name or a number from 1 means. Raises `UsageError` for none, and for several.

    The message begins with the option by which the track is wanted.
    """
    found = [index for index, name in enumerate(names) if name.strip().lower() == str(wanted).strip().lower()]
    if not found and str(wanted).strip().isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    if len(found) == 1:
        return found[0]
    tracks = ", ".join(f"{number} {name!r}" if name else str(number) for number, name in enumerate(names, 1))
    how_many = "several tracks have this name; give the number" if found else "no such track"
    raise UsageError(f"{option} {wanted}: {how_many}; tracks: {tracks}")


def named(names: Sequence[str], track: int) -> str:
    """Return the name of a track in messages."""
    return names[track] or f"track {track + 1}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "Alto, Tenor and Bass"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def allowed_pitches(name: str, span: Span | None, key: Key | None) -> Pitches:
    """The pitches (128,) a track may have within a range and in the strict scale of a key.

    Raises `UsageError` where there is none.
    """
    pitches = np.ones(PITCHES, bool)
    if span:
        pitches[: span[0]] = pitches[span[1] + 1 :] = False
    if key:
        pitches &= np.isin(np.arange(PITCHES) % 12, list(strict_scale(key)))
    if not pitches.any() and span and key:
        raise UsageError(
            f"strict key and range of {name}: {pitch_name(span[0])}:{pitch_name(span[1])} holds no note of "
            f"{key.name}; widen the range, or leave out `strict_key`"
        )
    return pitches


def strict_scale(key: Key) -> frozenset[int]:
    """The pitch classes of a key's scale; in minor those of the natural, harmonic and melodic one together."""
    return key.scale("melodic" if key.mode == "minor" else "natural")


def pitch_name(pitch: int, flats: bool = False) -> str:
    """A pitch as C4 for 60."""
    return f"{(FLAT_NAMES if flats else SHARP_NAMES)[pitch % 12]}{pitch // 12 - 1}"
