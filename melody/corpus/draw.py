"""The split of a recipe, drawn once: reads all its music, clusters it, and writes `split.json` and the counts.

    python -m melody.corpus.draw folk --from PATH --seed 0

What comes out is kept in the repository, so that everyone's split is the same; this module says how it came about.
Pieces that the reader leaves out or cannot read stand there with the reason, duplicates too. A published split is kept
as it is: there duplicates go within a split only, and a held-out piece that stands in train too is an overlap. So it is
where a recipe has an addition (hymns beside chorales), which only trains, and never with a tune of valid or test.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melody.corpus.duplicates import clusters, draw_split
from melody.corpus.pieces import Dropped, Piece
from melody.corpus.prepare import drop_duplicates
from melody.corpus.recipe import (
    READERS,
    SPLITS,
    Recipe,
    contents_hash,
    load_pieces,
    load_recipe,
    recipe_folders,
    source_folder,
)
from melody.corpus.workers import read_pieces
from melody.storage.files import write_bytes


def draw(folder: Path, local: Path | None, seed: int, workers: int | None = None) -> dict[str, Any]:
    """Write `split.json` of the recipe in `folder`; return what its `recipe.yaml` should state."""
    recipe = load_recipe(folder)
    if recipe.origin and recipe.origin.addition:
        return _add(folder, recipe, recipe.origin.addition.names, local, workers)
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
    return {"sha256": sha256, "clusters": int(labels.max(initial=-1)) + 1, "expected": _expected(split)}


def _add(folder: Path, recipe: Recipe, prefix: str, local: Path | None, workers: int | None) -> dict[str, Any]:
    """Write the addition of a recipe into its `split.json`, the rest of which stays as it is."""
    reader = READERS[recipe.reader]
    assert reader.items
    assert reader.name_of
    known = load_pieces(folder).without(prefix)
    with source_folder(recipe, local) as root:
        found = reader.items(root)
        pieces, dropped = read_pieces([*known.split_of, *found], root, reader.read, recipe.ngram, workers=workers)
        more, refused = _allowed(pieces, clusters([piece.grams for piece in pieces]).tolist(), known.split_of)
        sha256 = contents_hash(root, [item for item in found if reader.name_of(item) in {p.name for p in more}])
    path = folder / "split.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["train"] = [name for name in content["train"] if name in known.split_of] + [piece.name for piece in more]
    left_out = {drop.name: drop.reason for drop in [*dropped, *refused]}
    content["left_out"] = _by_reason(known.left_out | left_out)
    _write_json(path, content)
    split_of = known.split_of | {piece.name: "train" for piece in more}
    split = {s: [p for p in pieces if split_of.get(p.name) == s] for s in SPLITS}
    return {"sha256": sha256, "refused": dict(Counter(left_out.values())), "expected": _expected(split)}


def _allowed(
    pieces: Sequence[Piece], labels: Sequence[int], split_of: Mapping[str, str]
) -> tuple[list[Piece], list[Dropped]]:
    """Return the pieces without a split that may train: one of each tune, and none with a tune that is held out."""
    labelled = list(zip(pieces, labels, strict=True))
    held_out = {label for piece, label in labelled if split_of.get(piece.name, "train") != "train"}
    allowed: dict[int, Piece] = {}
    refused = []
    for piece, label in labelled:
        if piece.name in split_of:
            continue
        if label in held_out:
            refused.append(Dropped(piece.name, "has a tune of valid or test"))
        elif label in allowed:
            refused.append(Dropped(piece.name, "same tune", f"{piece.name}: the tune of {allowed[label].name}"))
        else:
            allowed[label] = piece
    return list(allowed.values()), refused


def _write(path: Path, split: dict[str, list[Piece]], dropped: Sequence[Dropped]) -> None:
    train = {piece.fingerprint: piece.name for piece in split["train"]}
    held_out = [piece for s in ("valid", "test") for piece in split[s] if piece.fingerprint in train]
    content = {s: [piece.name for piece in members] for s, members in split.items()} | {
        "left_out": _by_reason({drop.name: drop.reason for drop in dropped}),
        "overlaps": {piece.name: train[piece.fingerprint] for piece in held_out},
    }
    _write_json(path, content)


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    reasons = defaultdict(list)
    for name, reason in left_out.items():
        reasons[reason].append(name)
    return dict(sorted(reasons.items()))


def _expected(split: Mapping[str, Sequence[Piece]]) -> dict[str, dict[str, int]]:
    return {s: {"pieces": len(pieces), "notes": sum(p.notes for p in pieces)} for s, pieces in split.items()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
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
