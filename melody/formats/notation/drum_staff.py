"""Drums on a five-line staff: the place and notehead of each, and the hand or foot that plays it.

Source: Norman Weinberg, Guide to Standardized Drumset Notation (Percussive Arts Society, 1998); what it does not name
stands where related instruments do.
"""

from typing import NamedTuple


class Drum(NamedTuple):
    """A place as in a treble clef, the notehead as MusicXML calls it, and whether a foot plays it."""

    step: str
    octave: int
    head: str = "normal"
    by_foot: bool = False


_TABLE = {
    35: Drum("E", 4, by_foot=True),
    36: Drum("F", 4, by_foot=True),
    37: Drum("C", 5, "x"),
    38: Drum("C", 5),
    39: Drum("C", 5, "slash"),
    40: Drum("C", 5, "slashed"),
    41: Drum("G", 4),
    42: Drum("G", 5, "x"),
    43: Drum("A", 4),
    44: Drum("D", 4, "x", by_foot=True),
    45: Drum("B", 4),
    46: Drum("G", 5, "circle-x"),
    47: Drum("D", 5),
    48: Drum("E", 5),
    49: Drum("A", 5, "x"),
    50: Drum("F", 5),
    51: Drum("F", 5, "x"),
    52: Drum("C", 6, "x"),
    53: Drum("F", 5, "diamond"),
    54: Drum("B", 5, "triangle"),
    55: Drum("B", 5, "x"),
    56: Drum("E", 5, "triangle"),
    57: Drum("A", 5, "circle-x"),
    59: Drum("F", 5, "circle-x"),
}
_OTHERS = (("D", 5), ("E", 5), ("B", 4), ("A", 4), ("C", 5), ("F", 5), ("G", 4))


def drum(pitch: int) -> Drum:
    """Return the place of a pitch of the drum channel; other percussion has diamonds."""
    return _TABLE.get(pitch) or Drum(*_OTHERS[pitch % len(_OTHERS)], "diamond")
