"""MusicXML documents to a `Score` at 480 ticks a quarter: bounded, quick, every repair stated.

One track a part (both staves of a piano are one part), at sounding pitch; tied notes are one note, grace and cue notes
are left out, repeats are not unfolded. Bars come from the measures, as `measures` tells. A document that is cut off is
read up to its last whole measure.
Source: MusicXML 4.0, W3C Community Group report of 2021.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from symusic import KeySignature, Tempo, Track

from melody.errors import LimitExceeded, UnreadableFile
from melody.formats.midi.reader import Reading
from melody.formats.midi.texts import decode
from melody.formats.midi.track import Limits, Repairs
from melody.formats.musicxml.document import MAX_DOCUMENT_BYTES, document
from melody.formats.musicxml.measures import (
    DEFAULT_VELOCITY,
    MINOR_MODES,
    Sound,
    as_notes,
    joint_measures,
    ticks,
    time_signatures,
    untie,
)
from melody.music.general_midi import DRUM_CHANNEL, INSTRUMENTS
from melody.music.score import MAX_BARS, TICKS_PER_QUARTER, Score, set_notes
from melody.storage.files import read_bytes

MAX_NOTES = 40_000  # some seconds; a movement of a symphony has fewer
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MAX_ELEMENTS = 500_000  # of the header, or of a measure
_STEP_BYTES = 1 << 16
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}(?:\.\d{0,9})?\s*\Z")
_BEATS = re.compile(r"\s*\d{1,3}(?:\s*\+\s*\d{1,3})*\s*\Z")
_BEAT_UNITS = {
    name: Fraction(*quarters)
    for name, *quarters in (("breve", 8), ("whole", 4), ("half", 2), ("quarter", 1), ("eighth", 1, 2), ("16th", 1, 4))
}
_SLOWEST_QPM, _FASTEST_QPM = 4, 10_000  # MIDI holds no slower one


@dataclass
class _Measure:
    """A measure of one part; times in quarters from its beginning."""

    length: Fraction = Fraction(0)
    sounds: list[Sound] = field(default_factory=list)
    meter: tuple[int, int] | None = None
    keys: list[tuple[Fraction, int, str | None]] = field(default_factory=list)  # (time, sharps, mode)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)  # (time, qpm)


@dataclass
class _Part:
    """A part and where its reading stands."""

    name: str
    program: int = 0
    has_program: bool = False
    is_drum: bool = False
    drums: dict[str, int] = field(default_factory=dict)  # instrument -> pitch of an unpitched note
    measures: list[_Measure] = field(default_factory=list)
    divisions: Fraction = Fraction(1)  # of a quarter
    transposition: dict[str | None, int] = field(default_factory=dict)  # staff (None: all) -> semitones


@dataclass
class _Document:
    """What has been read of a document."""

    name: str
    repairs: Repairs
    title: str = ""
    parts: dict[str, _Part] = field(default_factory=dict)
    notes: int = 0
    place: str = ""

    def mend(self, sentence: str) -> None:
        """Note a repair in the present measure."""
        self.repairs.add(sentence, self.place)

    def text(self, element: Element | None) -> str:
        """The text of an element, without control characters."""
        words = " ".join((element.text or "").split()) if element is not None else ""
        return decode(words.encode("utf-8", "replace"), Limits().text_characters, self.repairs, "a name", breaks=False)


def read_musicxml(path: str | os.PathLike[str]) -> Score:
    """Read a MusicXML file (.musicxml, .xml, .mxl). Raises `UnreadableFile` or `LimitExceeded`."""
    return parse_musicxml(read_bytes(path, MAX_DOCUMENT_BYTES), os.fspath(path)).score


def parse_musicxml(data: bytes, name: str = "<bytes>") -> Reading:
    """Read the bytes of a MusicXML file, packed or plain; `name` stands in messages. Raises as `read_musicxml`."""
    repairs = Repairs()
    read = _Document(name, repairs)
    _read_document(document(data, name, repairs), read)
    if not read.notes:
        reason = f": {repairs.sentences()[0]}" if repairs else ""
        raise UnreadableFile(f"{name}: no notes in it{reason}; open it in a notation editor")
    return Reading(_score(read), repairs.sentences(), (), read.title)


def _read_document(data: bytes, read: _Document) -> None:
    leaf, part, pending = "", "", 0
    try:
        for event, element in _events(data):
            if event == "start":
                pending += 1
                if pending > _MAX_ELEMENTS:
                    raise LimitExceeded(f"{read.name}: over {_MAX_ELEMENTS:,} elements in one place; it is no music")
                leaf = leaf or _leaf(element, read)
                part = element.get("id", "") if element.tag == "part" else part
            elif element.tag == leaf:
                _read_measure(element, _part(part, read), read)
                element.clear()
                pending = 0
            else:
                _read_header(element, read)
    except ParseError as error:
        reason = " ".join(str(error).split())
        read.repairs.add("a document that is cut off or damaged; kept what came before", reason)
        if not leaf:
            raise UnreadableFile(f"{read.name}: not readable as MusicXML ({reason}); export it again") from error


def _events(data: bytes) -> Iterator[tuple[str, Element]]:
    """The starts and ends of elements, step by step: the whole tree of a large document would fill the memory."""
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    for start in range(0, len(data), _STEP_BYTES):
        parser.feed(data[start : start + _STEP_BYTES])
        yield from parser.read_events()  # type: ignore[misc]
    parser.close()
    yield from parser.read_events()  # type: ignore[misc]


def _leaf(root: Element, read: _Document) -> str:
    """The element that holds a measure of one part."""
    leaf = {"score-partwise": "measure", "score-timewise": "part"}.get(root.tag)
    if leaf is None:
        shown = ascii(root.tag)[1:41]
        raise UnreadableFile(f"{read.name}: not readable as MusicXML (its root is {shown}); export it as MusicXML")
    return leaf


# ---- parts -----------------------------------------------------------------------------------------------------------


def _read_header(element: Element, read: _Document) -> None:
    """Titles and the list of parts."""
    if element.tag in ("work-title", "movement-title"):
        read.title = read.title or read.text(element)
    elif element.tag == "score-part":
        part = _part(element.get("id", ""), read)
        part.name = read.text(element.find("part-name"))
        spoken = element.find("score-instrument/instrument-name")
        named = {name.casefold(): number for number, name in enumerate(INSTRUMENTS)}
        part.program = named.get(read.text(spoken).casefold(), named.get(part.name.casefold(), 0))
        for midi in element.iter("midi-instrument"):
            _read_instrument(midi, part)


def _read_instrument(midi: Element, part: _Part) -> None:
    """MusicXML counts programs, channels and drums from 1; a part's first program counts."""
    channel, program, drum = (_integer(midi.findtext(f"midi-{what}")) for what in ("channel", "program", "unpitched"))
    part.is_drum = part.is_drum or channel == DRUM_CHANNEL + 1
    if program is not None and 1 <= program <= 128 and not part.has_program:
        part.program, part.has_program = program - 1, True
    if drum is not None and 1 <= drum <= 128:
        part.drums[midi.get("id", "")] = drum - 1


def _part(identity: str, read: _Document) -> _Part:
    if identity not in read.parts and len(read.parts) >= Limits().tracks:
        raise LimitExceeded(f"{read.name}: over {Limits().tracks:,} parts, all that melody reads; leave some out")
    return read.parts.setdefault(identity, _Part(f"Part {len(read.parts) + 1}"))


def _integer(text: str | None) -> int | None:
    number = _number(text)
    return int(number) if number is not None and number.denominator == 1 else None


@lru_cache(4096)  # a piece has few different ones
def _number(text: str | None) -> Fraction | None:
    return Fraction(text.strip()) if text is not None and _NUMBER.match(text) else None


# ---- measures --------------------------------------------------------------------------------------------------------


@dataclass
class _Pen:
    """Where the writing of a measure stands, in quarters from its beginning."""

    now: Fraction = Fraction(0)
    onset: Fraction = Fraction(0)  # of the latest note: a chord's other notes begin with it


def _read_measure(element: Element, part: _Part, read: _Document) -> None:
    measure, pen = _Measure(), _Pen()
    part.measures.append(measure)
    if len(part.measures) > MAX_BARS:
        raise LimitExceeded(f"{read.name}: over {MAX_BARS:,} measures, all that melody reads; cut the piece")
    read.place = f"{part.name or 'a part'}, measure {len(part.measures):,}"
    for child in element:
        if child.tag == "note":
            _read_note(child, measure, pen, part, read)
        elif child.tag in ("backup", "forward"):
            move = _duration(child, part, read) or Fraction(0)
            pen.now += move if child.tag == "forward" else -move
            if pen.now < 0:
                pen.now = Fraction(0)
                read.mend("a step back to before its measure; went to its beginning")
        elif child.tag == "attributes":
            _read_attributes(child, measure, pen, part, read)
        elif child.tag in ("direction", "sound"):
            _read_tempo(child, measure, pen, read)
        measure.length = max(measure.length, pen.now)


def _duration(element: Element, part: _Part, read: _Document) -> Fraction | None:
    """Quarters; None where it has none that makes sense."""
    number = _number(element.findtext("duration"))
    if number is None or number < 0:
        read.mend("a duration that cannot be; left out")
        return None
    return _quotient(number, part.divisions)


@lru_cache(4096)
def _quotient(number: Fraction, divisions: Fraction) -> Fraction:
    return number / divisions


def _read_note(note: Element, measure: _Measure, pen: _Pen, part: _Part, read: _Document) -> None:
    holds = {child.tag: child for child in note}
    if "grace" in holds or (length := _duration(note, part, read)) is None:
        return
    if "chord" not in holds:
        pen.onset, pen.now = pen.now, pen.now + length
    if "rest" in holds or "cue" in holds or not length:
        return
    pitch = _pitch(holds, part)
    if pitch is None or not 0 <= pitch <= 127:
        read.mend("a note whose pitch cannot be; left out")
        return
    read.notes += 1
    if read.notes > MAX_NOTES:
        raise LimitExceeded(f"{read.name}: over {MAX_NOTES:,} notes, all that melody reads; cut the piece")
    continues = "tie" in holds and any(tie.get("type") == "stop" for tie in note.iter("tie"))
    measure.sounds.append(Sound(pen.onset, pen.onset + length, pitch, _velocity(note), continues))


def _pitch(holds: dict[str, Element], part: _Part) -> int | None:
    """The sounding MIDI pitch of a note that holds these elements."""
    pitch = holds.get("pitch")
    if pitch is not None:
        height = _height(pitch.findtext("step"), pitch.findtext("octave"), pitch.findtext("alter", "0"))
        staff = holds["staff"].text if part.transposition and "staff" in holds else None
        shift = part.transposition.get(staff, part.transposition.get(None, 0))
        return None if height is None else height + shift
    unpitched = holds.get("unpitched")
    if unpitched is None:
        return None
    part.is_drum = True
    instrument = holds.get("instrument")
    stored = part.drums.get(instrument.get("id", "")) if instrument is not None else None
    written = _height(unpitched.findtext("display-step"), unpitched.findtext("display-octave"))
    return written if stored is None else stored


@lru_cache(4096)
def _height(step: str | None, octave: str | None, alter: str = "0") -> int | None:
    """The MIDI pitch of a step; quarter tones are rounded up."""
    number, semitones, raised = _integer(octave), _STEPS.get((step or "").strip()), _number(alter)
    if number is None or semitones is None or raised is None:
        return None
    return 12 * (number + 1) + semitones + int((raised + Fraction(1, 2)) // 1)


def _velocity(note: Element) -> int:
    percent = _number(note.get("dynamics"))  # of a velocity of 90
    return DEFAULT_VELOCITY if percent is None else max(1, min(127, int(percent * 9 / 10)))


# ---- meters, keys, tempos --------------------------------------------------------------------------------------------


def _read_attributes(element: Element, measure: _Measure, pen: _Pen, part: _Part, read: _Document) -> None:
    if (text := element.findtext("divisions")) is not None:
        divisions = _number(text)
        if divisions:
            part.divisions = abs(divisions)
        if not divisions or divisions < 0:
            read.mend("a division of the quarter that cannot be; went on as well as it goes")
    if (time := element.find("time")) is not None and time.find("senza-misura") is None:
        measure.meter = _meter(time) or measure.meter
        if _meter(time) is None:
            read.mend("a meter that cannot be; left out")
    if (fifths := element.find("key/fifths")) is not None:
        sharps = _integer(fifths.text)
        if sharps is None or not -7 <= sharps <= 7:
            read.mend("a key that cannot be; left out")
        else:
            measure.keys.append((pen.now, sharps, element.findtext("key/mode")))
    for transpose in element.iter("transpose"):
        steps, octaves = (_integer(transpose.findtext(what)) or 0 for what in ("chromatic", "octave-change"))
        part.transposition[transpose.get("number")] = steps + 12 * octaves


def _meter(time: Element) -> tuple[int, int] | None:
    """Numerator and denominator, of a compound meter such as 3/8 + 2/4 in its smaller unit; None where it is none."""
    tops = [text.text or "" for text in time.iter("beats")]
    units = [_integer(text.text) for text in time.iter("beat-type")]
    if not tops or len(tops) != len(units) or not all(_BEATS.match(top) for top in tops):
        return None
    if not all(unit in (1, 2, 4, 8, 16, 32, 64) for unit in units):
        return None
    below = max(unit for unit in units if unit)
    total = sum(sum(map(int, top.split("+"))) * below // unit for top, unit in zip(tops, units, strict=True) if unit)
    return (total, below) if 1 <= total <= 255 else None


def _read_tempo(element: Element, measure: _Measure, pen: _Pen, read: _Document) -> None:
    sound = element if element.tag == "sound" else element.find("sound")
    metronome = element.find("direction-type/metronome")
    if sound is not None and sound.get("tempo") is not None:
        qpm = _number(sound.get("tempo"))
    elif metronome is not None and metronome.find("per-minute") is not None:
        qpm = _metronome(metronome)
    else:
        return
    if qpm is None or not _SLOWEST_QPM <= qpm <= _FASTEST_QPM:
        read.mend("a tempo that cannot be; left out")
    else:
        measure.tempos.append((pen.now, float(qpm)))


def _metronome(element: Element) -> Fraction | None:
    """Quarters a minute of a mark such as "dotted quarter = c. 60"."""
    unit = _BEAT_UNITS.get((element.findtext("beat-unit") or "").strip())
    said = re.search(r"\d{1,6}(?:\.\d{1,6})?", element.findtext("per-minute") or "")
    if unit is None or said is None:
        return None
    dots = min(4, len(element.findall("beat-unit-dot")))
    return Fraction(said[0]) * unit * (2 - Fraction(1, 2**dots))


# ---- the score -------------------------------------------------------------------------------------------------------


def _score(read: _Document) -> Score:
    parts = [part for part in read.parts.values() if part.measures]
    by_part = [[measure.length for measure in part.measures] for part in parts]
    rows = [[part.measures[i] for part in parts if i < len(part.measures)] for i in range(max(map(len, by_part)))]
    meters = [next((measure.meter for measure in row if measure.meter), None) for row in rows]
    measures = joint_measures(by_part, meters)
    measures = [m if m.length else m._replace(length=m.full) for m in measures]  # left empty
    starts = [*accumulate((measure.length for measure in measures), initial=Fraction(0))]
    if starts[-1] > 4 * MAX_BARS:
        raise LimitExceeded(f"{read.name}: {int(starts[-1]):,} quarters; melody reads up to {4 * MAX_BARS:,}; cut it")
    score = Score(TICKS_PER_QUARTER)
    for part in parts:
        score.tracks.append(_track(part, starts))
    score.time_signatures = time_signatures(measures)
    for row, start in zip(rows, starts, strict=False):
        tempos = next((measure.tempos for measure in row if measure.tempos), [])
        score.tempos.extend([Tempo(ticks(start + time), qpm=qpm) for time, qpm in tempos])
    score.key_signatures = _keys(rows, starts)
    _settle_modes(score, rows)
    return score


def _track(part: _Part, starts: list[Fraction]) -> Track:
    track = Track(part.name, 0 if part.is_drum else part.program, part.is_drum)
    sounds = [
        sound._replace(start=start + sound.start, end=start + sound.end)
        for measure, start in zip(part.measures, starts, strict=False)
        for sound in measure.sounds
    ]
    set_notes(track, as_notes(untie(sounds)))
    return track


def _keys(rows: list[list[_Measure]], starts: list[Fraction]) -> list[KeySignature]:
    result: list[KeySignature] = []
    for row, start in zip(rows, starts, strict=False):
        for time, sharps, mode in next((measure.keys for measure in row if measure.keys), []):
            key = KeySignature(ticks(start + time), sharps, int((mode or "").strip() in MINOR_MODES))
            if not result or (result[-1].key, result[-1].tonality) != (key.key, key.tonality):
                result.append(key)
    return result


def _settle_modes(score: Score, rows: list[list[_Measure]]) -> None:
    """Where no signature says its mode, take the mode of the key that the notes suggest; changes `score`."""
    if not score.key_signatures or any(mode for row in rows for measure in row for _, _, mode in measure.keys):
        return
    from melody.music.key import estimate_key

    tonality = estimate_key(score).tonality
    for key in score.key_signatures:
        key.tonality = tonality
