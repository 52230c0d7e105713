"""`<attributes>` of a measure: divisions, meter, key, transposition, measures that repeat others."""

import re
from fractions import Fraction
from xml.etree.ElementTree import Element

from melody.formats.musicxml.content import Content, PartContent, PartMeasure, Transposition, WrittenKey
from melody.formats.musicxml.elements import integer, number

_BEATS = re.compile(r"\s*\d{1,3}(?:\s*\+\s*\d{1,3})*\s*\Z")
_MOST_REPEATED = 8  # measures that one sign repeats


def read_attributes(element: Element, measure: PartMeasure, now: Fraction, part: PartContent, content: Content) -> None:
    """Read the attributes that hold from `now` on."""
    if (text := element.findtext("divisions")) is not None:
        divisions = number(text)
        if divisions:
            part.divisions = abs(divisions)
            part.durations = {}
        if not divisions or divisions < 0:
            content.mend("a division of the quarter that cannot be; went on as well as it goes")
    if (time := element.find("time")) is not None:
        _read_meter(time, measure, content)
    for transpose in element.findall("transpose"):
        part.transpositions[transpose.get("number")] = _transposition(transpose)
    _read_key(element, measure, now, part, content)
    for style in element.findall("measure-style"):
        _read_style(style, measure, content)


def _transposition(transpose: Element) -> Transposition:
    semitones, steps = number(transpose.findtext("chromatic")), integer(transpose.findtext("diatonic"))
    octaves = integer(transpose.findtext("octave-change")) or 0
    return Transposition(round(semitones or 0) + 12 * octaves, None if steps is None else steps + 7 * octaves)


def _read_meter(time: Element, measure: PartMeasure, content: Content) -> None:
    if time.find("senza-misura") is not None:
        measure.is_free = True
        return
    meter = _meter(time)
    measure.meter = meter or measure.meter
    if meter is None:
        content.mend("a meter that cannot be; left out")
    if time.find("interchangeable") is not None:
        content.left_out["interchangeable meters"] += 1


def _meter(time: Element) -> tuple[int, int] | None:
    """Return numerator and denominator; of a compound meter such as 3/8 + 2/4 in its smaller unit."""
    tops = [text.text or "" for text in time.findall("beats")]
    units = [integer(text.text) for text in time.findall("beat-type")]
    if not tops or len(tops) != len(units) or not all(_BEATS.match(top) for top in tops):
        return None
    if not all(unit in (1, 2, 4, 8, 16, 32, 64) for unit in units):
        return None
    below = max(unit for unit in units if unit)
    total = sum(sum(map(int, top.split("+"))) * below // unit for top, unit in zip(tops, units, strict=True) if unit)
    return (total, below) if 1 <= total <= 255 else None


def _read_key(element: Element, measure: PartMeasure, now: Fraction, part: PartContent, content: Content) -> None:
    """Note the key where it, or what it is transposed by, changes."""
    key = element.find("key")
    if key is not None and key.find("fifths") is not None:
        sharps = integer(key.findtext("fifths"))
        if sharps is None or not -7 <= sharps <= 7:
            content.mend("a key that cannot be; left out")
        else:
            part.key = sharps, (key.findtext("mode") or "").strip()
    elif key is not None:
        content.left_out["keys that are no circle of fifths"] += 1
    if part.key is not None and (key is not None or element.find("transpose") is not None):
        measure.keys.append((now, WrittenKey(*part.key, part.transposition())))


def _read_style(style: Element, measure: PartMeasure, content: Content) -> None:
    repeat = style.find("measure-repeat")
    if repeat is not None:
        count = integer(repeat.text or "1") or 1
        starts = repeat.get("type") != "stop"
        measure.repeats.append((style.get("number"), min(max(1, count), _MOST_REPEATED) if starts else 0))
    for sign in ("beat-repeat", "slash"):
        if (found := style.find(sign)) is not None and found.get("type") != "stop":
            content.left_out[f"{sign.replace('-', ' ')} signs"] += 1
