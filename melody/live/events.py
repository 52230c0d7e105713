"""Scores, composed notes and clicks as MIDI messages with their ticks (480 a quarter)."""

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

import mido

from melody.formats.midi import dumps
from melody.music.general_midi import DRUM_CHANNEL
from melody.music.score import TICKS_PER_QUARTER, Score, bars, resample

WOOD_BLOCKS = (76, 77)  # high for the first beat of a bar, low
CLICK_TICKS = 30
# Order at equal ticks: what ends, what changes the sound, what begins.
_OFF, _CHANGE, _ON = range(3)


class TimedMessage(NamedTuple):
    """A message at its tick."""

    tick: int
    order: int
    message: Any


def events_of(score: Score) -> list[TimedMessage]:
    """Return all messages of a score that sound or change its sound, on the channels of its MIDI file."""
    file = mido.MidiFile(file=io.BytesIO(dumps(score)), charset="utf-8")
    return sorted((event for track in file.tracks for event in _events_of(track)), key=lambda event: event[:2])


def _events_of(track: Iterable[Any]) -> list[TimedMessage]:
    events, tick = [], 0
    for message in track:
        tick += message.time
        if not message.is_meta:
            events.append(TimedMessage(tick, _order(message), message.copy(time=0)))
    return events


def _order(message: Any) -> int:
    return {"note_off": _OFF, "note_on": _ON}.get(message.type, _CHANGE)


def is_setup(event: TimedMessage) -> bool:
    """Return True for a message that sets up the sound of the beginning, and may be sent before it."""
    return event.tick == 0 and event.order == _CHANGE


def note_events(onset: int, duration: int, pitch: int, velocity: int, channel: int) -> list[TimedMessage]:
    """A note's beginning and its end."""
    on = mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)
    off = mido.Message("note_off", channel=channel, note=pitch, velocity=0)
    return [TimedMessage(onset, _ON, on), TimedMessage(onset + duration, _OFF, off)]


def clicks(first: int, stop: int, meter: tuple[int, int]) -> list[TimedMessage]:
    """A click on each beat (the meter's unit) of the bars from one tick to another."""
    beat = 4 * TICKS_PER_QUARTER // meter[1]
    events = []
    for number, tick in enumerate(range(first, stop, beat)):
        accent = number % meter[0] == 0
        events += note_events(tick, CLICK_TICKS, WOOD_BLOCKS[not accent], 100 if accent else 72, DRUM_CHANNEL)
    return events


def tempos_of(score: Score) -> list[tuple[int, float]]:
    """The tempo map as (tick at 480, quarters a minute), from tick 0: 120 by MIDI's default."""
    by_tick = {0: 120.0}
    for tempo in sorted(resample(score, TICKS_PER_QUARTER).tempos, key=lambda tempo: tempo.time):
        by_tick[max(0, tempo.time)] = tempo.qpm
    return list(by_tick.items())


def final_line(score: Score) -> int:
    """The tick (at 480) of the bar line that ends a score."""
    return int(bars(resample(score, TICKS_PER_QUARTER))[-1])
