"""The split of a recipe, drawn once: reads all its music, clusters it, and writes `split.json` and the counts.

    python -m melody.corpus.draw folk --from PATH --seed 0

What comes out is kept in the repository, so that everyone's split is the same; this module says how it came about.
Pieces that the reader leaves out or cannot read stand there with the reason, duplicates too. A published split is kept
as it is: there duplicates go within a split only, and a held-out piece that stands in train too is an overlap.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melody.corpus.duplicates import clusters, draw_split
from melody.corpus.pieces import Dropped, Piece
from melody.corpus.prepare import drop_duplicates
from melody.corpus.recipe import READERS, SPLITS, contents_hash, load_recipe, recipe_folders, source_folder
from melody.corpus.workers import read_pieces
from melody.files import write_bytes


def draw(folder: Path, local: Path | None, seed: int, workers: int | None = None) -> dict[str, Any]:
    """Write `split.json` of the recipe in `folder`; return what its `recipe.yaml` should state."""
    recipe = load_recipe(folder)
    reader = READERS[recipe.reader]
    if reader.items is None:
        raise ValueError(f"{recipe.name}: its split is not drawn")
    with source_folder(recipe, local) as root:
        items = reader.items(root)
        pieces, dropped = read_pieces(items, root, reader.read, recipe.ngram, workers=workers)
        published = reader.split(root) if reader.split else None
        sha256 = contents_hash(root, items)
    pieces, duplicates = drop_duplicates(pieces, published)
    labels = clusters([piece.grams for piece in pieces])
    drawn = draw_split(labels, seed) if published is None else [published[piece.name] for piece in pieces]
    split = {s: [p for p, own in zip(pieces, drawn, strict=True) if own == s] for s in SPLITS}
    _write(folder / "split.json", split, [*dropped, *duplicates])
    expected = {s: {"pieces": len(members), "notes": sum(p.notes for p in members)} for s, members in split.items()}
    return {"sha256": sha256, "clusters": int(labels.max(initial=-1)) + 1, "expected": expected}


def _write(path: Path, split: dict[str, list[Piece]], dropped: Sequence[Dropped]) -> None:
    left_out = defaultdict(list)
    for drop in dropped:
        left_out[drop.reason].append(drop.name)
    train = {piece.fingerprint: piece.name for piece in split["train"]}
    held_out = [piece for s in ("valid", "test") for piece in split[s] if piece.fingerprint in train]
    content = {s: [piece.name for piece in members] for s, members in split.items()} | {
        "left_out": dict(sorted(left_out.items())),
        "overlaps": {piece.name: train[piece.fingerprint] for piece in held_out},
    }
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), force=True)


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m melody.corpus.draw")
    parser.add_argument("name")
    parser.add_argument("--from", dest="local", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    result = draw(recipe_folders()[options.name], options.local, options.seed, options.workers)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
