"""The token store: a corpus ready for training, as a folder of memory-mapped shards and an index of splits.

    store.json            format, tokenizer, vocabulary hash, channels, counts, SHA-256 and size of files, report
    shards/               the tokens and context channels of all pieces as they were read; see `melody.corpus.shards`
    index-HASH.npz        for each split: where its P pieces are (shard, starts, lengths), notes (P,) int32, shifts
                          (P, 2) int8: least and greatest transposition, styles (P,) int8: 1 + place among the styles
                          in store.json, 0 for none, and names; and the split that every piece ever had
    report.html, .json    what is in it, for people and for programs

A store is changed by one move: a new store.json, which names other shards and another index. So it is whole at any
time, whatever is being read for its next state. Stores of format 2, which had the tokens of a split in one file, are
read too.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from melody.corpus.pieces import Piece
from melody.corpus.shards import FOLDER, Place, Shards, path_of, remove_all_but
from melody.errors import MelodyError
from melody.storage.files import fresh_folder, write_bytes
from melody.tokens.channels import Channel

FORMAT = 3
READABLE = (2, FORMAT)
_ROW = ("shard", "starts", "lengths", "notes", "shifts", "styles")


class StoreRow(NamedTuple):
    """A piece in the index of a store."""

    name: str
    place: Place
    notes: int
    shifts: tuple[int, int]  # semitones by which it may be transposed, least and greatest
    style: int = 0  # 1 + its place among the store's styles


@dataclass(frozen=True)
class StoredPiece:
    """A tokenized piece on its way into a store."""

    name: str
    ids: NDArray[np.uint16]  # (T,)
    context: NDArray[np.int16]  # (T, R)
    notes: int
    shifts: tuple[int, int]
    style: int = 0


@dataclass(frozen=True)
class Split:
    """The pieces of one split; `shards` are views into files on disk."""

    shards: Mapping[int, tuple[NDArray[np.uint16], NDArray[np.int16]]]  # ids (N,) and context (N, R) by number
    shard: NDArray[np.int64]  # (P,)
    starts: NDArray[np.int64]  # (P,) in its shard
    lengths: NDArray[np.int64]  # (P,) tokens
    notes: NDArray[np.int32]  # (P,)
    shifts: NDArray[np.int8]  # (P, 2)
    styles: NDArray[np.int8]  # (P,)
    names: list[str]  # (P,)
    channels: tuple[str, ...]  # (R,): names of the context channels

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> NDArray[np.uint16]:
        """The tokens of all pieces one after the other, a copy."""
        return np.concatenate([np.zeros(0, np.uint16), *(self.piece(index)[0] for index in range(len(self)))])

    def piece(self, index: int) -> tuple[NDArray[np.uint16], NDArray[np.int16]]:
        """Ids (T,) and context (T, R) of a piece; read-only."""
        ids, context = self.shards[int(self.shard[index])]
        span = slice(self.starts[index], self.starts[index] + self.lengths[index])
        return ids[span], context[span]


@dataclass(frozen=True)
class TokenStore:
    """An open store. `info` is the contents of its store.json."""

    folder: Path
    info: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "TokenStore":
        """Open the store in `folder`, looking at the sizes of its files.

        Raises `MelodyError` where there is none, its format is another, or a file is missing or of another size.
        """
        folder = Path(folder)
        try:
            info = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MelodyError(f"{folder}: no token store here; make one with melody prepare") from error
        if info.get("format") not in READABLE:
            raise MelodyError(f"{folder}: store of format {info.get('format')}, not {FORMAT}; run melody prepare again")
        for name, size in info.get("bytes", {}).items():
            if not (folder / name).is_file() or (folder / name).stat().st_size != size:
                raise _damaged(folder / name)
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
    def channels(self) -> tuple[str, ...]:
        """Names of the context channels that stand beside its tokens."""
        return tuple(channel["name"] for channel in self.info["channels"])

    @property
    def vocabulary_hash(self) -> str:
        """Hash of the vocabulary the ids belong to."""
        return str(self.info["tokenizer"]["vocabulary_hash"])

    @property
    def shards(self) -> list[int]:
        """The numbers of its shards."""
        return [int(Path(name).stem) for name in self.info["files"] if name.endswith(".jsonl")]

    def split(self, name: str) -> Split:
        """Open a split. Raises `MelodyError` where the store has none of that name or its files do not fit."""
        if name not in self.info["splits"]:
            raise MelodyError(f"{self.folder}: no split {name!r}; there are {', '.join(self.info['splits'])}")
        try:
            return self._whole_split(name) if self.info["format"] == 2 else self._indexed_split(name)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise _damaged(self.folder, f"split {name}") from error

    def _indexed_split(self, name: str) -> Split:
        with np.load(io.BytesIO((self.folder / self.info["index"]).read_bytes())) as index:
            columns = {column: index[f"{name}.{column}"] for column in _ROW}
            names = json.loads(index[f"{name}.names"].tobytes())
        width = len(self.info["channels"])
        shards = {}
        for number in np.unique(columns["shard"]).tolist():
            ids = np.memmap(path_of(self.folder, number, "ids"), "<u2", "r")
            context = np.zeros((len(ids), 0), np.int16)  # of a tokenizer without channels
            if width:
                context = np.memmap(path_of(self.folder, number, "context"), "<i2", "r").reshape(-1, width)
            shards[number] = ids, context
        return Split(shards, names=names, channels=self.channels, **columns)

    def _whole_split(self, name: str) -> Split:
        """Open a split of format 2."""
        ids, context = (np.load(self.folder / f"{name}.{part}.npy", mmap_mode="r") for part in ("ids", "context"))
        with (self.folder / f"{name}.pieces.npz").open("rb") as file, np.load(file) as pieces:
            edges = pieces["starts"]
            columns = {column: pieces[column] for column in ("notes", "shifts", "styles")}
        names = json.loads((self.folder / f"{name}.names.json").read_text(encoding="utf-8"))
        if not len(ids) == len(context) == edges[-1] or len(names) != len(columns["notes"]):
            raise ValueError("files of different lengths")
        shard = np.zeros(len(names), np.int64)
        return Split(
            {0: (ids, context)}, shard, edges[:-1], np.diff(edges), names=names, channels=self.channels, **columns
        )

    def homes(self) -> list[tuple[str, str, str]]:
        """Name, fingerprint and split of every piece that the store ever had in a split."""
        if "index" not in self.info:
            return []
        with np.load(io.BytesIO((self.folder / self.info["index"]).read_bytes())) as index:
            return [(name, print_, split) for name, print_, split in json.loads(index["homes"].tobytes())]

    def verify(self) -> None:
        """Compare all files with their hashes; raises `MelodyError` naming the first that differs."""
        for name, expected in self.info["files"].items():
            path = self.folder / name
            if not path.is_file() or _sha256(path) != expected:
                raise MelodyError(f"{path}: not the file that was written; run melody prepare again with `force`")


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
    """Write a store of pieces that are at hand, whole or not at all, and open it.

    Raises `MelodyError` where `folder` exists (with `force`: where it is anything but a store) or cannot be written.
    """
    folder = Path(folder)
    if check_place(folder, {}, force) is not None and not force:
        raise MelodyError(f"{folder}: exists; pass `force` to write it anew, or choose another place")
    with fresh_folder(folder) as fresh:
        rows: dict[str, list[StoreRow]] = {split: [] for split in splits}
        with Shards(fresh, {"name": name, "channels": len(read_channels(tokenizer))}) as shards:
            for split, pieces in splits.items():
                for piece in pieces:
                    place = shards.add(f"{split}/{piece.name}", "", [_unknown(piece)])[0].place
                    rows[split].append(StoreRow(piece.name, place, piece.notes, piece.shifts, piece.style))
        publish(fresh, name, tokenizer, rows, shards=shards.numbers, report=report, styles=styles)
    return TokenStore.open(folder)


def _unknown(piece: StoredPiece) -> Piece:
    """A piece of which nothing more is known."""
    grams = np.zeros(0, np.int64)
    return Piece(piece.name, piece.ids, piece.context, piece.notes, (), piece.shifts, "", grams)


def publish(
    folder: Path,
    name: str,
    tokenizer: Any,
    splits: Mapping[str, Sequence[StoreRow]],
    *,
    shards: Iterable[int],
    report: Mapping[str, Any],
    styles: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    homes: Sequence[tuple[str, str, str]] = (),
) -> TokenStore:
    """Make a store of shards that stand in `folder`, by one move, and open it; then remove what it no longer needs.

    `homes` are as `TokenStore.homes` gives them, and `options` say how the store was made. Raises `MelodyError` where
    the system refuses to write.
    """
    folder = Path(folder)
    old = TokenStore(folder, _info(folder))
    index = _index(splits, homes)
    index_name = f"index-{hashlib.sha256(index).hexdigest()[:12]}.npz"
    write_bytes(folder / index_name, index, force=True)
    numbers = sorted(shards)
    names = [f"{FOLDER}/{number:05}.{part}" for number in numbers for part in ("ids", "context", "grams", "jsonl")]
    known = old.info.get("files", {}) if old.info.get("format") == FORMAT else {}  # a closed shard never changes
    info = {
        "format": FORMAT,
        "name": name,
        "tokenizer": {
            "config": dict(tokenizer.config),
            "vocabulary_size": len(tokenizer.vocabulary),
            "vocabulary_hash": tokenizer.vocabulary.hash,
        },
        "channels": [{"name": c.name, "size": c.size, "plan": c.plan} for c in read_channels(tokenizer)],
        "splits": {split: _counts(rows) for split, rows in splits.items()},
        "styles": list(styles),
        "options": dict(options or {}),
        "index": index_name,
        "files": {file: known.get(file) or _sha256(folder / file) for file in [*names, index_name]},
        "bytes": {file: (folder / file).stat().st_size for file in [*names, index_name]},
        "report": dict(report),
    }
    write_bytes(folder / "store.json", (json.dumps(info, indent=1) + "\n").encode(), force=True)
    remove_all_but(folder, numbers)
    for file in old.info.get("files", {}):
        if "/" not in file and file != index_name:
            (folder / file).unlink(missing_ok=True)
    return TokenStore.open(folder)


def read_channels(tokenizer: Any) -> list[Channel]:
    """The channels of a tokenizer that a store holds: those that follow from reading the piece."""
    return [channel for channel in tokenizer.channels if channel.group == "read"]


def check_place(folder: Path, options: Mapping[str, Any], force: bool) -> TokenStore | None:
    """The store that stands in `folder` and was made with the same options, if any.

    Raises `MelodyError` where it was not (but with `force`), and where anything else stands there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    info = _info(folder)
    if not info and not (folder / FOLDER).is_dir():
        raise MelodyError(f"{folder}: exists and is no token store; choose another place with `out`")
    if not info or force:
        return TokenStore(folder, info) if info else None
    if info.get("format") != FORMAT:
        raise MelodyError(f"{folder}: a store of format {info.get('format')}; pass `force` to prepare it again")
    for name, value in options.items():
        if (there := info["options"].get(name)) != value:
            raise MelodyError(
                f"{folder}: was prepared with {name} {there}, not {value}; "
                "pass `force` to prepare it again, or choose another place with `out`"
            )
    return TokenStore(folder, info)


def _info(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _index(splits: Mapping[str, Sequence[StoreRow]], homes: Sequence[tuple[str, str, str]]) -> bytes:
    columns: dict[str, NDArray[Any]] = {"homes": _text([list(home) for home in homes])}
    for split, rows in splits.items():
        places = np.array([row.place for row in rows], np.int64).reshape(-1, 3)
        columns |= {f"{split}.{name}": places[:, column] for column, name in enumerate(("shard", "starts", "lengths"))}
        columns[f"{split}.notes"] = np.array([row.notes for row in rows], np.int32)
        columns[f"{split}.shifts"] = np.array([row.shifts for row in rows], np.int8).reshape(-1, 2)
        columns[f"{split}.styles"] = np.array([row.style for row in rows], np.int8)
        columns[f"{split}.names"] = _text([row.name for row in rows])
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **columns)
    return file.getvalue()


def _text(content: list[Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def _counts(rows: Sequence[StoreRow]) -> dict[str, int]:
    tokens = sum(row.place.tokens for row in rows)
    return {"pieces": len(rows), "tokens": tokens, "notes": sum(row.notes for row in rows)}


def _damaged(path: Path, what: str = "") -> MelodyError:
    return MelodyError(f"{path}: {what + ' ' if what else ''}is damaged; run melody prepare again with `force`")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
