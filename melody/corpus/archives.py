"""Archives from strangers, unpacked so that nothing leaves the folder, links nothing, fills no disk.

A zip or a tar (plain or packed by gzip, bzip2 or xz) is told by its bytes, not by its name. Links, devices and files of
no interest are passed over. An entry that cannot be unpacked (a path that leads out of the folder, a name that not
every system allows or that came before, a password) is refused on its own; damage and whatever goes past a limit
refuse the archive. Sizes are counted as bytes come, since a header may say anything, and an archive within an archive
counts with it. The limits leave room for the archive of a large repository and none for a bomb.
Formats: PKWARE APPNOTE (ZIP), POSIX.1-2001 (pax).
"""

import contextlib
import errno
import io
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from melody.corpus.compressed import inflate, is_compressed
from melody.errors import LimitExceeded, MelodyError, UnreadableFile

MAX_ARCHIVE_BYTES = 2 << 30
MAX_BYTES = 2 << 30  # of all files together, and of the tar within a packed one
MAX_FILE_BYTES = 64 << 20
MAX_ENTRIES = 100_000
MAX_RATIO = 100  # unpacked over packed, past the first megabytes
_FREE_BYTES = 32 << 20  # a small archive may hold this much whatever its ratio
_FREE_ENTRIES, _ENTRY_BYTES = 3_000, 500  # and so many entries, and another for each so many of its bytes
_BLOCK = 1 << 18
_TAR_BLOCK = 512
_MAX_HEADER_BYTES = 1 << 20  # of one entry of a tar; a longer name or comment is an attack
_MAX_HEADERS_BYTES = 4 << 20  # of all its entries together, beyond a few blocks for each
_HEADER_BYTES = 4 * _TAR_BLOCK  # of an honest entry: its own block, and a long name with dates before it
_MAX_GLOBALS = 100  # what a tar says of all its entries, which tarfile copies for each
_MAX_DIRECTORY_BYTES = 64 << 20  # of a zip
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_PASSWORD, _METHODS = 1, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "packed by Zstandard; unpack it first: zstd -d FILE",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it first: 7z x FILE",
    b"Rar!": "a RAR archive; unpack it first: unrar x FILE",
    b"LZIP": "packed by lzip; unpack it first: lzip -d FILE",
}

Wanted = Callable[[str], bool]  # of a path with slashes
Refuse = Callable[[str, str], None]  # is told the name of an entry (or none, of the archive) and what is wrong with it


def refuse_all(name: str, reason: str) -> None:
    """Refuse the archive for one entry: where it is known what should be in it."""
    raise UnreadableFile(f"{ascii(name)[:80]}: {reason}" if name else reason)


class Budget:
    """Limits on what an archive of some size may unpack to, together with the archives in it."""

    def __init__(self, size: int) -> None:
        self.most_bytes = min(MAX_BYTES, max(_FREE_BYTES, MAX_RATIO * size))
        self.most_entries = min(MAX_ENTRIES, _FREE_ENTRIES + size // _ENTRY_BYTES)
        self.bytes = self.entries = self.headers = 0

    def take(self, size: int) -> None:
        """Count bytes that came out. Raises `LimitExceeded` for too many."""
        self.bytes += size
        if self.bytes > self.most_bytes:
            raise LimitExceeded(f"unpacks to more than {self.most_bytes:,} bytes; unpack what you need by hand")

    def take_entry(self) -> None:
        """Count an entry. Raises `LimitExceeded` for too many."""
        self.entries += 1
        if self.entries > self.most_entries:
            raise LimitExceeded(f"more than {self.most_entries:,} entries; unpack what you need by hand")

    def take_headers(self, size: int) -> None:
        """Count the headers of a tar's entry. Raises `LimitExceeded` for too long ones."""
        self.headers += max(0, size - _HEADER_BYTES)
        if self.headers > _MAX_HEADERS_BYTES:
            raise LimitExceeded("headers of a length that no honest archive has; unpack what you need by hand")


@contextlib.contextmanager
def opened(
    path: Path,
    wanted: Wanted,
    refuse: Refuse = refuse_all,
    *,
    name: str | None = None,
    budget: Budget | None = None,
) -> Iterator[Path]:
    """A folder with the wanted files of a folder (as it is) or of an archive (unpacked for as long as the block runs).

    Errors call the archive `name`; it draws on the `budget` of the archive that it lies in, if any. Raises
    `UnreadableFile` where there is neither, `LimitExceeded` for an archive past a limit.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="melody-corpus-") as folder:
        unpack(path, Path(folder), wanted, refuse, name=name, budget=budget)
        yield Path(folder)


def unpack(
    archive: Path,
    target: Path,
    wanted: Wanted = lambda _: True,
    refuse: Refuse = refuse_all,
    *,
    name: str | None = None,
    budget: Budget | None = None,
) -> list[str]:
    """Unpack the wanted files of an archive into a folder that is there; return their paths, with slashes.

    Raises `UnreadableFile` for what is no archive or is damaged, and `LimitExceeded` past a limit. What was unpacked
    before that stays in `target`, which is the caller's.
    """
    name = name or str(archive)
    try:
        if not archive.is_file():  # a pipe would let us wait for ever
            raise UnreadableFile("neither a folder nor a file; give one of them")
        size = archive.stat().st_size
        if size > MAX_ARCHIVE_BYTES:
            raise LimitExceeded(f"{size:,} bytes; melody unpacks up to {MAX_ARCHIVE_BYTES:,}")
        with archive.open("rb") as file:
            return _unpack(file, _Target(target, wanted, refuse, budget or Budget(size)))
    except MelodyError as error:
        raise type(error)(f"{name}: {error}") from error
    except OSError as error:
        raise UnreadableFile(f"{name}: cannot unpack: {error.strerror or error}") from error
    except Exception as error:  # what tarfile, zipfile, zlib and lzma raise shares no narrower base
        raise UnreadableFile(f"{name}: damaged ({_line(error)}); download it again") from error


def _line(error: Exception) -> str:
    """Return the words of a library's error, on one short line without control characters."""
    return ascii(str(error) or type(error).__name__)[1:-1][:200]


class _Target:
    """The folder that an archive goes to, and its limits."""

    def __init__(self, folder: Path, wanted: Wanted, refuse: Refuse, budget: Budget) -> None:
        self.folder, self.wanted, self.refuse, self.budget = folder, wanted, refuse, budget
        self.written: list[str] = []

    def path_of(self, name: str) -> str | None:
        """The path of an entry within the folder; None where it is of no interest or was refused. Counts entries."""
        self.budget.take_entry()
        path = name.replace("\\", "/")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or path.endswith("/") or not self.wanted("/".join(parts)):
            return None
        if path.startswith("/") or ".." in parts or re.match("[A-Za-z]:/", path):
            self.refuse(name, "its path leads out of its folder")
        elif re.search(r"[\0-\x1f:]", path):
            self.refuse(name, "a colon or a control character in its name, which not every system allows; rename it")
        else:
            return "/".join(parts)
        return None

    def write(self, path: str, file: IO[bytes]) -> None:
        """Write one file in blocks; nothing stays of one that is damaged or cannot have this name."""
        place = self.folder / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            output = place.open("xb")
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise
            twice = isinstance(error, FileExistsError) and place.exists()
            reason = "its name came before in this archive" if twice else f"no file can have this name ({_line(error)})"
            self.refuse(path, reason)
            return
        try:
            with output:
                self._copy(path, file, output)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            place.unlink()
            self.refuse(path, f"damaged ({_line(error)})")
        else:
            self.written.append(path)

    def _copy(self, path: str, file: IO[bytes], output: IO[bytes]) -> None:
        size = 0
        while block := file.read(_BLOCK):
            size += len(block)
            self.budget.take(len(block))
            if size > MAX_FILE_BYTES:
                raise LimitExceeded(f"{ascii(path)[1:-1]} has more than {MAX_FILE_BYTES:,} bytes")
            output.write(block)


def _unpack(file: IO[bytes], target: _Target) -> list[str]:
    head = file.read(_TAR_BLOCK)
    file.seek(0)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return _unzip(file, target)
    if _is_tar(head):
        return _untar(file, target)
    if is_compressed(head):
        with tempfile.TemporaryFile() as tar:
            before = target.budget.bytes
            if not inflate(file, tar, target.budget.take):
                target.refuse("", "holds bytes behind its end that are not packed; they were passed over")
            target.budget.bytes = before  # the tar itself counts once, as the files in it
            return _untar(tar, target)
    other = next((what for magic, what in _OTHERS.items() if head.startswith(magic)), None)
    raise UnreadableFile(other or "neither a folder nor an archive; .zip, .tar, .tar.gz, .tar.bz2 and .tar.xz fit")


class _Bounded(io.RawIOBase):
    """A file of which no more than `left` bytes are read: the libraries take headers whole into memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.left: int | None = None  # None: what is read is content, and counted where it is written

    def read(self, size: int = -1) -> bytes:
        if self.left is None:
            return self._file.read(size)
        if size > self.left:
            raise LimitExceeded(f"a header of {size:,} bytes; no honest archive has one")
        data = self._file.read(size if size >= 0 else self.left + 1)
        self.left -= len(data)
        if self.left < 0:
            raise LimitExceeded("a header of a length that no honest archive has")
        return data

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _unzip(file: IO[bytes], target: _Target) -> list[str]:
    bounded = _Bounded(file)
    bounded.left = _MAX_DIRECTORY_BYTES
    with zipfile.ZipFile(bounded) as archive:
        bounded.left = None
        for entry in archive.infolist():
            path = target.path_of(entry.filename)
            kind = entry.external_attr >> 28  # of a Unix mode: 8 for a regular file, 0 where none is given
            if path is None or kind not in (0, 8):
                continue
            if entry.flag_bits & _PASSWORD:
                target.refuse(path, "encrypted; unpack it with its password first")
            elif entry.compress_type not in _METHODS:
                target.refuse(path, "packed in a way that melody does not read")
            else:
                _extract(archive, entry, path, target)
    return target.written


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str, target: _Target) -> None:
    try:
        content = archive.open(entry)
    except (zipfile.BadZipFile, NotImplementedError) as error:  # its own header is not the directory's
        target.refuse(path, f"damaged ({_line(error)})")
        return
    with content:
        target.write(path, content)


def _is_tar(block: bytes) -> bool:
    return block[257:262] == b"ustar"


def _untar(file: IO[bytes], target: _Target) -> list[str]:
    """Unpack a tar, and those that stand behind it in the file."""
    start: int | None = 0
    while start is not None:
        end = _untar_one(file, start, target)
        if end == start and _is_tar(_block_at(file, start)):
            raise UnreadableFile(f"damaged (the header at {start:,}); download it again")
        start = _next_tar(file, end, target)
    return target.written


def _block_at(file: IO[bytes], place: int) -> bytes:
    file.seek(place)
    return file.read(_TAR_BLOCK)


def _untar_one(file: IO[bytes], start: int, target: _Target) -> int:
    """Unpack the tar that begins at `start`; return where its entries end."""
    file.seek(start)
    bounded = _Bounded(file)
    bounded.left = _MAX_HEADER_BYTES
    with tarfile.open(fileobj=bounded, mode="r:") as archive:  # this reads the first header
        while (entry := archive.next()) is not None:
            target.budget.take_headers(_MAX_HEADER_BYTES - bounded.left)
            bounded.left = None
            if len(archive.pax_headers) > _MAX_GLOBALS:
                raise LimitExceeded(f"says more than {_MAX_GLOBALS} things of all its entries; unpack it by hand")
            archive.members.clear()  # type: ignore[attr-defined]  # else each stays in memory until the end
            path = target.path_of(entry.name)
            if path is not None and entry.isreg() and (content := archive.extractfile(entry)) is not None:
                target.write(path, content)
            bounded.left = _MAX_HEADER_BYTES
        return int(archive.offset)


def _next_tar(file: IO[bytes], end: int, target: _Target) -> int | None:
    """Return the place of a further tar behind one that ended; None where nothing but zeros follows."""
    block = _block_at(file, end)
    if not block:
        target.refuse("", "has no end; what stood last may be missing: download it again")
    while block and not block.strip(b"\0"):
        end += len(block)
        block = file.read(_TAR_BLOCK)
    if not block or _is_tar(block):
        return end if block else None
    target.refuse("", f"holds bytes that are no tar from {end:,} on; they were passed over")
    return None
