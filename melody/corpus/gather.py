"""Reading of a corpus into shards: items that were read before and have not changed since are passed over."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from melody.corpus.pieces import Dropped, Piece
from melody.corpus.recipe import contents_hash
from melody.corpus.shards import Shards
from melody.corpus.sources import Corpus
from melody.corpus.workers import CRASHED, TOO_LONG, read_items
from melody.errors import MelodyError


@dataclass(frozen=True)
class How:
    """Settings of reading."""

    workers: int | None  # processes; None: all cores
    seconds: float  # that a reader may take for an item
    progress: bool


@dataclass
class Gathered:
    """Result of reading: the items in order, archives that could not be opened, and differences from the recipe."""

    items: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    read: int = 0  # items, now


def gather(corpus: Corpus, root: Path, shards: Shards, how: How) -> Gathered:
    """Read what is new or was changed in all places of a corpus. Raises `MelodyError` where there is no item at all."""
    result = Gathered()
    with _bar(how.progress) as bar:
        for prefix, place in corpus.sources(root):
            with contextlib.ExitStack() as stack:
                try:
                    here = stack.enter_context(place)
                    items = corpus.items(here)
                except MelodyError as error:  # a bad archive costs one line too
                    if not prefix:
                        raise
                    result.dropped.append(Dropped(prefix[:-1], type(error).__name__, str(error)))
                    continue
                finally:
                    result.dropped += corpus.refused
                    corpus.refused.clear()
                result.items += [prefix + item for item in items]
                result.read += _read_new(corpus, items, prefix, here.resolve(), shards, how, bar)
                result.differences += _differences(corpus, here, items)
    if not result.items:
        raise MelodyError(
            result.dropped[0].detail
            if result.dropped
            else f"{corpus.origin}: no MIDI, MusicXML, ABC or kern file in it, and no archive"
        )
    return result


def _read_new(corpus: Corpus, items: list[str], prefix: str, here: Path, shards: Shards, how: How, bar: "_Bar") -> int:
    digests = {item: _digest(here / item) for item in items}
    new = [item for item in items if not _is_known(shards, prefix + item, digests[item])]
    bar.expect(len(new))
    for item, results in read_items(new, here, corpus.read, corpus.ngram, workers=how.workers, seconds=how.seconds):
        named = [_named(result, prefix, here) for result in results]
        failed = any(isinstance(result, Dropped) and result.reason in (CRASHED, TOO_LONG) for result in results)
        shards.add(prefix + item, None if failed else digests[item], named)
        shards.flush()
        bar.advance()
    return len(new)


def _digest(path: Path) -> str | None:
    """Return the hash of a file; empty for an item that is none, and None where it cannot be read."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError:
        return None


def _is_known(shards: Shards, item: str, digest: str | None) -> bool:
    record = shards.records.get(item)
    return record is not None and record.digest is not None and record.digest == digest


def _named(result: Piece | Dropped, prefix: str, here: Path) -> Piece | Dropped:
    """A result whose name begins with that of its archive, and which says nothing of where that was unpacked."""
    if isinstance(result, Dropped):
        return Dropped(prefix + result.name, result.reason, result.detail.replace(f"{here}{os.sep}", prefix))
    return replace(result, name=prefix + result.name)


def _differences(corpus: Corpus, here: Path, items: list[str]) -> list[str]:
    expected = corpus.recipe.origin.sha256 if corpus.recipe and corpus.recipe.origin else ""
    differs = bool(expected) and contents_hash(here, items) != expected
    return ["the files are not those that the recipe was made with"] * differs


class _Bar:
    """A progress bar on stderr, or none."""

    def __init__(self, progress: Any = None) -> None:
        self._progress = progress
        self._task = progress.add_task("reading", total=0) if progress else None
        self._total = 0

    def expect(self, count: int) -> None:
        """Make room for so many more items."""
        self._total += count
        if self._progress:
            self._progress.update(self._task, total=self._total)

    def advance(self) -> None:
        """An item is done."""
        if self._progress:
            self._progress.advance(self._task)


@contextlib.contextmanager
def _bar(wanted: bool) -> Iterator[_Bar]:
    if not wanted:
        yield _Bar()
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as progress:
        yield _Bar(progress)
