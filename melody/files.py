"""Bytes to disk, all or nothing: a temporary file beside the target, fsync, rename.

A reader never sees half a file, a full disk leaves the old file as it was, and nothing is overwritten unasked.
"""

import os
import tempfile
from pathlib import Path

from melody.errors import MelodyError


def refuse_overwrite(path: Path, force: bool) -> None:
    """Raise `MelodyError` where `path` exists and `force` is not set, or where it is no regular file."""
    if os.path.lexists(path) and not path.is_file():
        raise MelodyError(f"{path}: is not a regular file; choose another name")
    if path.exists() and not force:
        raise MelodyError(f"{path}: exists; choose another name or pass --force to overwrite it")


def write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> Path:
    """Write `data` to `path` atomically, making its folder where needed; return the path.

    Raises `MelodyError` where the file exists (unless `force`), or the system refuses to write.
    """
    path = Path(path)
    refuse_overwrite(path, force)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise MelodyError(f"{path}: cannot write: {error.strerror or error}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
