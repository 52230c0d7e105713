"""A run's folder belongs to one process at a time, and that process leaves in good order when it is told to.

The lock is the operating system's, on an open file: it ends with the process, however that ends.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from melody.errors import MelodyError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder. Raises `MelodyError` naming the process that already does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise MelodyError(f"{folder}: cannot write: {error.strerror or error}") from error
    with lock as file:
        file.seek(0)
        if not _lock(file.fileno()):
            raise MelodyError(
                f"{folder}: process {file.read().strip()} trains here; wait for it, or choose another --run"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # the pid before it stays readable
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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
