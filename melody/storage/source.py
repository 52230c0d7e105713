"""The bytes of a file that someone names: regular files of a bounded size, and nothing else."""

import os
import stat

from melody.errors import LimitExceeded, UnreadableFile


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; raises `UnreadableFile` or `LimitExceeded`."""
    try:
        # Non-blocking, as opening a FIFO would wait for a writer before we could see what it is.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise UnreadableFile(f"{os.fspath(path)}: cannot read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise UnreadableFile(f"{os.fspath(path)!r}: no file can have this name") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise UnreadableFile(f"{os.fspath(path)}: is {what}; name a music file")
        data = b""
        if status.st_size <= limit:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise UnreadableFile(f"{os.fspath(path)}: cannot read: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
    size = max(len(data), status.st_size)
    if size > limit:
        raise LimitExceeded(f"{os.fspath(path)}: {size:,} bytes; melody reads files up to {limit:,} bytes; cut it")
    return data
