"""Tokens of a line of music, and what the small ones mean: pitches, lengths, bar lines (ABC 2.1, section 4)."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_LENGTH = r"\d*/*\d*"
_NOTE = rf"(?P<accidental>[\^_=]*)(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{_LENGTH})"
_PLUS_NOTE = rf"[\^_=]*[A-Ga-g][,']*{_LENGTH}"
_PASSES = r"\d+(?:[,-]\d+)*"
_DECORATION = r"![^!\s|]{1,40}!|!D\.[CS]\.[^!|]{0,20}!|\+[^+\s|]{1,40}\+|[.~H-WYh-w]"
_TEXT = r'"(?:\\.|[^"\\]){0,400}"'
TOKEN = re.compile(
    rf"""
    (?P<space>[\s`\\$*;]+ | y{_LENGTH} | \)| \.?\([',]?(?!\d) )
  | (?P<note>{_NOTE})
  | (?P<bar>\.?(?P<close>:*)(?:\[\|\]|\[?\|[|\]]*(?P<open>:*))(?:\s*\[?(?P<ending>{_PASSES}))?)
  | (?P<both>(?P<colons>::+)(?:\s*\[?(?P<ending2>{_PASSES}))?)
  | (?P<tie>\.?-)
  | (?P<text>{_TEXT})
  | (?P<broken>>+|<+)
  | (?P<rest>[zx](?P<rest_length>{_LENGTH}))
  | (?P<field>\[(?P<letter_of>[A-Za-z]):(?P<value>[^\[\]]*)\])
  | (?P<variant>\[(?P<ending3>{_PASSES}))
  | (?P<chord>\[(?P<inner>(?:{_TEXT}|![^!\s|]*!|\{{[^}}]*\}}|[^\]\["|!{{])*+)\](?P<chord_length>{_LENGTH}))
  | (?P<label>\["[^"]*")
  | (?P<plus>\+(?!f+\+)(?P<plus_inner>(?:{_PLUS_NOTE}){{2,}})\+(?P<plus_length>{_LENGTH}))
  | (?P<decoration>{_DECORATION})
  | (?P<tuplet>\((?P<p>\d+)(?::(?P<q>\d*))?(?::(?P<r>\d*))?)
  | (?P<grace>\{{[^{{}}]*\}})
  | (?P<bars_rest>[ZX](?P<bars>\d*))
  | (?P<overlay>&+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
INNER = re.compile(
    rf"(?P<note>{_NOTE})|(?P<tie>\.?-)|(?P<text>{_TEXT})|(?P<space>\s+|\{{[^}}]*\}}|{_DECORATION})|(?P<other>.)"
)

MAX_UNITS = 1_024  # of a length, and what it is divided by: a breve has 1,024 units of 1/512
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
VELOCITIES = {
    "pppp": 30, "ppp": 30, "pp": 45, "p": 60, "mp": 75, "mf": 90, "f": 105, "ff": 120, "fff": 127, "ffff": 127,
}  # fmt: skip


class Bar(NamedTuple):
    """A bar line: repeats that end and begin (0: none, 1 for each colon), the endings that begin, if it is doubled."""

    close: int = 0
    open: int = 0
    endings: tuple[int, ...] = ()
    is_double: bool = False


@lru_cache(4096)
def length(text: str) -> Fraction | None:
    """The factor of a note's length: 3/2, / (a half), // (a quarter); None past what any note has (4.3)."""
    count, _, under = text.partition("/")
    divisor = under.lstrip("/")
    if len(count) > 4 or len(divisor) > 4 or len(text) > 12:
        return None
    number = int(count) if count else 1
    divided = int(divisor) if divisor else 2 ** text.count("/")
    if divisor and text.count("/") > 1:
        divided *= 2 ** (text.count("/") - 1)
    if number > MAX_UNITS or not 0 < divided <= MAX_UNITS:
        return None
    return Fraction(number, divided)


@lru_cache(4096)
def alteration(signs: str) -> int | None:
    """Semitones of an accidental, None for no accidental (4.2)."""
    if not signs:
        return None
    return max(-2, min(2, signs.count("^") - signs.count("_")))


@lru_cache(4096)
def staff_pitch(letter: str, marks: str) -> int:
    """The pitch of a note in C major: C is 60, c 72; commas lower by octaves, apostrophes raise (4.1)."""
    octave = (letter.islower()) + marks.count("'") - marks.count(",")
    return 60 + STEPS[letter.upper()] + 12 * max(-20, min(20, octave))


def bar_of(match: re.Match[str]) -> Bar:
    """The bar line of a token `bar`, `both` or `variant`."""
    if match["both"]:
        colons = len(match["colons"]) // 2
        return Bar(colons, colons, endings_of(match["ending2"] or ""), True)
    if match["variant"]:
        return Bar(endings=endings_of(match["ending3"]))
    line = match["bar"].replace("[|]", "|")
    is_double = "||" in line or "|]" in line or "[|" in line
    return Bar(len(match["close"]), len(match["open"] or ""), endings_of(match["ending"] or ""), is_double)


@lru_cache(256)
def endings_of(text: str) -> tuple[int, ...]:
    """The passes of a variant ending: 1,3 or 1-3 (4.10)."""
    passes: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        low, high = (min(int(number[:4]), 99) for number in (first, last.split("-")[0] or first))
        passes.update(range(max(1, low), high + 1))
    return tuple(sorted(passes))


@lru_cache(256)
def tuplet(p: int, q: str, r: str, is_compound: bool) -> tuple[Fraction, int] | None:
    """(Factor, notes) of a tuplet: p notes in the time of q for the next r; None where it makes no sense (4.13)."""
    if len(q) > 2 or len(r) > 3 or not 2 <= p <= 99 or q == "0" or r == "0":
        return None
    time = int(q) if q else {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 3 if is_compound else 2)
    return (Fraction(time, p), int(r) if r else p) if time else None
