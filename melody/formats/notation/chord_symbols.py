"""Chord symbols between MusicXML and text: `<harmony>` elements to symbols such as "Am7" or "D7/F#", and back.

A symbol is spelled so that `melody.music.chords` reads it. Where the element says how it is shown, and that names the
same chord, the symbol is what is shown: "Amin7" stays "Amin7".
"""

import re
from xml.etree.ElementTree import Element

from melody.errors import UsageError
from melody.formats.xml import add
from melody.music.chords import NO_CHORD, QUALITIES, Chord, parse_chord

SUFFIXES = {  # by MusicXML's kind
    "major": "", "minor": "m", "augmented": "aug", "diminished": "dim", "dominant": "7", "major-seventh": "maj7",
    "minor-seventh": "m7", "diminished-seventh": "dim7", "augmented-seventh": "aug7", "half-diminished": "m7b5",
    "major-minor": "mmaj7", "major-sixth": "6", "minor-sixth": "m6", "dominant-ninth": "9", "major-ninth": "maj9",
    "minor-ninth": "m9", "dominant-11th": "11", "major-11th": "maj11", "minor-11th": "m11", "dominant-13th": "13",
    "major-13th": "maj13", "minor-13th": "m13", "suspended-second": "sus2", "suspended-fourth": "sus4", "power": "5",
}  # fmt: skip
KINDS = (  # by quality
    "major", "minor", "dominant", "major-seventh", "minor-seventh", "diminished", "half-diminished",
    "diminished-seventh", "augmented", "suspended-fourth",
)  # fmt: skip
_SEVENTHS = {  # an added seventh, by the suffix it is added to: minor, or raised by a semitone
    "": ("7", "maj7"), "m": ("m7", "mmaj7"), "dim": ("m7b5", "dim"), "aug": ("aug7", "aug"), "sus4": ("7sus4", "sus4"),
}  # fmt: skip
_ALTERS = {"-2": "bb", "-1": "b", "0": "", "1": "#", "2": "##"}
_LONGEST = 24  # characters of a symbol as shown
_ROOT = re.compile(r"([A-G])(##|bb|[#b♯♭]?)")
_SHIFTS = {"": 0, "#": 1, "♯": 1, "##": 2, "b": -1, "♭": -1, "bb": -2}


def symbol_of(harmony: Element) -> str | None:
    """Return the symbol of a `<harmony>` element; None where it names no chord that melody knows."""
    kind = (harmony.findtext("kind") or "").strip()
    if kind == "none":
        return NO_CHORD
    root = _name(harmony, "root")
    element = harmony.find("kind")
    shown = (element.get("text") or "").strip() if element is not None else ""
    if root is None:
        return None
    plain = _parsed(root + _with_degrees(SUFFIXES.get(kind, ""), harmony))
    if plain is None or kind not in SUFFIXES:
        plain = _parsed(root + SUFFIXES.get(kind, shown or "?"))
    if plain is None:
        return None
    symbol, chord = plain
    if harmony.find("degree") is None and len(shown) <= _LONGEST:
        as_shown = _parsed(root + shown)
        symbol = root + shown if as_shown is not None and as_shown[1] == chord else symbol
    return symbol + _over(harmony, root, chord)


def _parsed(symbol: str) -> tuple[str, Chord] | None:
    try:
        return symbol, parse_chord(symbol)
    except UsageError:
        return None


def _name(harmony: Element, tag: str) -> str | None:
    """Return a root or bass as a letter with its sign."""
    step = (harmony.findtext(f"{tag}/{tag}-step") or "").strip().upper()
    alter = _ALTERS.get((harmony.findtext(f"{tag}/{tag}-alter") or "0").strip().removesuffix(".0").lstrip("+"))
    return step + alter if re.fullmatch("[A-G]", step) and alter is not None else None


def _over(harmony: Element, root: str, chord: Chord) -> str:
    """Return the bass with its stroke, where it is not the root."""
    bass = _name(harmony, "bass")
    if bass is not None:
        return f"/{bass}" if bass != root else ""
    inversion = (harmony.findtext("inversion") or "").strip()
    intervals = QUALITIES[chord.quality].intervals
    if inversion not in ("1", "2", "3") or int(inversion) >= len(intervals):
        return ""
    _, stroke, low = Chord(chord.root, chord.quality, (chord.root + intervals[int(inversion)]) % 12).name.rpartition(
        "/"
    )
    return stroke + low


def _with_degrees(suffix: str, harmony: Element) -> str:
    """Return a suffix with its added, altered and missing notes."""
    more = ""
    for degree in harmony.findall("degree")[:6]:
        value, alter, what = ((degree.findtext(f"degree-{part}") or "").strip() for part in ("value", "alter", "type"))
        sign = _ALTERS.get(alter or "0", "")[:1]
        if what == "subtract":
            more += f"no{value}"
        elif value == "7" and what == "add" and not more:
            suffix = _SEVENTHS.get(suffix, (suffix, suffix))[alter == "1"] if alter != "-1" else f"{suffix}7"
        elif what == "alter" or (sign and re.search("[79]|1[13]", suffix)):
            more += f"{sign or '#'}{value}" if sign else ""
        else:
            more += f"add{sign}{value}"
    return suffix + more


# ---- writing ---------------------------------------------------------------------------------------------------------

_NONE = re.compile(r"N\.?C\.?", re.IGNORECASE)


def is_symbol(text: str) -> bool:
    """Tell whether a text is a chord symbol, or says that there is none."""
    return bool(_NONE.fullmatch(text)) or _parsed(text) is not None


def write_harmony(measure: Element, symbol: str) -> None:
    """Write a chord as its symbol spells it."""
    harmony = add(measure, "harmony")
    if _NONE.fullmatch(symbol):
        _write_name(add(harmony, "root"), "root", "C")
        add(harmony, "kind", "none").set("text", NO_CHORD)
        return
    upper, stroke, low = symbol.rpartition("/")
    has_bass = bool(stroke and _ROOT.fullmatch(low))
    suffix = _ROOT.sub("", upper if has_bass else symbol, count=1)
    kind = next((kind for kind, known in SUFFIXES.items() if known == suffix), KINDS[parse_chord(symbol).quality])
    _write_name(add(harmony, "root"), "root", symbol)
    add(harmony, "kind", kind).set("text", suffix)
    if has_bass:
        _write_name(add(harmony, "bass"), "bass", low)


def _write_name(element: Element, tag: str, text: str) -> None:
    """Write a root or bass as it is spelled in a symbol."""
    match = _ROOT.match(text)
    step, sign = match.groups() if match else ("C", "")
    add(element, f"{tag}-step", step)
    if _SHIFTS[sign]:
        add(element, f"{tag}-alter", _SHIFTS[sign])
