"""The token store: a corpus ready for training, as a folder of memory-mapped arrays.

    store.json          format, tokenizer, vocabulary hash, channels, counts, SHA-256 of files, report of the reading
    train.ids.npy       (N,) uint16       all pieces, one after the other, each from BOS to EOS
    train.context.npy   (N, R) int16      the first context channels beside each token: those that follow from reading
    train.pieces.npz    starts (P + 1,) int64, notes (P,) int32, shifts (P, 2) int8: least and greatest transposition,
                        styles (P,) int8: 1 + place among the styles in store.json, 0 for none
    train.names.json    names of the P pieces
    valid. ...  test. ...

It is written beside its place and moved there when complete, so that a store is whole or absent.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError
from melody.files import fresh_folder

FORMAT = 2


@dataclass(frozen=True)
class StoredPiece:
    """One tokenized piece on its way into a store."""

    name: str
    ids: NDArray[np.uint16]  # (T,)
    context: NDArray[np.int16]  # (T, R)
    notes: int
    shifts: tuple[int, int]  # semitones by which it may be transposed, least and greatest
    style: int = 0  # 1 + its place among the store's styles


@dataclass(frozen=True)
class Split:
    """The pieces of one split; `ids` and `context` are views into files on disk."""

    ids: NDArray[np.uint16]  # (N,)
    context: NDArray[np.int16]  # (N, R)
    starts: NDArray[np.int64]  # (P + 1,)
    notes: NDArray[np.int32]  # (P,)
    shifts: NDArray[np.int8]  # (P, 2)
    styles: NDArray[np.int8]  # (P,)
    names: list[str]  # (P,)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each piece, shape (P,)."""
        return np.diff(self.starts)

    def piece(self, index: int) -> tuple[NDArray[np.uint16], NDArray[np.int16]]:
        """Ids (T,) and context (T, R) of a piece; read-only."""
        span = slice(self.starts[index], self.starts[index + 1])
        return self.ids[span], self.context[span]


@dataclass(frozen=True)
class TokenStore:
    """An open store. `info` is the contents of its store.json."""

    folder: Path
    info: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "TokenStore":
        """Open the store in `folder`. Raises `MelodyError` where there is none or its format is another."""
        folder = Path(folder)
        try:
            info = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MelodyError(f"{folder}: no token store here; make one with melody prepare") from error
        if info.get("format") != FORMAT:
            raise MelodyError(f"{folder}: store of format {info.get('format')}, not {FORMAT}; run melody prepare again")
        return cls(folder, info)

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return str(self.info["name"])

    @property
    def styles(self) -> list[str]:
        """Names of its styles; none where it is all one."""
        return list(self.info["styles"])

    @property
    def splits(self) -> list[str]:
        """Names of the splits that hold pieces."""
        return [split for split, counts in self.info["splits"].items() if counts["pieces"]]

    @property
    def vocabulary_hash(self) -> str:
        """Hash of the vocabulary the ids belong to."""
        return str(self.info["tokenizer"]["vocabulary_hash"])

    def split(self, name: str) -> Split:
        """Open a split. Raises `MelodyError` where the store has none of that name or its files do not fit."""
        if name not in self.info["splits"]:
            raise MelodyError(f"{self.folder}: no split {name!r}; there are {', '.join(self.info['splits'])}")
        try:
            ids, context = (np.load(self.folder / f"{name}.{part}.npy", mmap_mode="r") for part in ("ids", "context"))
            with (self.folder / f"{name}.pieces.npz").open("rb") as file, np.load(file) as pieces:
                columns = {column: pieces[column] for column in ("starts", "notes", "shifts", "styles")}
            names = json.loads((self.folder / f"{name}.names.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise self._damaged(name) from error
        if not len(ids) == len(context) == columns["starts"][-1] or len(names) != len(columns["notes"]):
            raise self._damaged(name)
        return Split(ids, context, names=names, **columns)

    def _damaged(self, name: str) -> MelodyError:
        return MelodyError(f"{self.folder}: split {name} is damaged; run melody prepare again")

    def verify(self) -> None:
        """Compare all files with their hashes; raises `MelodyError` naming the first that differs."""
        for name, expected in self.info["files"].items():
            path = self.folder / name
            if not path.is_file() or _sha256(path) != expected:
                raise MelodyError(f"{path}: not the file that was written; run melody prepare again")


def write_store(
    folder: str | os.PathLike[str],
    name: str,
    tokenizer: Any,
    splits: Mapping[str, Sequence[StoredPiece]],
    report: Mapping[str, Any],
    *,
    styles: Sequence[str] = (),
    force: bool = False,
) -> TokenStore:
    """Write a store of pieces by split, whole or not at all, and open it.

    Raises `MelodyError` where `folder` exists (with `force`: where it is anything but a store) or cannot be written.
    """
    folder = Path(folder)
    check_place(folder, force)
    with fresh_folder(folder) as fresh:
        width = next((piece.context.shape[1] for pieces in splits.values() for piece in pieces), 0)
        for split, pieces in splits.items():
            _write_split(fresh, split, pieces, width)
        info = _describe(fresh, name, tokenizer, width, splits, report) | {"styles": list(styles)}
        (fresh / "store.json").write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
    return TokenStore.open(folder)


def check_place(folder: Path, force: bool) -> None:
    """Refuse to write a store where something stands: any store without `force`, anything else always."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "store.json").is_file():
        raise MelodyError(f"{folder}: exists and is no token store; choose another place with --out")
    if not force:
        raise MelodyError(f"{folder}: exists; pass --force to prepare it again, or choose another place with --out")


def _write_split(folder: Path, split: str, pieces: Sequence[StoredPiece], channels: int) -> None:
    lengths = [len(piece.ids) for piece in pieces]
    ids = np.concatenate([np.zeros(0, np.uint16), *(piece.ids for piece in pieces)])
    context = np.concatenate([np.zeros((0, channels), np.int16), *(piece.context for piece in pieces)])
    np.save(folder / f"{split}.ids.npy", ids.astype(np.uint16))
    np.save(folder / f"{split}.context.npy", context.astype(np.int16))
    np.savez(
        folder / f"{split}.pieces.npz",
        starts=np.cumsum([0, *lengths], dtype=np.int64),
        notes=np.array([piece.notes for piece in pieces], np.int32),
        shifts=np.array([piece.shifts for piece in pieces], np.int8).reshape(-1, 2),
        styles=np.array([piece.style for piece in pieces], np.int8),
    )
    (folder / f"{split}.names.json").write_text(json.dumps([p.name for p in pieces], indent=0), encoding="utf-8")


def _describe(
    folder: Path,
    name: str,
    tokenizer: Any,
    width: int,
    splits: Mapping[str, Sequence[StoredPiece]],
    report: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": name,
        "tokenizer": {
            "config": dict(tokenizer.config),
            "vocabulary_size": len(tokenizer.vocabulary),
            "vocabulary_hash": tokenizer.vocabulary.hash,
        },
        "channels": [{"name": c.name, "size": c.size, "plan": c.plan} for c in tokenizer.channels[:width]],
        "splits": {
            split: {
                "pieces": len(pieces),
                "tokens": sum(len(piece.ids) for piece in pieces),
                "notes": sum(piece.notes for piece in pieces),
            }
            for split, pieces in splits.items()
        },
        "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
        "report": dict(report),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
