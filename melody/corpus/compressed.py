"""Compressed streams, one after the other, within a limit: gzip, bzip2 and xz as their own tools unpack them.

Parallel compressors (pigz, pbzip2, pixz) and `cat` write files of several streams; all are read, and what stands
behind the last one is said. Little is fed at a time: an unpacker copies what it leaves, and a megabyte may hold
70,000 empty streams.
Formats: RFC 1952, the .xz file format (stream padding), bzip2 by its source.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Protocol

from melody.errors import UnreadableFile

_FEED = 1 << 12
_BLOCK = 1 << 18
_XZ_MEMORY = 256 << 20


class _Unpacker(Protocol):
    """One of a stream. It keeps what it was given and could not yet unpack."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the manners of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_FORMATS: dict[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b": _Gzip,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    b"BZh": bz2.BZ2Decompressor,
}


def is_compressed(head: bytes) -> bool:
    """Return True for the beginning of a file that `inflate` reads."""
    return _format_of(head) is not None


def _format_of(head: bytes) -> Callable[[], _Unpacker] | None:
    return next((make for magic, make in _FORMATS.items() if head.startswith(magic)), None)


def inflate(file: IO[bytes], output: IO[bytes], count: Callable[[int], None]) -> bool:
    """Write what all streams of a file hold to `output`; return whether nothing else stands behind them.

    `count` is told the size of each block before it is written, and may raise. Raises `UnreadableFile` for a stream
    that is cut off, and what the unpackers raise for one that is damaged.
    """
    data = file.read(_FEED)
    while data:
        make = _format_of(data)
        if make is None:
            return False
        data = _stream(make(), data, file, output, count)
        while data and not data.lstrip(b"\0"):  # padding: of xz in fours, of tapes in blocks
            data = file.read(_FEED)
        data = data.lstrip(b"\0")
        if len(data) < 6:  # as long as the longest of the signatures
            data += file.read(_FEED)
    return True


def _stream(
    unpacker: _Unpacker, data: bytes, file: IO[bytes], output: IO[bytes], count: Callable[[int], None]
) -> bytes:
    """Unpack one stream, of which `data` is the beginning; return what was read of what follows it."""
    while not unpacker.eof:
        block = unpacker.decompress(data, _BLOCK)
        count(len(block))
        output.write(block)
        if len(block) == _BLOCK:
            data = b""
        elif not unpacker.eof and not (data := file.read(_FEED)) and not block:
            raise UnreadableFile("is cut off; download it again")
    return unpacker.unused_data or file.read(_FEED)
