"""From a recipe, or a folder of anyone's own music, to a token store: read, drop duplicates, split, limit, write.

A recipe says which piece belongs to which split. A folder is split here, 90 / 5 / 5, and versions of one tune stay on
one side. Nothing is transposed before the split; the store only notes by how much each piece may be.
"""

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from melody.corpus.archives import opened
from melody.corpus.duplicates import clusters, draw_split
from melody.corpus.pieces import SUFFIXES, Dropped, ItemReader, Piece, music_files, read_file, read_pieces
from melody.corpus.recipe import (
    READERS,
    SPLITS,
    Counts,
    PieceList,
    Recipe,
    contents_hash,
    load_pieces,
    load_recipe,
    recipe_folders,
    source_folder,
)
from melody.corpus.retokenize import learn_miditok, retokenized
from melody.corpus.store import StoredPiece, TokenStore, check_place, write_store
from melody.errors import MelodyError, UsageError
from melody.score import Ints
from melody.tokens import EventTokenizer
from melody.tokens.channels import STYLES

if TYPE_CHECKING:
    from melody.tokens.miditok_adapter import MidiTokTokenizer

_MIDI_RANGE = (0, 127)


@dataclass(frozen=True)
class Corpus:
    """What is to be read, how, and what is known of it. Items are found and read in a folder, the root."""

    name: str
    items: Callable[[Path], list[str]]
    read: ItemReader
    root: contextlib.AbstractContextManager[Path]
    out: Path
    recipe: Recipe | None = None
    pieces: PieceList | None = None  # None: the split is drawn from the clusters
    ngram: int = 6
    ranges: Literal["tracks", "corpus"] = "corpus"
    max_shift: int = 6

    @property
    def split_of(self) -> dict[str, str] | None:
        """The split of each piece where it is given."""
        return self.pieces.split_of if self.pieces else None


@dataclass(frozen=True)
class Report:
    """What became of a corpus."""

    name: str
    folder: Path  # of the store
    pieces: dict[str, int]  # by split
    notes: dict[str, int]
    tokens: dict[str, int]
    dropped: list[Dropped]
    clusters: int  # groups of versions of one tune
    shared_clusters: int  # with pieces in more than one split; 0 for a folder
    overlaps: dict[str, str]  # held-out piece -> train piece with which it shares music
    differences: list[str]  # from what the recipe expects
    tokenizer: str
    lossless: float  # share of the pieces that the tokenizer keeps whole
    seconds: float

    @property
    def reasons(self) -> dict[str, int]:
        """How many pieces were dropped for each reason."""
        return dict(Counter(drop.reason for drop in self.dropped))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {
            "folder": str(self.folder),
            "dropped": [drop._asdict() for drop in self.dropped],
            "reasons": self.reasons,
        }


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    local: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    force: bool = False,
    seed: int = 0,
    styles: bool = False,
    miditok: str | None = None,
    bpe: int | None = None,
) -> Report:
    """Make a token store of a recipe (by name) or of a folder or archive of MIDI, MusicXML and ABC files.

    The music of a recipe is read from `local`, a folder or an archive, or else fetched from where it is published.

    With `styles` each folder within a folder of music is a style of its own, which a model learns to be asked for.

    The tokens are melody's events, or with `miditok` (REMI, TSD, MMM ...) those of MidiTok, merged to a vocabulary of
    `bpe` by byte pair encoding where that is given; such a store is for training and comparing.

    `out` is by default ``corpora/NAME/prepared`` for a recipe and ``outputs/stores/NAME`` for a folder. `workers` are
    processes (default: all cores); `progress` shows a bar on stderr (default: where that is a terminal); `seed` draws
    the split of a folder. Raises `MelodyError` where there is no such corpus, nothing readable in it, it cannot be
    fetched, or `out` exists and `force` is not set.
    """
    began = time.perf_counter()
    corpus = _find(source, Path(local) if local is not None else None)
    folder = Path(out) if out is not None else corpus.out
    if out is None and miditok is not None:
        folder = folder.with_name(f"{folder.name}-{miditok.lower()}" + (f"-bpe{bpe}" if bpe else ""))
    check_place(folder, force)
    progress = sys.stderr.isatty() if progress is None else progress
    pieces, dropped, differences = _read(corpus, workers, progress)
    if not pieces:
        raise MelodyError(f"{source}: no piece could be read{_first_reason(dropped)}")
    labels = clusters([piece.grams for piece in pieces])
    drawn = draw_split(labels, seed) if corpus.split_of is None else [corpus.split_of[p.name] for p in pieces]
    splits = {split: [p for p, s in zip(pieces, drawn, strict=True) if s == split] for split in SPLITS}
    limits = pitch_limits(splits["train"], corpus.ranges)
    differences += _differences(splits, corpus.recipe.expected if corpus.recipe else {})
    tokenizer: EventTokenizer | MidiTokTokenizer = EventTokenizer()
    lossless = 1.0
    if miditok is not None:
        tokenizer = learn_miditok(splits["train"], miditok, bpe)
        splits, lossless = retokenized(splits, tokenizer)
    report = Report(
        name=corpus.name,
        folder=folder,
        pieces={split: len(members) for split, members in splits.items()},
        notes={split: sum(piece.notes for piece in members) for split, members in splits.items()},
        tokens={split: sum(len(piece.ids) for piece in members) for split, members in splits.items()},
        dropped=dropped,
        clusters=len(set(labels.tolist())),
        shared_clusters=_shared(labels, drawn),
        overlaps=corpus.pieces.overlaps if corpus.pieces else {},
        differences=differences,
        tokenizer=tokenizer.name,
        lossless=lossless,
        seconds=round(time.perf_counter() - began, 1),
    )
    names = _styles(pieces, source) if styles or (corpus.recipe and corpus.recipe.styles) else []
    stored = {s: [_stored(p, limits, corpus.max_shift, names) for p in members] for s, members in splits.items()}
    write_store(folder, corpus.name, tokenizer, stored, report.to_dict(), styles=names, force=force)
    return report


def open_store(source: str | os.PathLike[str]) -> TokenStore:
    """The store in a folder, or that of a recipe or a folder of music at its default place, made if it is not there."""
    if (Path(source) / "store.json").is_file():
        return TokenStore.open(source)
    corpus = _find(source, None)
    if not (corpus.out / "store.json").is_file():
        prepare(source)
    return TokenStore.open(corpus.out)


def _find(source: str | os.PathLike[str], local: Path | None) -> Corpus:
    recipes = recipe_folders()
    if str(source) in recipes:
        return _from_recipe(recipes[str(source)], local)
    path = Path(source)
    if not path.exists():
        raise MelodyError(
            f"{source}: neither a folder nor a corpus; the corpora are {', '.join(sorted(recipes)) or 'none'}"
        )
    if local is not None:
        raise UsageError(f"{source}: is music of your own, so there is nothing to take --from {local}")
    return _from_folder(path)


def _from_recipe(folder: Path, local: Path | None) -> Corpus:
    recipe = load_recipe(folder)
    pieces = load_pieces(folder)
    reader = READERS[recipe.reader]
    return Corpus(
        name=recipe.name,
        items=reader.items or (lambda _: list(pieces.split_of)),
        read=reader.read,
        root=source_folder(recipe, local),
        out=Path("corpora") / recipe.name / "prepared",
        recipe=recipe,
        pieces=pieces,
        ngram=recipe.ngram,
        ranges=recipe.ranges,
        max_shift=recipe.max_shift,
    )


def _from_folder(path: Path) -> Corpus:
    name = path.resolve().name if path.is_dir() else path.name.split(".", 1)[0]
    root = opened(path.resolve(), lambda file: file.lower().endswith(SUFFIXES))
    return Corpus(name, partial(_music_in, path=path), read_file, root, Path("outputs") / "stores" / name)


def _music_in(root: Path, path: Path) -> list[str]:
    items = music_files(root)
    if not items:
        raise MelodyError(f"{path}: no MIDI, MusicXML or ABC file in it")
    return items


def _read(corpus: Corpus, workers: int | None, progress: bool) -> tuple[list[Piece], list[Dropped], list[str]]:
    """The pieces of a corpus, what was dropped, and how its files differ from those that a recipe was made with."""
    with corpus.root as root:
        items = corpus.items(root)
        expected = corpus.recipe.origin.sha256 if corpus.recipe and corpus.recipe.origin else ""
        differs = bool(expected) and contents_hash(root, items) != expected
        reader = partial(corpus.read, root=root)
        pieces, dropped = read_pieces(items, reader, corpus.ngram, workers=workers, progress=progress)
    if corpus.pieces is not None:
        pieces, dropped = _listed(pieces, dropped, corpus.pieces)
    pieces, duplicates = drop_duplicates(pieces, corpus.split_of)
    return pieces, [*dropped, *duplicates], ["the files are not those that the recipe was made with"] * differs


def _listed(pieces: list[Piece], dropped: list[Dropped], known: PieceList) -> tuple[list[Piece], list[Dropped]]:
    """Only the pieces that a recipe lists, and every piece that it leaves out or that is not there."""
    wanted = [piece for piece in pieces if piece.name in known.split_of]
    failed = [drop for drop in dropped if drop.name not in known.left_out]
    met = {piece.name for piece in wanted} | {drop.name for drop in failed}
    missing = [Dropped(name, "not there") for name in known.split_of if name not in met]
    return wanted, [*(Dropped(name, reason) for name, reason in known.left_out.items()), *failed, *missing]


def _first_reason(dropped: Sequence[Dropped]) -> str:
    return f"; the first: {dropped[0].detail or dropped[0].reason}" if dropped else ""


# ---- duplicates, splits, limits -------------------------------------------------------------------------------------


def drop_duplicates(
    pieces: Sequence[Piece], split_of: dict[str, str] | None = None
) -> tuple[list[Piece], list[Dropped]]:
    """Of pieces with the same notes up to transposition keep the first.

    Where the split is given, only within its splits: a published split is kept as it is, with what it shares.
    """
    first: dict[tuple[str, str], str] = {}
    kept: list[Piece] = []
    dropped: list[Dropped] = []
    for piece in pieces:
        key = (piece.fingerprint, split_of[piece.name] if split_of else "")
        if key in first:
            dropped.append(Dropped(piece.name, "duplicate", f"the same notes as {first[key]}"))
        else:
            first[key] = piece.name
            kept.append(piece)
    return kept, dropped


def _shared(labels: Ints, drawn: Sequence[str]) -> int:
    homes = {(int(label), split) for label, split in zip(labels, drawn, strict=True)}
    return sum(count > 1 for count in Counter(label for label, _ in homes).values())


def _differences(splits: dict[str, list[Piece]], expected: dict[str, Counts]) -> list[str]:
    lines = []
    for split, counts in expected.items():
        found = Counts(pieces=len(splits[split]), notes=sum(piece.notes for piece in splits[split]))
        if found != counts:
            lines.append(
                f"{split}: {found.pieces} pieces and {found.notes:,} notes; "
                f"the recipe expects {counts.pieces} and {counts.notes:,}"
            )
    return lines


def pitch_limits(train: Sequence[Piece], ranges: Literal["tracks", "corpus"]) -> list[tuple[int, int]]:
    """Lowest and highest pitch of each track (by index) over the train split, or one such pair for all tracks."""
    width = max((len(piece.ranges) for piece in train), default=0)
    by_track = [[piece.ranges[i] for piece in train if i < len(piece.ranges)] for i in range(width)]
    groups = by_track if ranges == "tracks" else [[pair for group in by_track for pair in group if pair != _MIDI_RANGE]]
    return [
        (min(low for low, _ in group), max(high for _, high in group)) if group else _MIDI_RANGE for group in groups
    ]


def _styles(pieces: Sequence[Piece], source: str | os.PathLike[str]) -> list[str]:
    """The folders in which the pieces are. Raises `MelodyError` where they are no styles."""
    names = sorted({style_of(piece.name) for piece in pieces})
    if "" in names or not 2 <= len(names) <= STYLES:
        raise MelodyError(
            f"{source}: --styles wants 2 to {STYLES} folders in it, a style each, and all pieces in these"
        )
    return names


def style_of(name: str) -> str:
    """The first folder in a piece's name; empty without one."""
    return name.split("/", 1)[0] if "/" in name else ""


def _stored(piece: Piece, limits: Sequence[tuple[int, int]], max_shift: int, styles: Sequence[str]) -> StoredPiece:
    shifts = allowed_shifts(piece, limits, max_shift)
    style = 1 + styles.index(style_of(piece.name)) if styles else 0
    return StoredPiece(piece.name, piece.ids, piece.context, piece.notes, shifts, style)


def allowed_shifts(piece: Piece, limits: Sequence[tuple[int, int]], max_shift: int) -> tuple[int, int]:
    """Least and greatest transposition that keeps every track within its limits; 0 is always allowed.

    The last of `limits` holds for all further tracks; a drum track moves nowhere and limits nothing.
    """
    least, greatest = np.clip(piece.shifts, -max_shift, max_shift)
    for index, (low, high) in enumerate(piece.ranges):
        if (low, high) != _MIDI_RANGE and limits:
            lowest, highest = limits[min(index, len(limits) - 1)]
            least, greatest = max(least, lowest - low), min(greatest, highest - high)
    return int(min(0, least)), int(max(0, greatest))
