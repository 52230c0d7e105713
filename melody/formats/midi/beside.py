"""Events of a MIDI file for which a score has no field, kept so that they can be written again.

System-exclusive messages and other events of the whole piece go to the conductor track; aftertouch and the labels of a
track to that track. What stands on channels without notes, and tracks that hold none, stay tracks without notes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from melody.formats.midi.events import MidiFile
from melody.formats.midi.parts import CONTROL, PITCH_BEND, POLY_PRESSURE, PRESSURE, PROGRAM, Messages, Part
from melody.music.score import Ints

CONDUCTOR = -1


class Event(NamedTuple):
    """A meta or system-exclusive event."""

    tick: int
    track: int  # of the score, CONDUCTOR, or from the score's last on one of those without notes
    message: bytes


@dataclass(frozen=True)
class Beside:
    """Events of a file at `tpq` ticks a quarter. Channel messages are rows of (tick, track, packed message)."""

    tpq: int = 480
    tracks: int = 0  # of the score, which have notes
    silent: tuple[str, ...] = ()  # names of the tracks without notes, which are numbered on from there
    events: tuple[Event, ...] = ()
    messages: Ints = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    spelt: Mapping[tuple[int, str], bytes] = field(default_factory=dict)  # bytes of texts that are not UTF-8

    def remarks(self) -> tuple[str, ...]:
        """Return a sentence that counts them; nothing where there are none."""
        if not self.events and not len(self.messages):
            return ()
        kinds = self.messages[:, 2] >> 20
        pressures = int(np.isin(kinds, (PRESSURE, POLY_PRESSURE)).sum())
        exclusive = sum(event.message[0] != 0xFF for event in self.events)
        counts = {
            "aftertouch message": pressures,
            "label": len(self.events) - exclusive,
            "setting of a channel without notes": len(kinds) - pressures,
            "system-exclusive event": exclusive,
        }
        listed = ", ".join(_counted(count, what) for what, count in counts.items() if count)
        return (f"beside the score, kept in the MIDI of takes: {listed}",) if listed else ()


def _counted(count: int, what: str) -> str:
    one, *more = what.split(" of ", 1)
    return f"{count:,} {' of '.join([one + 's' * (count > 1), *more])}"


NOTHING = Beside()


def beside(
    parts: Sequence[Part],
    origins: Sequence[tuple[int, int]],
    spelt: Mapping[tuple[int, str], bytes],
    tpq: int,
    file: MidiFile,
) -> Beside:
    """Return all that stands beside the score of these parts; `origins` are the (part, channel) of each of its tracks.

    Aftertouch goes to every track of its channel. Raises `LimitExceeded` where this makes too many events.
    """
    tracks_of = defaultdict[tuple[int, int], list[int]](list)
    on_channel = defaultdict[int, list[int]](list)
    for track, (number, channel) in enumerate(origins):
        tracks_of[number, channel].append(track)
        on_channel[channel].append(track)
    silent: dict[int, int] = {}  # part -> its track without notes

    def quiet(number: int) -> int:
        return silent.setdefault(number, len(origins) + len(silent))

    events, rows = list[Event](), [np.zeros((0, 3), np.int64)]
    for number, part in enumerate(parts):
        own = [track for track, origin in enumerate(origins) if origin[0] == number]
        if not own and number and part.labels.name:
            quiet(number)
        for tick, message in part.labels.others:
            of_piece = message[0] != 0xFF or not (own or number)
            events.append(Event(tick, CONDUCTOR if of_piece else own[0] if own else quiet(number), message))
        for channel, kind, messages in _by_channel(part):
            is_pressure = kind in (PRESSURE, POLY_PRESSURE)
            if not is_pressure and channel in on_channel:
                continue  # stands in the score
            home = tracks_of.get((number, channel)) or on_channel.get(channel) or [quiet(number)]
            file.count(len(messages.tick) * (len(home) - 1))
            packed = kind << 20 | channel << 16 | messages.first << 8 | messages.second
            rows += [np.stack([messages.tick, np.full_like(packed, track), packed], axis=1) for track in home]
    names = tuple(parts[number].labels.name for number in silent)
    together = np.concatenate(rows) if len(rows) > 1 else rows[0]
    together = together[np.argsort(together[:, 0], kind="stable")]
    return Beside(tpq, len(origins), names, tuple(events), together, spelt)


def _by_channel(part: Part) -> Iterator[tuple[int, int, Messages]]:
    """Yield (channel, kind, messages) in the order in which devices want them: programs, controls, bends, pressures."""
    kinds = {
        CONTROL: part.controls,
        PROGRAM: part.programs,
        PITCH_BEND: part.bends,
        PRESSURE: part.pressures,
        POLY_PRESSURE: part.touches,
    }
    for kind, messages in kinds.items():
        for channel in messages.channels():
            yield channel, kind, messages.on(channel)
