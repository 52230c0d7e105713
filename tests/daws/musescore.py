"""MuseScore 3: converts without a screen; read from the MusicXML it saves.

It is a notation program: it rounds what it reads to the note values of a page, each note to a sixteenth or a triplet
unless the piece is full of shorter ones, and its tempo marks to whole numbers. Where rhythms mix, it makes one of them
wait for the other. A short rest after a note it gives to the note, as a copyist would.
"""

from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

from daws.desk import Desk
from daws.seen import Note, Part, Seen, Slack, changes

NAME = "MuseScore 3"
NEEDS = ("mscore3",)
SHORTEST = 15  # ticks of 480: a 128th
SLACK = Slack(60, 200, 750)  # the most in 600 pieces, and a little


def read(midi: Path, desk: Desk) -> Seen:
    """Open a file in MuseScore and return what it shows."""
    saved = desk.folder / "saved.musicxml"
    desk.run("mscore3", "-o", saved, midi, QT_QPA_PLATFORM="offscreen")
    return from_musicxml(ET.parse(saved).getroot())


def apart(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Notes without those that begin within `SHORTEST` of one of the same pitch."""
    last: dict[int, int] = {}
    kept = []
    for note in sorted(notes, key=lambda note: note[1]):
        if note[1] - last.get(note[0], -SHORTEST) >= SHORTEST:
            kept.append(note)
        last[note[0]] = note[1]
    return tuple(sorted(kept))


def shows(right: Seen) -> Seen:
    """It names a part "instrument, track"; a pickup is a short bar of the meter after it; a key not told is guessed.

    Two strokes of one pitch nearer than its shortest note are one.
    """
    parts = tuple(
        replace(part, program=None if part.is_drum else part.program, controls=(), notes=apart(part.notes))
        for part in right.parts
    )
    meters = right.meters
    if len(meters) > 1 and meters[0][1] * 1920 // meters[0][2] == meters[1][0] < 1920 * meters[1][1] // meters[1][2]:
        meters = changes([(0, *meters[1][1:]), *meters[1:]])
    keys = changes([(tick, sharps, None) for tick, sharps, _ in right.keys]) if right.keys else None
    tempos = changes([(tick, float(round(qpm))) for tick, qpm in right.tempos])
    return replace(right, parts=parts, tempos=tempos, meters=meters, keys=keys, markers=())


def from_musicxml(score: ET.Element) -> Seen:
    """Read a partwise MusicXML; tempo, meter and key as the first part has them."""
    parts = list(score.iter("part"))
    events, lines = _timeline(parts[0])
    sounds = [(tick, e.find("sound[@tempo]")) for tick, _, e in events]
    times = [(tick, e.find("time")) for tick, _, e in events]
    keys = [(tick, e.find("key")) for tick, _, e in events]
    return Seen(
        tuple(_part(*pair) for pair in zip(score.iter("score-part"), parts, strict=True)),
        changes([(tick, float(e.get("tempo"))) for tick, e in sounds if e is not None]),
        changes([(tick, *(int(e.findtext(n)) for n in ("beats", "beat-type"))) for tick, e in times if e is not None]),
        changes([(tick, int(e.findtext("fifths")), None) for tick, e in keys if e is not None]),
        bars=tuple(lines),
    )


def _timeline(part: ET.Element) -> tuple[list[tuple[int, int, ET.Element]], list[int]]:
    """(onset, end, element) of all that stands in a part's measures, and its bar lines."""
    found, lines, divisions = [], [0], 1
    for measure in part:
        onset = now = end = lines[-1]
        for element in measure:
            divisions = int(element.findtext("divisions", str(divisions)))
            length = int(element.findtext("duration", "0")) * 480 // divisions
            if element.tag == "backup":
                now -= length
            elif element.find("chord") is None:  # else it begins with the note before it
                onset, now = now, now + length
            found.append((onset, onset + length, element))
            end = max(end, now)
        lines.append(round(end / 30) * 30)  # the whole ticks that it writes for septuplets do not sum up to a bar
    return found, lines


def _part(described: ET.Element, measures: ET.Element) -> Part:
    notes = [event for event in _timeline(measures)[0] if event[2].tag == "note" and event[2].find("rest") is None]
    lyrics = sorted((onset, text.text) for onset, _, note in notes for text in note.iterfind("lyric/text"))
    lyrics = dict.fromkeys(lyrics)  # MuseScore 3.2 writes each twice, one upon the other
    is_drum = measures.find(".//unpitched") is not None
    program = None if is_drum else int(described.findtext("midi-instrument/midi-program")) - 1
    name = unescape(described.findtext("part-name")).partition(", ")  # MuseScore escapes &<>" twice
    drums = {e.get("id"): int(e.findtext("midi-unpitched", "0")) - 1 for e in described.iter("midi-instrument")}
    return Part(name[2] or name[0], _tied(notes, drums), program, is_drum, tuple(lyrics))


def _tied(notes: list[tuple[int, int, ET.Element]], drums: dict[str | None, int]) -> tuple[Note, ...]:
    """Notes with those tied to them, whichever voices they stand in."""
    waiting: dict[tuple[int, int], int] = {}  # pitch and end of what is tied on, to where it began
    found = []
    for onset, end, note in sorted(notes, key=lambda event: event[:2]):
        pitch = _pitch(note, drums)
        ties = {tie.get("type") for tie in note.iterfind("tie")}
        onset = waiting.pop((pitch, onset)) if "stop" in ties else onset
        if "start" in ties:
            waiting[pitch, end] = onset
        else:
            found.append((pitch, onset, end))
    return tuple(sorted(found))


def _pitch(element: ET.Element, drums: dict[str | None, int]) -> int:
    if element.find("unpitched") is not None:
        return drums[element.find("instrument").get("id")]
    step = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))[element.findtext("pitch/step")]
    return step + int(element.findtext("pitch/alter", "0")) + 12 * (int(element.findtext("pitch/octave")) + 1)
