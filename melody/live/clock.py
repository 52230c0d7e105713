"""Time: a clock that is told when to wake, and ways from ticks (480 a quarter) to its seconds and back.

A deadline is always computed from the start, never from the deadline before: so a late one leaves no trace in those
that follow, and an hour of music ends when it should. The clock never goes back, whatever is done to the time of day.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from melody.music.score import TICKS_PER_QUARTER

PULSES_PER_QUARTER = 24  # of MIDI clock
PULSE_TICKS = TICKS_PER_QUARTER // PULSES_PER_QUARTER
FITTED_PULSES = PULSES_PER_QUARTER + 1  # the tempo is that of the last quarter
FASTEST_QPM = 600.0  # pulses that come faster, a quarter long, are noise
FEWEST_PULSES = 7  # a sixteenth: of fewer, jitter makes no tempo
LOST_AFTER_SECONDS = 1.0  # without a pulse; the slowest that could be meant is 2.5 quarters a minute


class TimeSource(Protocol):
    """Source of time, in seconds from any origin, that can wait."""

    def now(self) -> float: ...

    def sleep_until(self, deadline: float) -> None: ...


class SystemClock:
    """The finest monotonic clock of the system; it sleeps and never spins."""

    def now(self) -> float:
        return time.perf_counter()

    def sleep_until(self, deadline: float) -> None:
        if (wait := deadline - time.perf_counter()) > 0:
            time.sleep(wait)


class Transport(Protocol):
    """Conversion of ticks to seconds and back."""

    def seconds_at(self, tick: float) -> float: ...

    def tick_at(self, seconds: float) -> float: ...


class TempoMap:
    """Tempos that are known: (tick, quarters a minute), in order, the first from tick 0; tick 0 is at `start`."""

    def __init__(self, tempos: Sequence[tuple[int, float]], start: float) -> None:
        self._ticks = [0] + [tick for tick, _ in tempos[1:]]
        self._rates = [60 / (qpm * TICKS_PER_QUARTER) for _, qpm in tempos]  # seconds a tick
        self._seconds = [start]
        for place, tick in enumerate(self._ticks[1:]):
            self._seconds.append(self._seconds[-1] + (tick - self._ticks[place]) * self._rates[place])

    def seconds_at(self, tick: float) -> float:
        place = max(0, bisect_right(self._ticks, tick) - 1)
        return self._seconds[place] + (tick - self._ticks[place]) * self._rates[place]

    def tick_at(self, seconds: float) -> float:
        place = max(0, bisect_right(self._seconds, seconds) - 1)
        return self._ticks[place] + (seconds - self._seconds[place]) / self._rates[place]


class ClockFollower:
    """Ticks after the pulses of another's MIDI clock: a line through those of the last quarter, by least squares.

    The line takes the jitter out of single pulses, and goes on into the near future, where notes are to be sent.
    Until a sixteenth has been heard the tempo is the one given.
    """

    def __init__(self, qpm: float) -> None:
        self.running = False
        self._given = 60 / (qpm * TICKS_PER_QUARTER)
        self._next_tick = 0
        self._pulses: deque[tuple[int, float]] = deque(maxlen=FITTED_PULSES)
        self._line = (0.0, 0.0, self._given)  # tick, its seconds, seconds a tick

    @property
    def qpm(self) -> float:
        return 60 / (self._line[2] * TICKS_PER_QUARTER)

    def start(self, tick: int = 0) -> None:
        """The next pulse is that of `tick`."""
        self.running, self._next_tick = True, tick
        self._pulses.clear()

    def stop(self) -> None:
        self.running = False

    def locate(self, tick: int) -> None:
        """Set the tick at which `resume` goes on."""
        self._next_tick = tick

    def resume(self) -> None:
        self.start(self._next_tick)

    def pulse(self, seconds: float) -> None:
        """A pulse was heard."""
        if not self.running or self._is_flooded(seconds):
            return
        self._pulses.append((self._next_tick, seconds))
        self._next_tick += PULSE_TICKS
        if len(self._pulses) < FEWEST_PULSES:
            self._line = (*self._pulses[-1], self._given)
        else:
            self._line = _fitted(self._pulses)

    def _is_flooded(self, seconds: float) -> bool:
        """Return True where a quarter of pulses came faster than music goes; a few may come together after a delay."""
        return len(self._pulses) == FITTED_PULSES and seconds - self._pulses[0][1] < 60 / FASTEST_QPM

    def is_lost(self, now: float) -> bool:
        """Return True where no pulse has come for long."""
        return self.running and bool(self._pulses) and now - self._pulses[-1][1] > LOST_AFTER_SECONDS

    @property
    def is_ticking(self) -> bool:
        """True once a first pulse has come since the start."""
        return self.running and bool(self._pulses)

    def seconds_at(self, tick: float) -> float:
        at, seconds, rate = self._line
        return seconds + (tick - at) * rate

    def tick_at(self, seconds: float) -> float:
        at, then, rate = self._line
        return at + (seconds - then) / rate


def _fitted(pulses: Sequence[tuple[int, float]]) -> tuple[float, float, float]:
    """The line of least squares through (tick, seconds): a tick on it, its seconds, seconds a tick."""
    mean_tick = sum(tick for tick, _ in pulses) / len(pulses)
    mean_seconds = sum(seconds for _, seconds in pulses) / len(pulses)
    spread = sum((tick - mean_tick) ** 2 for tick, _ in pulses)
    rate = sum((tick - mean_tick) * (seconds - mean_seconds) for tick, seconds in pulses) / spread
    return mean_tick, mean_seconds, max(rate, 60 / (FASTEST_QPM * TICKS_PER_QUARTER))
