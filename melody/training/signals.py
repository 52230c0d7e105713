"""SIGINT and SIGTERM: a run leaves in good order when it is told to."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Signals:
    """SIGINT and SIGTERM as a wish that the loop asks for: `received` is 0 or the signal's number."""

    def __init__(self) -> None:
        self.received = 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = number


@contextmanager
def caught_signals() -> Iterator[Signals]:
    """Catch SIGINT and SIGTERM inside the block (in a main thread; elsewhere they never come)."""
    signals = Signals()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, signals._note) for number in numbers]
    except ValueError:  # not the main thread
        yield signals
        return
    try:
        yield signals
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
