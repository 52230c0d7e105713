"""The scheduler: messages go out at their deadlines, and each step attends to what comes in.

One thread does it all: it sleeps until the next deadline, or a short step, and between steps calls `attend`, which may
add to what is to be sent. However it ends, nothing sounds on: what began is ended by name, then on every channel all
notes are switched off and controllers reset.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mido
import numpy as np

from melody.errors import MelodyError
from melody.live.clock import PULSE_TICKS, TimeSource, Transport
from melody.live.events import TimedMessage, note_events
from melody.live.ports import Outlet

_CLOCK = -1  # a pulse goes before all else of its tick


@dataclass
class Lateness:
    """Lateness of messages in seconds, and counts of those that could not go."""

    notes: list[float] = field(default_factory=list)
    pulses: list[float] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)  # of each note, by the clock
    behind: int = 0  # of them, composed only when they should have sounded already
    missed: int = 0  # notes that were composed when they should have ended

    def lines(self) -> list[str]:
        """Return the figures as lines for people."""
        kinds = {"notes": self.notes, "pulses of clock": self.pulses}
        lines = [f"{len(late)} {kind} sent, late by {spread(late)}" for kind, late in kinds.items() if late]
        if self.behind or self.missed:
            lines.append(f"composed too late: {self.behind} notes that sounded late, {self.missed} that were left out")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for programs, in milliseconds."""
        kinds, counts = {"notes": self.notes, "pulses": self.pulses}, {"behind": self.behind, "missed": self.missed}
        return {k: {"sent": len(v), **quantiles(v)} for k, v in kinds.items() if v} | counts


def quantiles(seconds: Iterable[float]) -> dict[str, float]:
    """Median, 95 % and greatest, in milliseconds."""
    values = np.array(list(seconds)) * 1000
    return {
        "median_ms": round(float(np.median(values)), 3),
        "p95_ms": round(float(np.quantile(values, 0.95)), 3),
        "max_ms": round(float(values.max()), 3),
    }


def spread(seconds: Iterable[float]) -> str:
    """The same as words."""
    median, most, worst = quantiles(seconds).values()
    return f"{median:.2f} ms (median), {most:.2f} ms (95 %), {worst:.2f} ms (max)"


class Scheduler:
    """A port, a clock and what is still to be sent."""

    def __init__(
        self, outlet: Outlet, clock: TimeSource, transport: Transport, *, sends_clock: bool, step_seconds: float
    ) -> None:
        self.clock, self.transport, self.figures = clock, transport, Lateness()
        self.attend: Callable[[float], None] = lambda now: None  # is given the time in each step
        self._outlet, self._sends_clock, self._step_seconds = outlet, sends_clock, step_seconds
        self._queue: list[tuple[int, int, int, Any, bool]] = []  # at last, whether it counts
        self._count = 0  # keeps what is equal in order
        self._next_pulse = 0
        self._sounding: set[tuple[int, int]] = set()  # channel and pitch

    def add(self, events: Iterable[TimedMessage], *, counted: bool = True) -> None:
        """Messages to be sent at their ticks; at once, where these are past. The figures are of those `counted`."""
        for event in events:
            self._count += 1
            heapq.heappush(self._queue, (event.tick, event.order, self._count, event.message, counted))

    def add_note(self, onset: int, duration: int, pitch: int, velocity: int, channel: int) -> bool:
        """A note to be played; at once where it should sound already, not at all where it should have ended."""
        now = self.clock.now()
        if self.transport.seconds_at(onset + duration) <= now:
            self.figures.missed += 1
            return False
        self.figures.behind += self.transport.seconds_at(onset) < now
        self.add(note_events(onset, duration, pitch, velocity, channel))
        return True

    def start(self) -> None:
        """Tell followers that the next pulse is the first of the music."""
        if self._sends_clock:
            self._put(mido.Message("start"))

    def run_until(self, tick: float) -> None:
        """Send all that is due before `tick`, each at its time, and come back when it is time for `tick`."""
        while True:
            now = self.clock.now()
            self.attend(now)
            due, order = min((tick, _CLOCK - 1), self._next())
            deadline = self.transport.seconds_at(due)
            now = self.clock.now()
            if now < deadline:
                self.clock.sleep_until(min(deadline, now + self._step_seconds))
            elif order < _CLOCK:
                return
            elif order == _CLOCK:
                self._pulse(now - deadline)
            else:
                self._send(now, deadline)

    def _next(self) -> tuple[float, int]:
        """Tick and order of what is to be sent next."""
        pulse = (float(self._next_pulse) if self._sends_clock else float("inf"), _CLOCK)
        return min(pulse, self._queue[0][:2]) if self._queue else pulse

    def _pulse(self, late: float) -> None:
        self._put(mido.Message("clock"))
        self.figures.pulses.append(late)
        self._next_pulse += PULSE_TICKS

    def _send(self, now: float, deadline: float) -> None:
        *_, message, counted = heapq.heappop(self._queue)
        self._put(message)
        if message.type == "note_on":
            self._sounding.add((message.channel, message.note))
            if counted:
                self.figures.notes.append(now - deadline)
                self.figures.sent_at.append(now)
        elif message.type == "note_off":
            self._sounding.discard((message.channel, message.note))

    def send_now(self, events: Iterable[TimedMessage]) -> None:
        """Messages that wait for nothing."""
        for event in events:
            self._put(event.message)

    def _put(self, message: Any) -> None:
        try:
            self._outlet.send(message)
        except (OSError, ValueError) as error:  # mido's ports raise either once the other side has gone
            raise MelodyError(f"{getattr(self._outlet, 'name', 'port')}: closed while playing ({error})") from None

    def silence(self) -> None:
        """Forget what was to come and end what sounds."""
        self._queue.clear()
        for channel, pitch in sorted(self._sounding):
            self._put(mido.Message("note_off", channel=channel, note=pitch, velocity=0))
        self._sounding.clear()

    def end(self) -> None:
        """Silence on all channels, controllers as they were, and the clock stopped."""
        self.silence()
        for message in mido.ports.reset_messages():
            self._put(message)
        if self._sends_clock:
            self._put(mido.Message("stop"))


@contextmanager
def performing(scheduler: Scheduler) -> Iterator[Scheduler]:
    """Leave the scheduler silent, however the body ends."""
    try:
        yield scheduler
    except BaseException as error:
        try:
            scheduler.end()
        except MelodyError:  # the port has gone, which is what the body tells
            raise error from None
        raise
    scheduler.end()
