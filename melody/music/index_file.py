"""The file of an n-gram index: columns of few different values, which deflate packs well.

    rows of the index      a voice a run; within it the first value, then steps (modulo the column's size)

    piece voice bar pitch      piece voice length     bar pitch
      0     0    0   60          0     0     4         0   60
      0     0    0   62                                0    2
      0     0    1   64                                1    2
      0     0    1   62                                0  254
      0     1    0   48          0     1     1         0   48

Hashes are as good as random, and most of the file. Older files, which have whole columns, are read too. LZMA packs
hashes no better and unpacks them fifteen times as slowly; of bars and pitches it would save another 2 % of the file.
But its bytes may differ between versions of xz, and zipfile sets no bound to what a member of it unpacks to.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
COLUMNS = ("hashes", "piece", "voice", "bar", "pitch")


def packed(pieces: Sequence[str], columns: Mapping[str, Column]) -> bytes:
    """The names of pieces and the columns of an index as an npz file, the same bytes for the same index."""
    begins = starts_of(columns["piece"], columns["voice"])
    first = np.flatnonzero(begins)
    bar = _steps(columns["bar"], begins)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        pieces=np.array(pieces, dtype=np.str_),
        hashes=columns["hashes"],
        piece=columns["piece"][first],
        voice=columns["voice"][first],
        length=np.diff(first, append=len(begins)).astype(np.uint32),
        bar=bar.astype(np.uint8) if bar.max(initial=0) < 256 else bar,
        pitch=_steps(columns["pitch"], begins),
    )
    return buffer.getvalue()


def unpacked(data: bytes) -> tuple[tuple[str, ...], dict[str, Column]]:
    """The names of pieces and the columns that `packed` wrote.

    Raises `ValueError` where they do not match, and whatever numpy and zipfile raise for bytes that are no archive.
    """
    if broken := zipfile.ZipFile(io.BytesIO(data)).testzip():
        raise ValueError(f"{broken} does not match its checksum")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in COLUMNS}
        length = arrays["length"].astype(np.int64) if "length" in arrays else None
        names = tuple(str(name) for name in arrays["pieces"])
    if length is None:
        return names, columns
    if int(length.sum()) != len(columns["hashes"]):  # before they are laid out: a stranger's file may say anything
        raise ValueError("has voices longer or shorter than its columns")
    first = np.cumsum(length) - length
    for name in ("piece", "voice"):
        columns[name] = np.repeat(columns[name], length)
    for name, type_ in (("bar", np.uint16), ("pitch", np.uint8)):
        columns[name] = _sums(columns[name].astype(type_), first, length)
    return names, columns


def starts_of(piece: Column, voice: Column) -> NDArray[np.bool_]:
    """Return a mask of the rows (N,) that begin a voice of a piece."""
    starts = np.ones(len(piece), bool)
    starts[1:] = (piece[1:] != piece[:-1]) | (voice[1:] != voice[:-1])
    return starts


def _steps(column: Column, begins: NDArray[np.bool_]) -> Column:
    """Each value (N,) less the one before it in its voice."""
    steps = np.diff(column, prepend=column[:1])
    return np.asarray(np.where(begins, column, steps), column.dtype)


def _sums(steps: Column, first: NDArray[np.int64], length: NDArray[np.int64]) -> Column:
    """The values (N,) of which these are the steps; sums wrap around as the steps did."""
    total = np.cumsum(steps, dtype=steps.dtype)
    before = total[first] - steps[first]
    return np.asarray(total - np.repeat(before, length))
