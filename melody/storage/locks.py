"""A folder that belongs to one process at a time.

The lock is the operating system's, on an open file: it ends with the process, however that ends.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melody.errors import MelodyError

LOOK_SECONDS = 0.05  # after which whoever only looks whether a folder is held has let it go


@contextmanager
def locked(folder: Path, work: str) -> Iterator[None]:
    """Hold a folder, in which `work` is done, as "trains here". Raises `MelodyError` naming the process that does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise MelodyError(f"{folder}: cannot write: {error.strerror or error}") from error
    with lock as file:
        file.seek(0)
        if not _lock(file.fileno()):
            time.sleep(LOOK_SECONDS)
            if not _lock(file.fileno()):
                raise MelodyError(
                    f"{folder}: process {file.read().strip()} {work}; wait for it, or choose another folder"
                )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether some process holds a folder now."""
    try:
        with (folder / "lock").open("r+", encoding="ascii") as file:
            return not _lock(file.fileno())
    except OSError:
        return False


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
