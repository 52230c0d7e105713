"""Signs between the notes of a measure: tempo, loudness, words, rehearsal marks, chord symbols, repeats and jumps."""

import re
from fractions import Fraction
from xml.etree.ElementTree import Element

from melody.formats.musicxml.content import Content, PartContent, PartMeasure
from melody.formats.musicxml.elements import integer, number
from melody.formats.musicxml.playing_order import START, BarSigns
from melody.formats.notation.chord_symbols import symbol_of

_BEAT_UNITS = {
    name: Fraction(*quarters)
    for name, *quarters in (("breve", 8), ("whole", 4), ("half", 2), ("quarter", 1), ("eighth", 1, 2), ("16th", 1, 4))
}
_SLOWEST_QPM, _FASTEST_QPM = 4, 10_000  # MIDI holds no slower one
VELOCITIES = {
    "pppp": 10, "ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 126, "ffff": 127,
}  # fmt: skip
_COUNTED = {
    "wedge": "crescendos and diminuendos", "pedal": "pedal marks", "harp-pedals": "harp pedals",
    "other-direction": "other directions", "image": "pictures",
}  # fmt: skip
_CHANGES = {
    "swing": "swing marks", "midi-instrument": "changes of a sound", "instrument-change": "changes of an instrument",
}  # fmt: skip
_DA_CAPO = re.compile(r"\s*(?:D\.?\s?C\.?|(?i:da\s+capo))(?=\W|$)")
_DAL_SEGNO = re.compile(r"\s*(?:D\.?\s?S\.?|(?i:dal\s+segno))(?=\W|$)")
_TO_CODA = re.compile(r"\s*to\s+coda\W*", re.IGNORECASE)
_FINE = re.compile(r"\s*fine\W*", re.IGNORECASE)
_ANY = "sign"  # the name of a segno or coda that is only drawn
_LONGEST_OFFSET = 1000  # quarters
_LONGEST_PASS = 99  # an ending is for


def read_direction(
    direction: Element, measure: PartMeasure, now: Fraction, part: PartContent, content: Content
) -> None:
    """Read a `<direction>`; what sounds does so at its offset."""
    sound, time = direction.find("sound"), now
    offset = direction.find("offset")
    if offset is not None and offset.get("sound") == "yes":
        time = _moved(now, offset, part, content)
    if sound is not None:
        read_sound(sound, measure, time, part, content)
    has_tempo, has_loudness = (sound is not None and sound.get(name) is not None for name in ("tempo", "dynamics"))
    for kind in direction.findall("direction-type"):
        for sign in kind:
            if sign.tag == "metronome" and not has_tempo:
                _read_metronome(sign, measure, time, content)
            elif sign.tag == "dynamics" and not has_loudness:
                velocity = next((VELOCITIES[mark.tag] for mark in sign if mark.tag in VELOCITIES), None)
                measure.loudness += [(time, velocity)] if velocity else []
            elif sign.tag in ("words", "rehearsal") and (text := content.text(sign, "a direction")):
                (measure.words if sign.tag == "words" else measure.markers).append((time, text))
            elif sign.tag in _COUNTED and sign.get("type") not in ("stop", "continue"):
                content.left_out[_COUNTED[sign.tag]] += 1
    if sound is None or not _read_way(sound, measure.signs):
        _read_drawn_way(direction, measure.signs)


def read_sound(sound: Element, measure: PartMeasure, now: Fraction, part: PartContent, content: Content) -> None:
    """Read a `<sound>`: tempo and loudness, and where to go on if it stands alone."""
    offset = sound.find("offset")
    time = now if offset is None else _moved(now, offset, part, content)
    if sound.get("tempo") is not None:
        _add_tempo(number(sound.get("tempo")), measure, time, content)
    if (percent := number(sound.get("dynamics"))) is not None:  # of a velocity of 90
        measure.loudness.append((time, max(1, min(127, int(percent * 9 / 10)))))
    if sound.get("damper-pedal") is not None:
        content.left_out["pedal marks"] += 1
    content.left_out.update(_CHANGES[change.tag] for change in sound if change.tag in _CHANGES)
    _read_way(sound, measure.signs)


def read_harmony(harmony: Element, measure: PartMeasure, now: Fraction, part: PartContent, content: Content) -> None:
    """Read a chord symbol."""
    symbol, offset = symbol_of(harmony), harmony.find("offset")
    if symbol is None:
        content.left_out["chord symbols that name no chord melody knows"] += 1
        return
    measure.chords.append((now if offset is None else _moved(now, offset, part, content), symbol))


def _moved(now: Fraction, offset: Element, part: PartContent, content: Content) -> Fraction:
    count = number(offset.text)
    move = None if count is None else count / part.divisions
    if move is None or abs(move) > _LONGEST_OFFSET:
        content.mend("an offset that cannot be; left out")
        return now
    content.budget.add_time(move)
    return max(Fraction(0), now + move)


def _add_tempo(qpm: Fraction | None, measure: PartMeasure, time: Fraction, content: Content) -> None:
    if qpm is None or not _SLOWEST_QPM <= qpm <= _FASTEST_QPM:
        content.mend("a tempo that cannot be; left out")
    else:
        measure.tempos.append((time, float(qpm)))


def _read_metronome(metronome: Element, measure: PartMeasure, time: Fraction, content: Content) -> None:
    if metronome.find("per-minute") is None:
        content.left_out["tempo marks without a number"] += 1
    else:
        _add_tempo(_metronome(metronome), measure, time, content)


def _metronome(element: Element) -> Fraction | None:
    """Return the quarters a minute of a mark such as "dotted quarter = c. 60"."""
    unit = _BEAT_UNITS.get((element.findtext("beat-unit") or "").strip())
    said = re.search(r"\d{1,6}(?:\.\d{1,6})?", element.findtext("per-minute") or "")
    if unit is None or said is None:
        return None
    dots = min(4, len(element.findall("beat-unit-dot")))
    return Fraction(said[0]) * unit * (2 - Fraction(1, 2**dots))


# ---- the way through the piece ---------------------------------------------------------------------------------------


def read_barline(barline: Element, measure: PartMeasure) -> None:
    """Read repeats and endings."""
    signs = measure.signs
    if (repeat := barline.find("repeat")) is not None:
        if repeat.get("direction") == "forward":
            signs.opens = True
        elif repeat.get("direction") == "backward":
            signs.times = max(signs.times, min(integer(repeat.get("times", "2")) or 2, _LONGEST_PASS))
            signs.after_jump |= repeat.get("after-jump") == "yes"
    if (ending := barline.find("ending")) is not None:
        if ending.get("type") == "start":
            signs.ending = _passes(ending.get("number", "")) or _passes(ending.text or "") or (1,)
        else:
            signs.ends_ending = True


def _passes(text: str) -> tuple[int, ...]:
    """Return the passes in a text such as "1, 2" or "1-3"."""
    result: set[int] = set()
    for first, last in re.findall(r"(\d{1,2})(?:\s*[-\u2013]\s*(\d{1,2}))?", text[:100]):
        result.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(result))


def _read_way(sound: Element, signs: BarSigns) -> bool:
    """Read what a `<sound>` says of the way; return whether it says anything."""
    if sound.get("dacapo") == "yes":
        signs.jumps.append(START)
    for name, names in (
        ("dalsegno", signs.jumps), ("segno", signs.segnos), ("coda", signs.codas), ("tocoda", signs.to_codas)
    ):  # fmt: skip
        if sound.get(name):
            names.append(sound.get(name, ""))
    signs.fine |= sound.get("fine") is not None
    signs.opens |= sound.get("forward-repeat") == "yes"
    return any(sound.get(name) is not None for name in _WAYS)


_WAYS = ("dacapo", "dalsegno", "segno", "coda", "tocoda", "fine")


def _read_drawn_way(direction: Element, signs: BarSigns) -> None:
    """Read signs and words that a program drew without saying what they mean."""
    words = " ".join(text.text or "" for text in direction.iterfind("direction-type/words"))[:200]
    if _TO_CODA.fullmatch(words):
        signs.to_codas.append(_ANY)
    elif _DA_CAPO.match(words):
        signs.worded_jumps.append(START)
    elif _DAL_SEGNO.match(words):
        signs.worded_jumps.append(_ANY)
    elif _FINE.fullmatch(words):
        signs.fine = True
    if direction.find("direction-type/segno") is not None and not _DAL_SEGNO.match(words):
        signs.segnos.append(_ANY)
    if direction.find("direction-type/coda") is not None and not _TO_CODA.fullmatch(words):
        signs.codas.append(_ANY)
