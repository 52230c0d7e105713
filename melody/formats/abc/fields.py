"""Values of ABC's information fields: keys, meters, unit lengths, tempos, voices (ABC 2.1, section 3 and 7.1).

A function returns None where a value makes no sense; the caller says so.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

SHARPS = "FCGDAEB"  # the order in which they come; flats in the other
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "mix": -1,
    "dor": -2,
    "min": -3,
    "aeo": -3,
    "m": -3,
    "phr": -4,
    "loc": -5,
    "lyd": 1,
}
_MINOR = ("min", "aeo", "m")
_SLOWEST_QPM, _FASTEST_QPM = 4, 10_000  # MIDI holds no slower one
_MOST_UNITS, _MOST_PART = 255, 64  # of a meter: MIDI's byte, and the shortest unit of music in print

Meter = tuple[int, int] | None  # None: free


class AbcKey(NamedTuple):
    """A key signature: sharps (flats negative), minor or not, and semitones by letter for what it alters."""

    sharps: int = 0
    is_minor: bool = False
    altered: tuple[tuple[str, int], ...] = ()


NO_KEY = AbcKey()


@dataclass
class Properties:
    """Result of a `K:` or `V:` field: properties of a voice beside its key, None where it says nothing."""

    name: str | None = None
    clef_octave: int | None = None  # of the clef: treble-8
    octave: int | None = None
    transpose: int | None = None
    unknown: list[str] = field(default_factory=list)


# ---- keys (3.1.14) ---------------------------------------------------------------------------------------------------

_KEY = re.compile(
    r"\s*(?:(?P<none>none)\b|(?P<pipes>H[Pp])\b|(?P<tonic>[A-G])(?P<sign>[#b♯♭]?)(?P<mode>\s*[A-Za-z]+)?)"
)
_CHANGES = re.compile(r"\s*(?P<explicit>exp\b)?(?P<accidentals>(?:\s*(?:\^\^|\^|__|_|=)[A-Ga-g])*)")
_ACCIDENTAL = re.compile(r"(\^\^|\^|__|_|=)([A-Ga-g])")
_WORD = re.compile(r"""(\w+)\s*=\s*("[^"]*"|[^\s"]+)|"[^"]*"|[^\s"]+""")
_CLEF = re.compile(
    r"(?P<name>treble|bass|alto|tenor|soprano|mezzo\w*|baritone|perc\w*|auto|[GFCP](?=.))?[1-5]?"
    r"(?P<lifts>[+-](?:8|15))?(?:[\^_](?:8|15))?[,']*"
)
_LAYOUT = {"middle", "m", "stafflines", "staffscale", "stem", "stems", "gstem", "gstems", "dyn", "gchord", "gchords",
           "lyrics", "snm", "subname", "sname", "merge", "up", "down", "cue", "style", "space", "staves",
           "brace", "bracket", "scale", "clef", "bass", "perc", "spc", "vol", "auto", "none"}  # fmt: skip


def parse_key(text: str) -> tuple[AbcKey | None, Properties]:
    """The key of a `K:` field, None where it names none, and the properties behind it."""
    match = _KEY.match(text)
    if match is None:
        return None if text.strip() else NO_KEY, _properties(text)
    rest, sharps, is_minor = text[match.end() :], 0, False
    if match["pipes"]:
        sharps = 2  # a bagpipe's F and C are sharp, printed or not
    elif match["tonic"]:
        mode = (match["mode"] or "").strip()
        shift = _MODES.get(mode.lower()[:3] if len(mode) != 2 else "?")
        if shift is None:
            rest, shift, mode = text[match.start("mode") :], 0, ""
        sharps = SHARPS.index(match["tonic"]) - 1 + shift
        sharps += 7 * (match["sign"] in ("#", "♯")) - 7 * (match["sign"] in ("b", "♭"))
        is_minor = mode.lower()[:3] in _MINOR
    changes = _CHANGES.match(rest)
    assert changes is not None  # it may match nothing
    altered = {} if changes["explicit"] else signature(sharps)
    altered |= {letter.upper(): _semitones(sign) for sign, letter in _ACCIDENTAL.findall(changes["accidentals"])}
    altered = {letter: steps for letter, steps in altered.items() if steps}
    regular = next((n for n in range(-7, 8) if signature(n) == altered), None)
    sharps = regular if regular is not None else 0 if changes["explicit"] else sharps
    return AbcKey(sharps, is_minor, tuple(altered.items())), _properties(rest[changes.end() :])


def _semitones(sign: str) -> int:
    return sign.count("^") - sign.count("_")


def signature(sharps: int) -> dict[str, int]:
    """Semitones by letter of a signature; past seven sharps some are double."""
    altered: dict[str, int] = {}
    for count in range(abs(sharps)):
        letter = SHARPS[count % 7] if sharps > 0 else SHARPS[-1 - count % 7]
        altered[letter] = altered.get(letter, 0) + (1 if sharps > 0 else -1)
    return altered


def parse_voice(text: str) -> tuple[str, Properties]:
    """The name by which a `V:` field calls its voice, and its properties (7.1)."""
    head, _, rest = text.strip().partition(" ")
    return head, _properties(rest)


def _properties(text: str) -> Properties:
    props = Properties()
    for word in _WORD.finditer(text):
        name, value = (word[1] or "").lower(), (word[2] or word[0]).strip('"')
        number = int(value) if re.fullmatch(r"[+-]?\d{1,3}", value) else None
        if name in ("name", "nm"):
            props.name = " ".join(value.replace("\\n", " ").split())
        elif name == "octave" and number is not None:
            props.octave = number
        elif name == "transpose" and number is not None:
            props.transpose = number
        elif (
            (not name or name == "clef")
            and (clef := _CLEF.fullmatch(value))
            and (name or clef["name"] or clef["lifts"])
        ):
            lift = clef["lifts"] or ""
            props.clef_octave = (-1 if lift[:1] == "-" else 1) * (2 if lift[1:] == "15" else bool(lift))
        elif (name or value) not in _LAYOUT:
            props.unknown.append(word[0])
    return props


# ---- meters, lengths, tempos -----------------------------------------------------------------------------------------

_METER_TERM = re.compile(r"\(?(\d{1,3}(?:\+\d{1,3})*)\)?(?:/(\d{1,3}))?")
_FRACTION = re.compile(r"(\d{1,4})(?:/(\d{1,4}))?$")


@lru_cache(256)
def parse_meter(text: str) -> tuple[bool, Meter]:
    """(Whether the value makes sense, the meter); 2+2+3/8 is 7/8, `C|` 2/2 (3.1.6)."""
    text = "".join(text[:60].split())
    if text.lower() in ("", "none"):
        return True, None
    if text in ("C", "c", "C|", "c|"):
        return True, (2, 2) if "|" in text else (4, 4)
    total, unit = Fraction(0), 1
    for term in re.split(r"(?<=/\d)\+|(?<=/\d\d)\+", text):
        match = _METER_TERM.fullmatch(term)
        if match is None:
            return False, None
        under = int(match[2] or 0)
        if under not in (1, 2, 4, 8, 16, 32, _MOST_PART):
            return False, None
        total += Fraction(sum(map(int, match[1].split("+"))), under)
        unit = max(unit, under)
    units = total * unit
    fits = units.denominator == 1 and 0 < units <= _MOST_UNITS
    return fits, (int(units), unit) if fits else None


def parse_fraction(text: str) -> Fraction | None:
    """A length such as 1/8 or 1, of a whole note."""
    match = _FRACTION.match("".join(text.split()))
    if match is None or not int(match[1]) or not int(match[2] or 1):
        return None
    return Fraction(int(match[1]), int(match[2] or 1))


def unit_length(meter: Meter) -> Fraction:
    """The unit length where no `L:` gives one: a sixteenth in meters shorter than 3/4, else an eighth (3.1.7)."""
    return Fraction(1, 16) if meter and Fraction(*meter) < Fraction(3, 4) else Fraction(1, 8)


_BEATS = re.compile(
    r"(\d{1,3}/\d{1,3}(?:\s+\d{1,3}/\d{1,3}){0,9}|\d{1,3}|C\d{0,3}(?:/\d{0,3})?)\s*=\s*(?:ca?\.?\s*)?(\d{1,5}(?:\.\d{0,6})?)"
)


def parse_tempo(text: str, unit: Fraction) -> float | None:
    """Quarters a minute of a `Q:` field (3.1.8), None where it gives none; a number alone counts unit lengths."""
    text = re.sub(r'"[^"]*"', " ", text[:200]).strip()
    match = _BEATS.search(text)
    if match is None:
        bare = re.fullmatch(r"(\d{1,5}(?:\.\d{0,6})?)", text)
        return _within(float(bare[1]) * float(unit) * 4) if bare else None
    if match[1].startswith("C"):
        times = re.fullmatch(r"C(\d*)(?:/(\d*))?", match[1])
        beat = unit * Fraction(int(times[1] or 1), int(times[2] or 1 + ("/" in match[1])) or 1) if times else unit
    else:
        lengths = [parse_fraction(part) for part in match[1].split()]
        beat = sum((length for length in lengths if length), Fraction(0))
    return _within(float(match[2]) * float(beat) * 4)


def _within(qpm: float) -> float | None:
    return qpm if _SLOWEST_QPM <= qpm <= _FASTEST_QPM else None
