"""Splits of pieces, once and for all: music that is read later never moves what was there.

A store remembers the split of every piece by its fingerprint and its name. A new version of a tune goes where the tune
is; one that has versions on two sides is left out, as it would bring them together. A recipe's split may have been
drawn elsewhere, and stand beside the music.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from melody.corpus.duplicates import draw_split
from melody.corpus.shards import Entry
from melody.music.score import Ints

Home = tuple[str, str, str]  # name, fingerprint, split


class Homes:
    """The splits of earlier pieces."""

    def __init__(self, homes: Iterable[Home] = ()) -> None:
        self._by_name: dict[str, str] = {}
        self._by_fingerprint: dict[str, str] = {}
        for name, fingerprint, split in homes:
            self._by_name[name] = self._by_fingerprint[fingerprint] = split

    def same(self, piece: Entry) -> str:
        """The split that the same music had; empty where there was none."""
        return self._by_fingerprint.get(piece.fingerprint, "")

    def of(self, piece: Entry) -> str:
        """The split that the same music had, or else another of this name (a file that was changed)."""
        return self.same(piece) or self._by_name.get(piece.name, "")


def settle(pieces: Sequence[Entry], labels: Ints, homes: Homes, seed: int) -> list[str]:
    """The split of each piece, given the cluster of each; empty for one that stands between two splits."""
    there: defaultdict[int, set[str]] = defaultdict(set)
    for piece, label in zip(pieces, labels.tolist(), strict=True):
        if home := homes.of(piece):
            there[label].add(home)
    fixed = {label: next(iter(splits)) if len(splits) == 1 else "" for label, splits in there.items()}
    drawn = draw_split(labels, seed, fixed=fixed)
    return [homes.same(piece) or split for piece, split in zip(pieces, drawn, strict=True)]


def listed_split(root: Path, name_of: Callable[[str, Path], str]) -> dict[str, str]:
    """Return the splits that each `manifest.tsv` beside the music gives its pieces; `name_of` takes file and folder."""
    result: dict[str, str] = {}
    for path in sorted(root.rglob("manifest.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            result |= {name_of(row["file"], path.parent): row["split"] for row in rows}
    return result
