"""Shards: tokenized pieces on disk as they come, with a journal of what was read, so that nothing is read twice.

    shards/00000.ids        uint16, the tokens of its pieces, one piece after the other, each from BOS to EOS
    shards/00000.context    (tokens, R) int16, the first R context channels beside each token
    shards/00000.grams      int64, the n-grams of melodic intervals of its pieces, by which versions of a tune are found
    shards/00000.jsonl      the journal: a line that says how this shard was read, then a line an item

All four only ever grow. So a process may be killed at any moment: what stands behind the last line whose tokens are all
there is cut off, and reading goes on after it. A shard of a finished
store is closed for good; what is read later goes to another. Memory holds a line a piece, never the tokens.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from melody.corpus.facts import Facts
from melody.corpus.pieces import Dropped, Piece
from melody.music.score import Ints

MOST_TOKENS = 1 << 22  # of a shard: a hundred megabytes with their channels
FOLDER = "shards"
_PARTS = ("ids", "context", "grams", "jsonl")
_TYPES: dict[str, np.dtype[Any]] = {"ids": np.dtype("<u2"), "context": np.dtype("<i2"), "grams": np.dtype("<i8")}


T = TypeVar("T")


class Place(NamedTuple):
    """Place of a piece's tokens: the number of the shard, the first token, how many."""

    shard: int
    start: int
    tokens: int


class Entry(NamedTuple):
    """A piece that stands in a shard: all that is known of it without its tokens."""

    name: str
    place: Place
    notes: int
    ranges: tuple[tuple[int, int], ...]
    shifts: tuple[int, int]
    fingerprint: str
    gram: int  # the first of its n-grams in the same shard
    grams: int  # how many
    facts: Facts


class Record(NamedTuple):
    """Content of an item when it was read; `digest` is that of its bytes, or None where it shall be tried again."""

    digest: str | None
    entries: tuple[Entry, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True)
class Grams(Sequence[Ints]):
    """The n-grams of pieces, one piece after the other from the disk."""

    shards: "Shards"
    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        return self.shards.grams(self.entries[index])


@dataclass
class Open:
    """The shard that is being written."""

    number: int
    files: dict[str, IO[bytes]]
    tokens: int
    grams: int


class Shards:
    """The shards of one folder that were read as `key` says; others are passed over."""

    def __init__(
        self,
        folder: Path,
        key: Mapping[str, Any],
        closed: Iterable[int] = (),
        forgotten: Iterable[int] = (),
        most_tokens: int = MOST_TOKENS,
    ) -> None:
        """Take up what is there. Shards in `closed` get nothing added, those in `forgotten` are passed over."""
        self.folder, self.key, self.closed = folder / FOLDER, dict(key), set(closed)
        self.most_tokens = most_tokens  # of a shard, but for its last item
        self.records: dict[str, Record] = {}
        self.numbers: list[int] = []  # of the shards that were read as `key` says
        self._open: Open | None = None
        self._ids: dict[int, NDArray[np.uint16]] = {}
        self._grams: dict[int, IO[bytes]] = {}
        for number in sorted(set(numbers_in(folder)) - set(forgotten)):
            self._take_up(number)

    # ---- reading ----

    def ids(self, place: Place) -> NDArray[np.uint16]:
        """The tokens of a piece."""
        if place.shard not in self._ids:
            self._ids[place.shard] = np.memmap(self._path(place.shard, "ids"), _TYPES["ids"], "r")
        return self._ids[place.shard][place.start : place.start + place.tokens]

    def grams(self, entry: Entry) -> Ints:
        """The n-grams of a piece: read, not mapped, as what is mapped counts as memory."""
        shard = entry.place.shard
        if shard not in self._grams:
            self._grams[shard] = self._path(shard, "grams").open("rb")
        self._grams[shard].seek(8 * entry.gram)
        return np.fromfile(self._grams[shard], _TYPES["grams"], entry.grams)

    def _path(self, number: int, part: str) -> Path:
        return path_of(self.folder.parent, number, part)

    def _take_up(self, number: int) -> None:
        """Read a journal; of a shard that is not closed, cut off what stands behind its last whole line."""
        there = {part: path.stat().st_size for part in _PARTS if (path := self._path(number, part)).is_file()}
        tokens = grams = 0
        with self._path(number, "jsonl").open("rb") as journal:
            if _parsed(head := journal.readline()) != self.key or len(there) < len(_PARTS):
                return
            whole = self._sizes(len(head), 0, 0)
            for line in journal:
                if (content := _parsed(line)) is None:
                    break
                item, record = _record(content, number, tokens, grams)
                tokens += sum(entry.place.tokens for entry in record.entries)
                grams += sum(entry.grams for entry in record.entries)
                sizes = self._sizes(whole["jsonl"] + len(line), tokens, grams)
                if any(there[part] < size for part, size in sizes.items()):
                    break
                whole = sizes
                self.records[item] = record
        self.numbers.append(number)
        if number not in self.closed:
            for part, size in whole.items():
                os.truncate(self._path(number, part), size)
            self._finish()
            self._open = self._opened(number, whole["ids"] // 2, whole["grams"] // 8)

    def _sizes(self, journal: int, tokens: int, grams: int) -> dict[str, int]:
        """The bytes of the files of a shard that holds so much."""
        width = self.key["channels"]
        return {"ids": 2 * tokens, "context": 2 * width * tokens, "grams": 8 * grams, "jsonl": journal}

    # ---- writing ----

    def add(self, item: str, digest: str | None, results: Sequence[Piece | Dropped]) -> tuple[Entry, ...]:
        """Keep what an item held; return its pieces as they stand here."""
        if self._open is None or self._open.tokens >= self.most_tokens:
            self._finish()
            self._open = self._begin()
        shard = self._open
        pieces = [result for result in results if isinstance(result, Piece)]
        dropped = [result for result in results if isinstance(result, Dropped)]
        content = {"item": item, "digest": digest, "pieces": [_described(p) for p in pieces], "dropped": dropped}
        for piece in pieces:
            if piece.context.shape != (len(piece.ids), self.key["channels"]):
                raise ValueError(f"{piece.name}: context of shape {piece.context.shape} beside {len(piece.ids)} tokens")
            shard.files["ids"].write(piece.ids.astype(_TYPES["ids"]).tobytes())
            shard.files["context"].write(piece.context.astype(_TYPES["context"]).tobytes())
            shard.files["grams"].write(piece.grams.astype(_TYPES["grams"]).tobytes())
        _, record = _record(content, shard.number, shard.tokens, shard.grams)
        self.records[item] = record
        shard.tokens += sum(len(piece.ids) for piece in pieces)
        shard.grams += sum(len(piece.grams) for piece in pieces)
        shard.files["jsonl"].write(_line(content))
        return record.entries

    def flush(self) -> None:
        """Hand all that was added to the system: tokens first, then the lines that tell of them."""
        if self._open is not None:
            for part in _PARTS:
                self._open.files[part].flush()

    def _begin(self) -> Open:
        number = max([-1, *numbers_in(self.folder.parent)]) + 1
        self.folder.mkdir(parents=True, exist_ok=True)
        shard = self._opened(number, 0, 0)
        shard.files["jsonl"].write(_line(self.key))
        self.numbers.append(number)
        return shard

    def _opened(self, number: int, tokens: int, grams: int) -> Open:
        files: dict[str, IO[bytes]] = {part: self._path(number, part).open("ab") for part in _PARTS}
        return Open(number, files, tokens, grams)

    def _finish(self) -> None:
        if self._open is not None:
            self.flush()
            for file in self._open.files.values():
                os.fsync(file.fileno())
                file.close()
            self._open = None

    def close(self) -> None:
        """Write what is still in memory, have it on the disk, and give back all files."""
        self._finish()
        self._ids.clear()
        for file in self._grams.values():
            file.close()
        self._grams.clear()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def path_of(folder: Path, number: int, part: str) -> Path:
    """A file of a shard."""
    return folder / FOLDER / f"{number:05}.{part}"


def numbers_in(folder: Path) -> list[int]:
    """The numbers of the shards in a folder."""
    return sorted(int(path.stem) for path in (folder / FOLDER).glob("[0-9]*.jsonl"))


def remove_all_but(folder: Path, numbers: Iterable[int]) -> None:
    """Remove the shards that nothing tells of any more."""
    for number in set(numbers_in(folder)) - set(numbers):
        for part in _PARTS[::-1]:  # the journal first: without it there is no shard
            path_of(folder, number, part).unlink(missing_ok=True)


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The content of a line; None where it is not whole."""
    try:
        content: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        content = None
    return content


def _described(piece: Piece) -> dict[str, Any]:
    return {
        "name": piece.name,
        "tokens": len(piece.ids),
        "grams": len(piece.grams),
        "notes": piece.notes,
        "ranges": piece.ranges,
        "shifts": piece.shifts,
        "fingerprint": piece.fingerprint,
        "facts": piece.facts,
    }


@lru_cache(1 << 14, typed=True)
def _one(value: T) -> T:
    """One object for all equal ones: pieces have much in common."""
    return value


def _record(content: Mapping[str, Any], shard: int, token: int, gram: int) -> tuple[str, Record]:
    """Return the record in a line, whose first piece stands at these places of its shard."""
    item, entries = content["item"], []
    for piece in content["pieces"]:
        entries.append(
            Entry(
                name=item if piece["name"] == item else piece["name"],
                place=Place(shard, token, piece["tokens"]),
                notes=piece["notes"],
                ranges=_one(tuple((low, high) for low, high in piece["ranges"])),
                shifts=_one(tuple(piece["shifts"])),
                fingerprint=piece["fingerprint"],
                gram=gram,
                grams=piece["grams"],
                facts=Facts(*(_one(tuple(v) if isinstance(v, list) else v) for v in piece["facts"])),
            )
        )
        token += piece["tokens"]
        gram += piece["grams"]
    dropped = tuple(Dropped(*drop) for drop in content["dropped"])
    return item, Record(content["digest"], tuple(entries), dropped)
