"""A folder, or a name for files, that belongs to one process at a time.

The lock is the operating system's, on an open file: it ends with the process, however that ends.
"""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def held(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a name for which several files are written; while another process does, call `waiting` once and wait.

    So files of one name are all of one process. The lock is a hidden file beside it that goes at the end; where the
    file system knows no locks there is none. Raises `MelodyError` where the folder cannot be written.
    """
    lock = path.with_name(f".{path.name[:40]}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _taken(lock, waiting)
    except OSError as error:
        raise MelodyError(f"{path}: cannot write: {error.strerror or error}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()  # while it is ours
        os.close(descriptor)


def _taken(lock: Path, waiting: Callable[[], None]) -> int:
    """Open a lock's file and lock it; the descriptor, whose closing lets it go."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    told = False
    while True:
        descriptor = os.open(lock, flags, 0o666)
        ours = False
        try:
            while not _lock_or_busy(descriptor):
                if not told:
                    waiting()
                told = True
                time.sleep(LOOK_SECONDS)
            ours = _is_open(lock, descriptor)  # else its last owner has taken it away meanwhile
        finally:
            if not ours:
                os.close(descriptor)
        if ours:
            return descriptor


def is_locked(folder: Path) -> bool:
    """Return True where some process holds a folder now."""
    try:
        with (folder / "lock").open("r+", encoding="ascii") as file:
            return not _lock(file.fileno())
    except OSError:
        return False


def _is_open(path: Path, descriptor: int) -> bool:
    """Return True where `path` still is the file that was opened."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _lock_or_busy(descriptor: int) -> bool:
    """Lock a file; False where somebody else has it, True too where the file system knows no locks."""
    try:
        _lock_file(descriptor)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK)
    return True


def _lock(descriptor: int) -> bool:
    try:
        _lock_file(descriptor)
    except OSError:
        return False
    return True


def _lock_file(descriptor: int) -> None:
    """Lock an open file, or raise `OSError`."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # the pid before it stays readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
