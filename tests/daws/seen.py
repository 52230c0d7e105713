"""A MIDI file as a program shows it, and as an independent reader (mido) has it.

Times are ticks, 480 a quarter. Notes are (pitch, onset, end), in this order: a track holds no two notes of a pitch at
once, so a small shift does not change which note is which.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import mido

SIGNATURES = ["Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"]
MINOR_SIGNATURES = ["Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m"]

Note = tuple[int, int, int]  # pitch, onset, end
Mark = tuple[int, str]  # tick, text
Control = tuple[int, int, int]  # tick, number, value
BEND = 128  # stands as the number of a control for pitch bends, -8192 to 8191


class Slack(NamedTuple):
    """Ticks by which a program may move the onsets that lie on a sixteenth, the other onsets, and the ends."""

    sixteenths: int = 0
    others: int = 0
    ends: int = 0


@dataclass(frozen=True)
class Part:
    """One track; `program` and `is_drum` are None where a program does not say."""

    name: str
    notes: tuple[Note, ...]
    program: int | None = None
    is_drum: bool | None = None
    lyrics: tuple[Mark, ...] = ()
    controls: tuple[Control, ...] = ()
    channel: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Seen:
    """A piece. Keys are (tick, sharps, is minor); bars are the ticks of the bar lines; None is not compared."""

    parts: tuple[Part, ...]
    tempos: tuple[tuple[int, float], ...] = ()  # (tick, quarters a minute)
    meters: tuple[tuple[int, int, int], ...] = ()
    keys: tuple[tuple[int, int, bool | None], ...] | None = ()
    markers: tuple[Mark, ...] = ()
    bars: tuple[int, ...] | None = None


def changes(events: list[tuple]) -> tuple[tuple, ...]:
    """Events (tick, value ...) in order without those that repeat the value before; the last of a tick counts."""
    result: list[tuple] = []
    for event in sorted({event[0]: event for event in events}.values()):
        if not result or result[-1][1:] != event[1:]:
            result.append(event)
    return tuple(result)


def written(path: Path) -> Seen:
    """Read a MIDI file by mido."""
    file = mido.MidiFile(path, charset="utf-8")
    assert file.ticks_per_beat == 480
    conductor, *tracks = file.tracks
    events = list(absolute(conductor))
    meters = [(tick, m.numerator, m.denominator) for tick, m in events if m.type == "time_signature"]
    end = sum(message.time for message in conductor)
    return Seen(
        tuple(part(track) for track in tracks),
        changes([(tick, round(mido.tempo2bpm(m.tempo), 2)) for tick, m in events if m.type == "set_tempo"]),
        changes(meters),
        changes([(tick, *key(m.key)) for tick, m in events if m.type == "key_signature"]),
        tuple((tick, m.text) for tick, m in events if m.type == "marker"),
        bar_lines(sorted(meters), end),
    )


def part(track: mido.MidiTrack) -> Part:
    """One track of notes."""
    events = list(absolute(track))
    (channel,) = {m.channel for _, m in events if m.type == "note_on"}
    program = next((m.program for _, m in events if m.type == "program_change"), None)
    return Part(
        track.name,
        notes_of(events),
        program,
        channel == 9,
        tuple((tick, m.text) for tick, m in events if m.type == "lyrics"),
        controls_of(events),
        channel,
    )


def notes_of(events: list[tuple[int, mido.Message]], scale: int = 1) -> tuple[Note, ...]:
    """The notes of a track's events; `scale` divides the ticks."""
    open_: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    notes = []
    for tick, message in events:
        if message.type == "note_on" and message.velocity:
            open_[message.channel, message.note].append(tick)
        elif message.type in ("note_on", "note_off"):
            onset = open_[message.channel, message.note].pop(0)
            notes.append((message.note, onset // scale, tick // scale))
    assert not any(open_.values())
    return tuple(sorted(notes))


def controls_of(events: list[tuple[int, mido.Message]], scale: int = 1) -> tuple[Control, ...]:
    """The controls and bends of a track's events, in order; `scale` divides the ticks."""
    found = [(tick // scale, m.control, m.value) for tick, m in events if m.type == "control_change"]
    found += [(tick // scale, BEND, m.pitch) for tick, m in events if m.type == "pitchwheel"]
    return tuple(sorted(found))


def absolute(track: mido.MidiTrack) -> Iterator[tuple[int, mido.Message]]:
    """(tick, message) of a track."""
    tick = 0
    for message in track:
        tick += message.time
        yield tick, message


def key(name: str) -> tuple[int, bool]:
    """(sharps, is minor) of a key as mido names it."""
    is_minor = name.endswith("m")
    return (MINOR_SIGNATURES if is_minor else SIGNATURES).index(name) - 7, is_minor


def bar_lines(meters: list[tuple[int, int, int]], end: int) -> tuple[int, ...]:
    """The ticks of the bar lines up to `end`, where the last one stands."""
    lines = []
    for (tick, numerator, denominator), stop in zip(meters, [*(m[0] for m in meters[1:]), end], strict=True):
        lines += range(tick, stop, 1920 * numerator // denominator)
    return (*lines, end)


def differences(right: Seen, seen: Seen, slack: Slack) -> list[str]:
    """Return sentences about what a program shows otherwise than it should."""
    found = []
    for name in ("tempos", "meters", "keys", "markers", "bars"):
        if getattr(right, name) not in (None, getattr(seen, name)):
            found.append(f"{name}: {getattr(seen, name)}, not {getattr(right, name)}")
    if [part.name for part in right.parts] != [part.name for part in seen.parts]:
        return [*found, f"tracks: {[part.name for part in seen.parts]}, not {[part.name for part in right.parts]}"]
    for is_, should in zip(seen.parts, right.parts, strict=True):
        found += [f"{should.name}: {sentence}" for sentence in _part_differences(should, is_, slack)]
    return found


def _part_differences(right: Part, seen: Part, slack: Slack) -> list[str]:
    found = []
    if replace(right, notes=()) != replace(seen, notes=()):
        found.append(f"{replace(seen, notes=())}, not {replace(right, notes=())}")
    if [note[0] for note in right.notes] != [note[0] for note in seen.notes]:
        return [*found, f"pitches {[note[0] for note in seen.notes]}, not {[note[0] for note in right.notes]}"]
    for should, is_ in zip(right.notes, seen.notes, strict=True):
        onset = slack.others if should[1] % 120 else slack.sixteenths
        if abs(should[1] - is_[1]) > onset or abs(should[2] - is_[2]) > slack.ends:
            found.append(f"note {is_}, not {should}")
    return found
