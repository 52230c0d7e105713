"""Archives from strangers: fetched by https, unpacked so that nothing leaves the folder, links nothing, fills no disk.

A zip or a tar (plain or packed by gzip, bzip2 or xz) is told by its bytes, not by its name. A path that leads out of
the folder, an encrypted entry and whatever goes past a limit refuse the whole archive; links, devices and files of no
interest are passed over. Sizes are counted as bytes come, since a header may say anything. The limits leave room for
the archive of a large repository and none for a bomb.
Formats: PKWARE APPNOTE (ZIP), POSIX.1-2001 (pax), RFC 1952, the .xz file format.
"""

import bz2
import contextlib
import http.client
import io
import lzma
import re
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from melody.errors import LimitExceeded, MelodyError, UnreadableFile

MAX_ARCHIVE_BYTES = 2 << 30
MAX_BYTES = 2 << 30  # of all files together, and of the tar within a packed one
MAX_FILE_BYTES = 64 << 20
MAX_ENTRIES = 100_000
MAX_RATIO = 200  # unpacked over packed, past the first megabytes
_FREE_BYTES = 32 << 20  # a small archive may hold this much whatever its ratio
_BLOCK = 1 << 18
_MAX_HEADER_BYTES = 1 << 20  # a longer name or comment in a tar is an attack
_XZ_MEMORY = 256 << 20
_TIMEOUT_SECONDS = 30
_SCHEME = "https://"

Wanted = Callable[[str], bool]  # of a path with slashes


class _Unpacker(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...

    @property
    def eof(self) -> bool: ...


@contextlib.contextmanager
def opened(path: Path, wanted: Wanted) -> Iterator[Path]:
    """A folder with the wanted files of a folder (as it is) or of an archive (unpacked for as long as the block runs).

    Raises `UnreadableFile` where there is neither, `LimitExceeded` for an archive past a limit.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="melody-corpus-") as folder:
        unpack(path, Path(folder), wanted)
        yield Path(folder)


def unpack(archive: Path, target: Path, wanted: Wanted = lambda _: True) -> list[str]:
    """Unpack the wanted files of an archive into a folder that is there; return their paths, with slashes.

    Raises `UnreadableFile` for what is no archive, is damaged or encrypted or leads out of the folder, and
    `LimitExceeded` past a limit. What was unpacked before that stays in `target`, which is the caller's.
    """
    try:
        if not archive.is_file():  # a pipe would let us wait for ever
            raise UnreadableFile(f"{archive}: neither a folder nor a file; give one of them")
        size = archive.stat().st_size
        if size > MAX_ARCHIVE_BYTES:
            raise LimitExceeded(f"{archive}: {size:,} bytes; melody unpacks up to {MAX_ARCHIVE_BYTES:,}")
        with archive.open("rb") as file:
            return _unpack(file, _Target(archive, target, wanted, max(_FREE_BYTES, MAX_RATIO * size)))
    except MelodyError:
        raise
    except OSError as error:
        raise UnreadableFile(f"{archive}: cannot unpack: {error.strerror or error}") from error
    except Exception as error:  # what tarfile, zipfile, zlib and lzma raise shares no narrower base
        raise UnreadableFile(f"{archive}: damaged ({error}); download it again") from error


def _unpack(file: IO[bytes], target: "_Target") -> list[str]:
    head = file.read(512)
    file.seek(0)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return _unzip(file, target)
    if head[257:262] == b"ustar":
        return _untar(file, target)
    if (unpacker := _unpacker(head)) is not None:
        with tempfile.TemporaryFile() as tar:
            target.limit = min(target.limit, MAX_BYTES)
            _inflate(file, tar, unpacker, target)
            return _untar(tar, target)
    raise UnreadableFile(f"{target.archive}: neither a folder nor an archive; .zip, .tar, .tar.gz and .tar.xz fit")


class _Target:
    """Where an archive goes, and how much of it has gone there."""

    def __init__(self, archive: Path, folder: Path, wanted: Wanted, limit: int) -> None:
        self.archive, self.folder, self.wanted = archive, folder, wanted
        self.limit = min(limit, MAX_BYTES)  # bytes of all files
        self.bytes = self.entries = 0
        self.written: list[str] = []

    def path_of(self, name: str) -> str | None:
        """The path of an entry within the folder; None where it is of no interest. Counts entries."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise LimitExceeded(f"{self.archive}: more than {MAX_ENTRIES:,} entries; unpack what you need by hand")
        path = name.replace("\\", "/")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if path.startswith("/") or ".." in parts or re.search(r"[\0-\x1f:]", path):
            raise UnreadableFile(f"{self.archive}: holds {ascii(name)[:80]}, a path that leads out of its folder")
        path = "/".join(parts)
        return path if parts and self.wanted(path) else None

    def write(self, path: str, file: IO[bytes]) -> None:
        """Write one file in blocks."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with place.open("xb") as output:
            while block := file.read(_BLOCK):
                size += len(block)
                self.count(len(block))
                if size > MAX_FILE_BYTES:
                    raise LimitExceeded(f"{self.archive}: {path} has more than {MAX_FILE_BYTES:,} bytes")
                output.write(block)
        self.written.append(path)

    def count(self, size: int) -> None:
        """Count bytes that came out."""
        self.bytes += size
        if self.bytes > self.limit:
            raise LimitExceeded(
                f"{self.archive}: unpacks to more than {self.limit:,} bytes; unpack what you need by hand"
            )


def _unzip(file: IO[bytes], target: _Target) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            path = target.path_of(entry.filename)
            kind = entry.external_attr >> 28  # of a Unix mode: 8 for a regular file, 0 where none is given
            if path is None or entry.is_dir() or kind not in (0, 8):
                continue
            if entry.flag_bits & 1:
                raise UnreadableFile(f"{target.archive}: {path} is encrypted; unpack it with its password first")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UnreadableFile(f"{target.archive}: {path} is packed in a way that melody does not read")
            with archive.open(entry) as content:
                target.write(path, content)
    return target.written


class _ShortReads(io.RawIOBase):
    """A file of which nothing long is read at once: `tarfile` takes the extended headers whole into memory."""

    def __init__(self, file: IO[bytes], name: Path) -> None:
        self._file, self._name = file, name

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise LimitExceeded(f"{self._name}: a header of {size:,} bytes; no honest archive has one")
        return self._file.read(size)

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _untar(file: IO[bytes], target: _Target) -> list[str]:
    file.seek(0)
    target.bytes = 0  # the tar itself was counted as it was inflated
    with tarfile.open(fileobj=_ShortReads(file, target.archive), mode="r:") as archive:
        while (entry := archive.next()) is not None:
            path = target.path_of(entry.name)
            if path is None or not entry.isreg():
                continue
            content = archive.extractfile(entry)
            if content is not None:
                target.write(path, content)
    return target.written


def _unpacker(head: bytes) -> _Unpacker | None:
    if head[:2] == b"\x1f\x8b":
        return _Gzip()
    if head[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    return bz2.BZ2Decompressor() if head[:3] == b"BZh" else None


class _Gzip:
    """zlib's decompressor with the manners of the others: it keeps what it was given and could not yet unpack."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _inflate(file: IO[bytes], output: IO[bytes], unpacker: _Unpacker, target: _Target) -> None:
    """Unpack a compressed tar into a file, counting."""
    data = file.read(_BLOCK)
    while not unpacker.eof:
        block = unpacker.decompress(data, _BLOCK)
        target.count(len(block))
        output.write(block)
        data = b"" if len(block) == _BLOCK else file.read(_BLOCK)
        if not data and not block:
            raise UnreadableFile(f"{target.archive}: is cut off; download it again")


# ---- fetching -------------------------------------------------------------------------------------------------------


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not newurl.startswith(_SCHEME):
            raise urllib.error.URLError(f"redirected to {newurl[:60]}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, target: Path) -> Path:
    """Download an archive into a file, whole or not at all.

    Raises `MelodyError` with the reason: no network, not there, cut off, too large.
    """
    if not url.startswith(_SCHEME):
        raise MelodyError(f"{url}: only https is fetched")
    try:
        opener = urllib.request.build_opener(_OnlyHttps)
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as answer, target.open("xb") as output:
            _download(answer, output, url)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError | http.client.HTTPException):  # urllib's errors are among them
            raise MelodyError(f"{url}: cannot fetch ({_reason(error)})") from error
        raise
    return target


def _download(answer: Any, output: IO[bytes], url: str) -> None:
    size = 0
    while block := answer.read(_BLOCK):
        size += len(block)
        if size > MAX_ARCHIVE_BYTES:
            raise LimitExceeded(f"{url}: more than {MAX_ARCHIVE_BYTES:,} bytes")
        output.write(block)
    announced = answer.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != size:
        raise MelodyError(f"{url}: cannot fetch (only {size:,} of {int(announced):,} bytes came)")


def _reason(error: OSError | http.client.HTTPException) -> str:
    """What went wrong, on one line."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return "redirected in a circle" if error.code < 400 else f"{error.code} {error.reason}"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return "the answer is no HTTP"
    inner = getattr(error, "reason", error)  # of a URLError
    return " ".join(str(getattr(inner, "strerror", None) or inner or type(error).__name__).split())
