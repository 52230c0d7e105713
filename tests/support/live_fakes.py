"""A clock that waits for nobody, a port that is a list, and what tests of live music ask of messages."""

from collections.abc import Iterator
from typing import Any

import mido
import numpy as np
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.generation import NewNote
from melody.live import Jam, JamSettings
from melody.live.composing import at_once
from melody.live.events import final_line
from melody.music.score import Notes, Score, notes_of, set_notes

QUARTER = 480


class FakeClock:
    """Time passes when one sleeps; a sleeper may wake late."""

    def __init__(self, late: float = 0.0) -> None:
        self.time, self.late = 100.0, late

    def now(self) -> float:
        return self.time

    def sleep_until(self, deadline: float) -> None:
        self.time = max(self.time, deadline) + self.late


class Wire:
    """Both ends of a port in this process: what was sent and when, and what comes in at which time."""

    name, closed = "wire", False

    def __init__(self, clock: FakeClock, incoming: list[tuple[float, Any]] | None = None) -> None:
        self.clock, self.sent = clock, []
        self.incoming = sorted(incoming or [], key=lambda pair: pair[0])

    def send(self, message: Any) -> None:
        self.sent.append((self.clock.time, message))

    def poll(self) -> Any:
        return self.incoming.pop(0)[1] if self.incoming and self.incoming[0][0] <= self.clock.time else None

    def of(self, *kinds: str) -> list[tuple[float, Any]]:
        return [(when, message) for when, message in self.sent if message.type in kinds]


def on(pitch: int, channel: int = 0, velocity: int = 80) -> Any:
    return mido.Message("note_on", note=pitch, channel=channel, velocity=velocity)


def off(pitch: int, channel: int = 0) -> Any:
    return mido.Message("note_off", note=pitch, channel=channel)


def hanging(messages: list[Any]) -> set[tuple[int, int]]:
    """The notes that were begun and not ended."""
    sounding = set()
    for message in messages:
        if message.type == "note_on" and message.velocity:
            sounding.add((message.channel, message.note))
        elif message.type in ("note_on", "note_off"):
            sounding.discard((message.channel, message.note))
    return sounding


def silenced(messages: list[Any]) -> bool:
    """Whether nothing hangs, and each channel was told so after its last note."""
    last = max((place for place, m in enumerate(messages) if m.type == "note_on"), default=0)
    told = {m.channel for m in messages[last:] if m.is_cc(123)}
    return not hanging(messages) and told == set(range(16))


def tune(qpm: float = 120, tempos: tuple[tuple[int, float], ...] = (), tracks: int = 1) -> Score:
    """Two bars of quarters."""
    score = Score(480)
    score.time_signatures, score.key_signatures = [TimeSignature(0, 4, 4)], [KeySignature(0, 0, 0)]
    score.tempos = [Tempo(0, qpm=qpm), *(Tempo(tick, qpm=q) for tick, q in tempos)]
    for number in range(tracks):
        track = Track(f"Part {number + 1}", 10 + number, False)
        pitch = np.array([72, 74, 76, 77, 79, 77, 74, 72]) - 12 * number
        set_notes(track, Notes(np.arange(8) * QUARTER, np.full(8, QUARTER), pitch, np.full(8, 80)))
        score.tracks.append(track)
    return score


def as_notes(track: Track) -> list[NewNote]:
    return [NewNote(0, *map(int, row), 0) for row in zip(*notes_of(track), strict=True)]


# ---- call and response ----------------------------------------------------------------------------------------------


class Echo:
    """An answer that repeats the last bars heard an octave higher, and remembers what it was given."""

    def __init__(self, count: int = 1) -> None:
        self.primers: list[Score] = []
        self.count = count

    def __call__(self, primer: Score, number: int) -> Iterator[NewNote]:
        self.primers.append(primer)
        length = final_line(primer)
        for index, track in enumerate(primer.tracks):
            for note in as_notes(track):
                onset, duration = note.onset * 20, note.duration * 20
                if onset >= length - self.count * 1920:
                    yield NewNote(index, onset + self.count * 1920, duration, note.pitch + 12, 80, 0)


def played(notes: list[tuple[float, int]], start: float, qpm: float = 120) -> list[tuple[float, Any]]:
    """Messages of quarters by their place in quarters, with the unevenness of a hand."""
    second = 60 / qpm
    return [
        (start + second * (at + shift) + 0.007 * (-1) ** place, message)
        for place, (at, pitch) in enumerate(notes)
        for shift, message in ((0, on(pitch)), (0.9, off(pitch)))
    ]


BAR = [(0, 60), (1, 62), (2, 64)]
START = 100.25 + 2  # after a bar of count-in at 120


def jam(answer: Any, incoming: list[tuple[float, Any]], **rules: Any) -> tuple[Jam, Wire, list[str]]:
    clock, said = FakeClock(), []
    wire = Wire(clock, incoming)
    rules = {"bars": 1, "qpm": 120, "rounds": 1} | rules
    session = Jam(lambda *heard: at_once(answer(*heard)), (wire, wire), clock, JamSettings(**rules), say=said.append)
    session.run()
    return session, wire, said


def clock_of(start: float, quarters: int, qpm: float) -> list[tuple[float, Any]]:
    pulses = [(start + n * 60 / qpm / 24, mido.Message("clock")) for n in range(24 * quarters)]
    return [(start - 0.01, mido.Message("start")), *pulses]
