"""Notes of a voice in a bar as MusicXML elements, each with its children in the order that the format asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from melody.formats.notation.bars import BarVoice, NotatedBar, WrittenValue
from melody.formats.notation.directions import Direction
from melody.formats.notation.drum_staff import drum
from melody.formats.notation.rhythm import TYPES
from melody.formats.notation.staves import StaffPart
from melody.formats.notation.voicing import SpelledNote
from melody.formats.xml import add


@dataclass(frozen=True)
class MeasurePen:
    """The place of notes: a measure of a part, the staff from 0, and the accidentals by (tick, pitch)."""

    measure: Element
    part_id: str
    part: StaffPart
    bar: NotatedBar
    staff: int
    accidentals: Mapping[tuple[int, int], str]


def write_line(pen: MeasurePen, line: BarVoice, marks: Sequence[Direction] = ()) -> None:
    """Write all values of a voice, and before the value during which it falls, at its own time, each mark."""
    for written in line.values:
        for mark in marks:
            if written.value.start <= mark.tick < written.value.stop:
                _write_mark(pen, mark, mark.tick - written.value.start)
        notes = written.tones or (None,)
        for tone in notes:
            _write_note(pen, line, written, tone, is_first=tone is notes[0])


def _write_mark(pen: MeasurePen, mark: Direction, ahead: int) -> None:
    if ahead:
        add(add(pen.measure, "forward"), "duration", ahead)
    mark.write(pen.measure, pen.part)
    if ahead:
        add(add(pen.measure, "backup"), "duration", ahead)


def _write_note(
    pen: MeasurePen, line: BarVoice, written: WrittenValue, tone: SpelledNote | None, is_first: bool
) -> None:
    """Write a rest or a note; all notes of a chord but the first say that they belong to it."""
    note = add(pen.measure, "note", **_attributes(written, tone))
    if not is_first:
        add(note, "chord")
    _sound(note, pen, written, tone)
    ties = _ties(pen, written, tone)
    for tie in ties:
        add(note, "tie", type=tie)
    if tone is not None and pen.part.is_drum:
        add(note, "instrument", id=f"{pen.part_id}-I{tone.pitch + 1}")
    add(note, "voice", 4 * pen.staff + line.voice + 1)
    _look(note, pen, line, written, tone)
    if len(pen.part.staves) > 1:
        add(note, "staff", pen.staff + 1)
    for level, word in enumerate(written.beams if is_first else (), 1):
        add(note, "beam", word, number=level)
    _notations(note, line, written, ties, is_first)
    if tone is not None and tone.lyric[0] and "stop" not in ties:
        lyric = add(note, "lyric", number=1)
        add(lyric, "syllabic", tone.lyric[1])
        add(lyric, "text", tone.lyric[0])


def _attributes(written: WrittenValue, tone: SpelledNote | None) -> dict[str, object]:
    if tone is None:
        return {"print_object": "no"} if written.is_hidden else {}
    return {"dynamics": -(-tone.velocity * 1000 // 9) / 100}  # percent of 90, rounded up: readers round down


def _sound(note: Element, pen: MeasurePen, written: WrittenValue, tone: SpelledNote | None) -> None:
    """Write rest or pitch, and duration."""
    value = written.value
    if tone is None:
        add(note, "rest", **({} if value.kind else {"measure": "yes"}))
    elif pen.part.is_drum:
        unpitched, place = add(note, "unpitched"), drum(tone.pitch)
        add(unpitched, "display-step", place.step)
        add(unpitched, "display-octave", place.octave)
    else:
        pitch = add(note, "pitch")
        add(pitch, "step", tone.written.step)
        if tone.written.alter:
            add(pitch, "alter", tone.written.alter)
        add(pitch, "octave", tone.written.octave + pen.part.raised)
    add(note, "duration", value.stop - value.start)


def _ties(pen: MeasurePen, written: WrittenValue, tone: SpelledNote | None) -> list[str]:
    if tone is None or pen.part.is_drum:
        return []
    start, stop = pen.bar.start + written.value.start, pen.bar.start + written.value.stop
    return ["stop"] * (tone.onset < start) + ["start"] * (tone.end > stop)


def _look(note: Element, pen: MeasurePen, line: BarVoice, written: WrittenValue, tone: SpelledNote | None) -> None:
    """Write type, dots, accidental, triplet, stem and head."""
    value = written.value
    if value.kind:
        add(note, "type", value.kind)
    for _ in range(value.dots):
        add(note, "dot")
    if tone is not None and not pen.part.is_drum and (name := pen.accidentals.get((value.start, tone.pitch))):
        add(note, "accidental", name)
    if value.triplet:
        modification = add(note, "time-modification")
        add(modification, "actual-notes", 3)
        add(modification, "normal-notes", 2)
        add(modification, "normal-type", _third_of(value.triplet))
    if tone is not None and line.stem and value.kind not in ("whole", "breve"):
        add(note, "stem", line.stem)
    if tone is not None and pen.part.is_drum and (head := drum(tone.pitch).head) != "normal":
        add(note, "notehead", head)


def _third_of(triplet: tuple[int, int]) -> str:
    """Return the type of which a triplet has three: of a quarter, eighths."""
    return TYPES[((triplet[1] - triplet[0]) // 3).bit_length() - 1]


def _notations(note: Element, line: BarVoice, written: WrittenValue, ties: Sequence[str], is_first: bool) -> None:
    edges = _bracket(line, written) if is_first else []
    if not ties and not edges:
        return
    notations = add(note, "notations")
    for tie in ties:
        add(notations, "tied", type=tie)
    for edge, attributes in edges:
        add(notations, "tuplet", type=edge, number=1, **attributes)


def _bracket(line: BarVoice, written: WrittenValue) -> list[tuple[str, dict[str, str]]]:
    """Return where a triplet begins or ends; a bracket is drawn where no beam holds it together."""
    value = written.value
    if value.triplet is None:
        return []
    is_beamed = all(other.beams for other in line.values if other.value.triplet == value.triplet)
    start = [("start", {"bracket": "no" if is_beamed else "yes"})] if value.start == value.triplet[0] else []
    return [*start, ("stop", {})] if value.stop == value.triplet[1] else [*start]
