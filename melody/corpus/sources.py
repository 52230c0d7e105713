"""Sources of music: a recipe, or a folder or archive of your own music with further archives in it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from melody.corpus.archives import Budget, Refuse, opened, refuse_all
from melody.corpus.pieces import SUFFIXES, Dropped, ItemReader, music_files, read_file
from melody.corpus.recipe import (
    READERS,
    PieceList,
    Recipe,
    RecipeReader,
    load_pieces,
    load_recipe,
    recipe_folders,
    source_folder,
    where_to_get,
)
from melody.errors import MelodyError, UnreadableFile, UsageError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHER_ARCHIVES = (".tar.zst", ".tzst", ".tar.lz", ".7z", ".rar")  # not read, and said to be so

# How the names of the items in a place begin, and the place: an archive is unpacked only for as long as it is open.
Source = tuple[str, contextlib.AbstractContextManager[Path]]


@dataclass(frozen=True)
class Corpus:
    """Music to be read, its reader, and what is known of it."""

    name: str
    origin: str  # what tells it from others of its name
    root: contextlib.AbstractContextManager[Path]
    sources: Callable[[Path], Iterator[Source]]  # the places below the root
    items: Callable[[Path], list[str]]  # in one of the places
    read: ItemReader
    out: Path
    recipe: Recipe | None = None
    pieces: PieceList | None = None  # None: the split is drawn from the clusters
    ngram: int = 6
    ranges: Literal["tracks", "corpus"] = "corpus"
    max_shift: int = 6
    remark: str = ""  # what a user should know of it before anything is read
    refused: list[Dropped] = field(default_factory=list)  # entries of its archives; grows as these are opened

    @property
    def reader(self) -> str:
        """The name of the reader."""
        return self.recipe.reader if self.recipe else "files"

    @property
    def split_of(self) -> dict[str, str] | None:
        """The split of each piece where it is given."""
        return self.pieces.split_of if self.pieces else None


def find_corpus(source: str | os.PathLike[str], local: Path | None) -> Corpus:
    """The recipe of that name, with its music in `local` or else fetched; or the folder or archive of music there.

    Raises `MelodyError` where there is neither.
    """
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
    root, items, remark = source_folder(recipe, local), reader.items, ""
    addition = recipe.origin.addition if recipe.origin else None
    if recipe.origin and addition and local is None:
        remark = f"without {addition.what}; for them {where_to_get(recipe.name, recipe.origin)}"
        recipe, pieces, items = recipe.model_copy(update={"origin": None}), pieces.without(addition.names), None
    elif addition:
        recipe = recipe.model_copy(update={"expected": addition.expected})
        items = partial(_listed_and_found, reader=reader, pieces=pieces, prefix=addition.names)
    elif reader.among_others:
        items = partial(_found_by_name, reader=reader, pieces=pieces)
    return Corpus(
        name=recipe.name,
        origin=recipe.name,
        root=root,
        sources=_only,
        items=items or partial(_listed, names=list(pieces.split_of)),
        read=reader.read,
        out=Path("corpora") / recipe.name / "prepared",
        recipe=recipe,
        pieces=pieces,
        ngram=recipe.ngram,
        ranges=recipe.ranges,
        max_shift=recipe.max_shift,
        remark=remark,
    )


def _from_folder(path: Path) -> Corpus:
    name = path.resolve().name if path.is_dir() else path.name.split(".", 1)[0]
    refused: list[Dropped] = []
    budget = Budget(path.stat().st_size) if path.is_file() else None  # of one archive and those in it
    root = opened(path.resolve(), _is_music_or_archive, _collect(refused, ""), name=str(path), budget=budget)
    return Corpus(
        name=name,
        origin=str(path.resolve()),
        root=root,
        sources=partial(with_archives, refused=refused, budget=budget),
        items=music_files,
        read=read_file,
        out=Path("outputs") / "stores" / name,
        refused=refused,
    )


def _listed(_: Path, names: list[str]) -> list[str]:
    return names


def _listed_and_found(root: Path, *, reader: RecipeReader, pieces: PieceList, prefix: str) -> list[str]:
    """Return the listed pieces of music21, by name, and of the addition in `root`, by path."""
    assert reader.items
    assert reader.name_of
    found = [item for item in reader.items(root) if reader.name_of(item) in pieces.split_of]
    return [*(name for name in pieces.split_of if not name.startswith(prefix)), *found]


def _found_by_name(root: Path, *, reader: RecipeReader, pieces: PieceList) -> list[str]:
    """Return the items in `root` that are called like a piece of the list, whatever folder its name puts that in."""
    assert reader.items
    called = reader.name_of or (lambda item: Path(item).stem)
    names = {Path(name).name for name in (*pieces.split_of, *pieces.left_out)}
    return [item for item in reader.items(root) if called(item) in names]


def _only(root: Path) -> Iterator[Source]:
    yield "", contextlib.nullcontext(root)


def with_archives(root: Path, refused: list[Dropped] | None = None, budget: Budget | None = None) -> Iterator[Source]:
    """A folder, and one by one the archives in it and in its folders; hidden ones are passed over.

    What is refused of them is added to `refused`; without that list it refuses its archive.
    """
    yield "", contextlib.nullcontext(root)
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file() and _is_archive(path.name))
    for path in sorted(found):
        if not any(part.startswith(".") for part in path.parts):
            name = path.as_posix()
            refuse = refuse_all if refused is None else _collect(refused, name)
            yield f"{name}/", opened(root / path, _is_music, refuse, name=name, budget=budget)


def _collect(refused: list[Dropped], archive: str) -> Refuse:
    """Remember what is refused of an archive, by the name that a piece of it would have."""

    def refuse(entry: str, reason: str) -> None:
        name = f"{archive}/{entry}" if archive and entry else entry or archive
        refused.append(Dropped(name, UnreadableFile.__name__, f"{ascii(name)[1:-1]}: {reason}"))

    return refuse


def _is_music(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def _is_archive(path: str) -> bool:
    return path.lower().endswith(ARCHIVES + OTHER_ARCHIVES)


def _is_music_or_archive(path: str) -> bool:
    return _is_music(path) or _is_archive(path)
