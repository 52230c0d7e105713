"""JSB-16: Bach's chorales on a grid of sixteenths, the file on which the field publishes its figures.

``Jsb16thSeparated.npz`` of github.com/czhuang/JSB-Chorales-dataset: 382 chorales of four voices, 229 to train, 76 valid
and 77 test. Each is an array (steps, 4) of pitches, NaN where a voice rests; a repeated note looks like a held one. The
arrays are pickled, and a pickle may do anything, so the file is opened only where it is the known one to the last bit.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError, UnreadableFile
from melody.jsb16.tokenizer import Grid, score_of
from melody.music.score import Score
from melody.storage.files import read_bytes, write_bytes

FILE = "Jsb16thSeparated.npz"
SHA256 = "2adcdf0d57880c3763f104555072285fe7f9e3d6049fcc4b9830557b8d4a7820"
MOST_BYTES = 1 << 20  # the file has a tenth of that
SOURCE = f"https://github.com/czhuang/JSB-Chorales-dataset ({FILE})"
SPLITS = ("train", "valid", "test")


def read_jsb16(path: Path) -> dict[str, list[Grid]]:
    """The grids (steps, 4) of each split. Raises `MelodyError` where `path` is not that file."""
    with np.load(BytesIO(_known(path)), allow_pickle=True, encoding="latin1") as arrays:
        return {split: [_grid(piece) for piece in arrays[split]] for split in SPLITS}


def _known(path: Path) -> bytes:
    """The bytes of the file, which is the one that is known."""
    data = read_bytes(path, MOST_BYTES)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise UnreadableFile(f"{path}: is not the benchmark's file; get it from {SOURCE}")
    return data


def _grid(piece: NDArray[np.floating]) -> Grid:
    return np.nan_to_num(piece.astype(np.float64)).astype(np.int64)


# ---- as a corpus: each piece is called by its split and its place in it, as test/008 ---------------------------------


@contextlib.contextmanager
def as_folder(path: Path) -> Iterator[Path]:
    """A folder with the file under its own name, for as long as the block runs; `path` is the file or its folder."""
    data = _known(path / FILE if path.is_dir() else path)
    with tempfile.TemporaryDirectory(prefix="melody-corpus-") as folder:
        yield write_bytes(Path(folder) / FILE, data).parent


def read_piece(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """One piece."""
    split, place = item.split("/")
    return {item: score_of(_read_once(root / FILE)[split][int(place)])}


_read_once = lru_cache(1)(read_jsb16)  # in each reader's process
