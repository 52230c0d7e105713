"""Files, all or nothing: bytes go to a temporary file beside the target, to the disk, and only then to their name.

A reader never sees half a file. Whatever fails on the way (a full disk, a missing right, a power cut) leaves the old
file as it was, nothing is overwritten unasked, and of two processes that write one name the later refuses. A target
must be a regular file or not be there: devices, pipes, folders and links are refused.
"""

import contextlib
import os
import secrets
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from melody.errors import LimitExceeded, MelodyError, UnreadableFile


def refuse_overwrite(path: Path, force: bool) -> None:
    """Raise `MelodyError` where `path` exists and `force` is not set, or where it is no regular file."""
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isfile(path):
        raise MelodyError(f"{path}: is not a regular file; choose another name")
    if not force:
        raise MelodyError(f"{path}: exists; choose another name, or pass `force`")


def write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> Path:
    """Write `data` to `path` atomically, making its folder where needed; return the path.

    Raises `MelodyError` where the file exists (unless `force`), or the system refuses to write.
    """
    path = Path(path)
    refuse_overwrite(path, force)
    with _blaming(path), _uninterrupted():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(path)
        try:
            _write_through(temporary, data)
            _give_name(temporary, path, force)
        finally:
            temporary.unlink(missing_ok=True)
    return path


@contextlib.contextmanager
def fresh_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder to fill, which becomes `target` when the block ends well and else is gone.

    An old folder of that name gives way at the last moment, and comes back where the move fails. The caller has
    decided whether it may go. Raises `MelodyError` where the system refuses to write.
    """
    target = Path(target)
    with _blaming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh, old = _beside(target), _beside(target)
        fresh.mkdir()
        try:
            yield fresh
            _sync_tree(fresh)
            if os.path.lexists(target):
                os.rename(target, old)
            try:
                os.rename(fresh, target)
                _sync(target.parent)
            except BaseException:  # Ctrl-C too
                if target.exists():
                    os.rename(target, fresh)
                if old.exists():
                    os.rename(old, target)
                raise
        finally:
            for folder in (fresh, old):
                shutil.rmtree(folder, ignore_errors=True)


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes. Raises `UnreadableFile` or `LimitExceeded`.

    A file that grows while it is read counts with what it has grown to.
    """
    name = os.fspath(path)
    try:
        # Non-blocking, as opening a pipe would wait for a writer before we could see what it is.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                folder = stat.S_ISDIR(status.st_mode)
                raise UnreadableFile(f"{name}: is {'a folder' if folder else 'not a regular file'}; name a file")
            size, data = status.st_size, b""
            if size <= limit:
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    data = file.read(size + 1)
                    if len(data) > size:
                        data += file.read(limit + 1 - len(data))
                size = len(data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableFile(f"{name}: cannot read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise UnreadableFile(f"{name!r}: no file can have this name") from error
    if size > limit:
        raise LimitExceeded(f"{name}: {size:,} bytes; melody reads up to {limit:,} of a file of this kind")
    return data


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: it may come while we clean up, and would leave what is temporary."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    caught: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if caught:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Turn what the system says into one line that names the path."""
    try:
        yield
    except OSError as error:
        raise MelodyError(f"{path}: cannot write: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        if "null" not in str(error):
            raise
        raise MelodyError(f"{str(path)!r}: no file can have this name") from error


def _beside(path: Path) -> Path:
    """A name that nothing has, in the same folder: renaming works within one file system alone."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}")


def _write_through(path: Path, data: bytes) -> None:
    """Make a file of `data` and wait until it is on the disk."""
    # the system applies the umask; to read it one must change it, for all threads
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _give_name(temporary: Path, path: Path, force: bool) -> None:
    """Move a finished file to its name, the folder on the disk too; where that fails all is as it was."""
    old = _beside(path)
    was_there = os.path.lexists(path)
    try:
        if not force:
            _link_or_replace(temporary, path)
        else:
            with contextlib.suppress(OSError):  # no old file, or a file system without links
                os.link(path, old)
            os.replace(temporary, path)
        try:
            _sync(path.parent)
        except OSError:
            if old.exists():
                os.replace(old, path)
            elif not was_there:
                path.unlink()
            raise
    finally:
        old.unlink(missing_ok=True)


def _link_or_replace(temporary: Path, path: Path) -> None:
    """Give a name that must be free: a second process may have taken it since we looked."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        refuse_overwrite(path, force=False)
        raise
    except OSError:  # a file system without links
        refuse_overwrite(path, force=False)
        os.replace(temporary, path)


def _sync(path: Path) -> None:
    """Have a file or folder on the disk."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)
