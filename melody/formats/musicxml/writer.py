"""Scores as MusicXML: written from melody's own bars, voices, meters and keys, nothing guessed from MIDI.

The quantised score is written, and the same comes back when it is read, but for three things. Voices that share the
staves of a chorale are one part (`open_score` gives each a part of its own). A track with both the lowest and the
highest pitches of MIDI becomes two parts. A drum is written as long as it looks best, since it rings as it will.
Markers that are chords are chord symbols; velocities go along for playback. Divisions are the grid's, 24 a quarter.
Source: MusicXML 3.1 (W3C Community Group report of 2017), which MuseScore 3 checks files against.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from melody.errors import MelodyError
from melody.formats.musicxml.notes import MeasurePen, write_line
from melody.formats.notation.accidentals import Accidentals
from melody.formats.notation.bars import BarVoice, NotatedBar, bars_of, tones_by_bar, voices_in_bar
from melody.formats.notation.clefs import Clef
from melody.formats.notation.directions import Direction, directions_of
from melody.formats.notation.notate import notated
from melody.formats.notation.staves import Staff, StaffPart, groups_of, parts_of
from melody.formats.notation.voicing import SpelledNote
from melody.formats.xml import add, archive, document
from melody.music.general_midi import DRUM_CHANNEL, INSTRUMENTS, drum_name
from melody.music.quantize import quantize
from melody.music.score import GRID, Score, note_count
from melody.storage.files import write_bytes

_DOCTYPE = (
    b'<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
    b'"http://www.musicxml.org/dtds/partwise.dtd">\n'
)
_CONTAINER = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles><rootfile full-path="score.musicxml"/>'
    b"</rootfiles></container>\n"
)


def write_musicxml(
    score: Score,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    force: bool = False,
    open_score: bool = False,
    tidy: bool = False,
) -> Path:
    """Write a score as MusicXML, packed where the name ends in .mxl; return the path.

    `open_score` gives every track a part of its own, and `tidy` notates played music as
    `melody.formats.notation.notate` says.

    Raises `MelodyError` where there are no notes, or the file exists (unless `force`) or cannot be written;
    `LimitExceeded` as `quantize`.
    """
    data = musicxml_bytes(score, title=title, open_score=open_score, tidy=tidy)
    if Path(path).suffix.lower() == ".mxl":
        data = archive({"META-INF/container.xml": _CONTAINER, "score.musicxml": data})
    return write_bytes(path, data, force=force)


def musicxml_bytes(score: Score, *, title: str = "", open_score: bool = False, tidy: bool = False) -> bytes:
    """Return the bytes of a MusicXML document. Raises as `write_musicxml`."""
    if not note_count(score):
        raise MelodyError("a score without notes has no page; compose or read some first")
    quantized = notated(quantize(score)) if tidy else quantize(score)
    bars = bars_of(quantized)
    parts = parts_of(quantized, score, [bar.start for bar in bars] + [bars[-1].stop], open_score)
    marks = directions_of(score, quantized, bars)
    root = Element("score-partwise", version="3.1")
    _header(root, title)
    _part_list(root, parts)
    for index, part in enumerate(parts):
        _part(root, index, part, bars, marks)
    return document(root, _DOCTYPE)


# ---- the head --------------------------------------------------------------------------------------------------------


def _header(root: Element, title: str) -> None:
    if title:
        add(root, "movement-title", title)
    encoding = add(add(root, "identification"), "encoding")
    add(encoding, "software", "melody")
    for element in ("accidental", "beam", "stem"):
        add(encoding, "supports", element=element, type="yes")


def _part_list(root: Element, parts: Sequence[StaffPart]) -> None:
    listed = add(root, "part-list")
    groups = groups_of(parts)
    channels = [channel for channel in range(1, 17) if channel != DRUM_CHANNEL + 1]
    for index, part in enumerate(parts):
        for symbol in [symbol for first, _, symbol in groups if first == index]:
            group = add(listed, "part-group", type="start", number=1)
            add(group, "group-symbol", symbol)
            add(group, "group-barline", "yes")
        channel = DRUM_CHANNEL + 1 if part.is_drum else channels[index % len(channels)]
        _score_part(listed, index, part, channel, is_alone=len(parts) == 1)
        if index in [last for _, last, _ in groups]:
            add(listed, "part-group", type="stop", number=1)


def _score_part(listed: Element, index: int, part: StaffPart, channel: int, is_alone: bool) -> None:
    entry = add(listed, "score-part", id=f"P{index + 1}")
    add(entry, "part-name", part.name, **({"print_object": "no"} if is_alone else {}))
    instruments = _instruments(part, index)
    for identity, name, _ in instruments:
        add(add(entry, "score-instrument", id=identity), "instrument-name", name)
    for identity, _, pitch in instruments:
        midi = add(entry, "midi-instrument", id=identity)
        add(midi, "midi-channel", channel)
        add(midi, "midi-program", 1 if part.is_drum else part.program + 1)
        if pitch is not None:
            add(midi, "midi-unpitched", pitch + 1)


def _instruments(part: StaffPart, index: int) -> list[tuple[str, str, int | None]]:
    """Return identity, name and drum pitch of the instruments of a part: each drum is one."""
    if not part.is_drum:
        return [(f"P{index + 1}-I1", INSTRUMENTS[part.program & 127], None)]
    pitches = sorted({tone.pitch for staff in part.staves for line in staff.lines for tone in line})
    return [(f"P{index + 1}-I{pitch + 1}", drum_name(pitch), pitch) for pitch in pitches]


# ---- measures --------------------------------------------------------------------------------------------------------


class _Desk(NamedTuple):
    """A staff, the notes of its lines bar by bar, and the accidentals in force."""

    staff: Staff
    tones: list[list[list[SpelledNote]]]  # by line and bar
    memory: Accidentals


def _part(
    root: Element, index: int, part: StaffPart, bars: Sequence[NotatedBar], marks: Sequence[Sequence[Direction]]
) -> None:
    element = add(root, "part", id=f"P{index + 1}")
    desks = [_Desk(s, [tones_by_bar(line, bars) for line in s.lines], Accidentals()) for s in part.staves]
    clefs: list[Clef] = []
    for place, (bar, all_marks) in enumerate(zip(bars, marks, strict=True)):
        here = [mark for mark in all_marks if index == 0 or mark.is_for_all]
        measure = add(element, "measure", number=bar.number, **({"implicit": "yes"} if bar.is_pickup else {}))
        before, clefs = clefs, [staff.clefs[place] for staff in part.staves]
        opening = [mark for mark in here if mark.tick == 0]
        _attributes(measure, part, bar, opening, _changed(before, clefs), is_first=not place)
        for mark in opening:
            if mark.sharps is None:
                mark.write(measure, part)
        for number, desk in enumerate(desks):
            keys = [] if part.is_drum else [mark for mark in here if mark.sharps is not None]
            lines = voices_in_bar(desk.staff, [line[place] for line in desk.tones], bar, part.is_drum)
            pen = MeasurePen(measure, f"P{index + 1}", part, bar, number, _accidentals(lines, bar, desk.memory, keys))
            _write_lines(pen, lines, [] if number else [mark for mark in here if mark.tick > 0])
    add(add(measure, "barline", location="right"), "bar-style", "light-heavy")


def _write_lines(pen: MeasurePen, lines: Sequence[BarVoice], marks: Sequence[Direction]) -> None:
    """Write all voices of a staff; signs inside the bar go with the first."""
    for line in lines:
        if pen.staff or line.voice:
            add(add(pen.measure, "backup"), "duration", pen.bar.stop - pen.bar.start)
        write_line(pen, line, () if line.voice else marks)


def _changed(before: Sequence[Clef], clefs: Sequence[Clef]) -> list[tuple[int, Clef]]:
    """Return the clefs that are new, by the number of their staff."""
    numbered = list(enumerate(clefs, 1))
    return [(number, clef) for number, clef in numbered if not before or before[number - 1] != clef]


def _attributes(
    measure: Element,
    part: StaffPart,
    bar: NotatedBar,
    opening: Sequence[Direction],
    clefs: Sequence[tuple[int, Clef]],
    is_first: bool,
) -> None:
    keys = [mark for mark in opening if mark.sharps is not None]
    if not (clefs or keys or bar.changes_meter):
        return
    attributes = add(measure, "attributes")
    if is_first:
        add(attributes, "divisions", GRID)
    for mark in keys:
        mark.write_key(attributes, part.is_drum)
    if bar.changes_meter:
        time = add(attributes, "time")
        add(time, "beats", bar.meter[0])
        add(time, "beat-type", bar.meter[1])
    if is_first and len(part.staves) > 1:
        add(attributes, "staves", len(part.staves))
    for number, clef in clefs:
        _clef(attributes, clef, {"number": number} if len(part.staves) > 1 else {})
    if is_first and part.raised:
        transpose = add(attributes, "transpose")
        add(transpose, "diatonic", 0)
        add(transpose, "chromatic", 0)
        add(transpose, "octave-change", -part.raised)


def _clef(attributes: Element, clef: Clef, number: dict[str, object]) -> None:
    element = add(attributes, "clef", **number)
    add(element, "sign", clef.sign)
    if clef.sign != "percussion":
        add(element, "line", clef.line)
    if clef.shift:
        add(element, "clef-octave-change", clef.shift)


def _accidentals(
    lines: Sequence[BarVoice], bar: NotatedBar, memory: Accidentals, keys: Sequence[Direction]
) -> dict[tuple[int, int], str]:
    """Return the accidentals of a staff in a bar, by (tick, pitch), in the order of time through all its voices."""
    memory.next_bar()
    pending = sorted(keys, key=lambda mark: mark.tick)
    result: dict[tuple[int, int], str] = {}
    notes = sorted({(w.value.start, t) for line in lines for w in line.values for t in w.tones})
    for tick, tone in notes:
        while pending and pending[0].tick <= tick:
            memory.set_key(pending.pop(0).sharps or 0)
        if tone.onset == bar.start + tick and (tick, tone.pitch) not in result and (name := memory.shown(tone.written)):
            result[tick, tone.pitch] = name
    for mark in pending:
        memory.set_key(mark.sharps or 0)
    return result
