"""The file of an n-gram index: columns of few different values, which deflate packs well.

    rows of the index      a voice a run; within it the first value, then steps (modulo the column's size)

    piece voice bar      piece voice length     bar
      0     0    0         0     0     4         0
      0     0    0                               0
      0     0    1                               1
      0     0    1                               0
      0     1    0         0     1     1         0

A row's hash is three of `BITS` in a row, and the next row's begins with the last two of them. So each stands once in
the file: one a row, and two more where a voice ends, in 16 bits, which deflate packs nearly as well as 12.

    rows of the index      abc bcd cde    ->   a b c d e

Hashes are as good as random, and most of the file: of notes nothing stands there, since the music is not ours to give
away. Files of earlier versions are read, too: they have one hash of 32 bits a row, or whole columns, and pitches, which
are passed over. LZMA packs hashes no better and unpacks them fifteen times as slowly; its bytes may differ between
versions of xz, and zipfile sets no bound to what a member of it unpacks to.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
COLUMNS = ("hashes", "piece", "voice", "bar")
BITS = 12  # of each of a row's three hashes
_PLACES = np.array([2 * BITS, BITS, 0], np.uint64)


def packed(pieces: Sequence[str], columns: Mapping[str, Column]) -> bytes:
    """The names of pieces and the columns of an index as an npz file, the same bytes for the same index."""
    begins = starts_of(columns["piece"], columns["voice"])
    first = np.flatnonzero(begins)
    bar = _steps(columns["bar"], begins)
    hashes = columns["hashes"]
    known: dict[str, Any] = {"parts": _chained(hashes, begins)} if hashes.dtype == np.uint64 else {"hashes": hashes}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        pieces=np.array(pieces, dtype=np.str_),
        **known,
        piece=columns["piece"][first],
        voice=columns["voice"][first],
        length=np.diff(first, append=len(begins)).astype(np.uint32),
        bar=bar.astype(np.uint8) if bar.max(initial=0) < 256 else bar,
    )
    return buffer.getvalue()


def unpacked(data: bytes) -> tuple[tuple[str, ...], dict[str, Column]]:
    """The names of pieces and the columns that `packed` wrote.

    Raises `ValueError` where they do not match, and whatever numpy and zipfile raise for bytes that are no archive.
    """
    if broken := zipfile.ZipFile(io.BytesIO(data)).testzip():
        raise ValueError(f"{broken} does not match its checksum")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in COLUMNS if name in arrays}
        length = arrays["length"].astype(np.int64) if "length" in arrays else None
        parts = arrays.get("parts")
        names = tuple(str(name) for name in arrays["pieces"])
    if length is None:
        return names, columns
    total = int(length.sum())  # looked at before anything is laid out: a stranger's file may say what it likes
    rows = len(columns["hashes"]) if parts is None else len(parts) - 2 * len(length)
    if not length.all() or {rows, len(columns["bar"])} != {total}:
        raise ValueError("has voices longer or shorter than its columns")
    if parts is not None:
        columns["hashes"] = _whole(parts.astype(np.uint64), length)
    first = np.cumsum(length) - length
    for name in ("piece", "voice"):
        columns[name] = np.repeat(columns[name], length)
    columns["bar"] = _sums(columns["bar"].astype(np.uint16), first, length)
    return names, columns


def starts_of(piece: Column, voice: Column) -> NDArray[np.bool_]:
    """Return a mask of the rows (N,) that begin a voice of a piece."""
    starts = np.ones(len(piece), bool)
    starts[1:] = (piece[1:] != piece[:-1]) | (voice[1:] != voice[:-1])
    return starts


def _chained(hashes: Column, begins: NDArray[np.bool_]) -> Column:
    """The first of each row's three hashes (N,), and all three of the last row of each of V voices; (N + 2 V,)."""
    last = np.append(begins[1:], True)[: len(hashes)]
    parts = (hashes[:, None] >> _PLACES & np.uint64(2**BITS - 1)).astype(np.uint16)  # (N, 3)
    return np.asarray(parts[np.column_stack([np.ones_like(last), last, last])])


def _whole(parts: Column, length: NDArray[np.int64]) -> Column:
    """The hashes (N,) that `_chained` wrote, of voices of these lengths (V,)."""
    place = np.arange(int(length.sum())) + 2 * np.repeat(np.arange(len(length)), length)
    first, second, third = (parts[place + part] << shift for part, shift in enumerate(_PLACES))
    return np.asarray(first | second | third)


def _steps(column: Column, begins: NDArray[np.bool_]) -> Column:
    """Each value (N,) less the one before it in its voice."""
    steps = np.diff(column, prepend=column[:1])
    return np.asarray(np.where(begins, column, steps), column.dtype)


def _sums(steps: Column, first: NDArray[np.int64], length: NDArray[np.int64]) -> Column:
    """The values (N,) of which these are the steps; sums wrap around as the steps did."""
    total = np.cumsum(steps, dtype=steps.dtype)
    before = total[first] - steps[first]
    return np.asarray(total - np.repeat(before, length))
