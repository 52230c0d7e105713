"""Recipes: where a corpus comes from, who may use it, how it is read, and how it is split. One folder each in corpora/.

`recipe.yaml` holds what melody needs, `split.json` the pieces by split and those left out with the reason, `README.md`
what a person wants to know. Recipes are found in ./corpora, in the checkout around the package, and within the package.
The music itself is none of them: a reader finds it in what comes with music21, in a folder or archive that is at hand,
or in the archive that the recipe's origin names.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

import melody.errors
from melody.corpus import band, drums, folk, hymns, lead, lied, piano, pop, quartet
from melody.corpus.archives import opened, unpack
from melody.corpus.chorale import read_chorale
from melody.corpus.fetching import fetch
from melody.corpus.pieces import ItemReader, Placed
from melody.corpus.played import PlayedPiece
from melody.corpus.splits import listed_split
from melody.errors import ConfigError, MelodyError, UsageError
from melody.jsb16 import corpus as jsb16
from melody.music.score import Score

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class RecipeReader:
    """Functions that find a corpus in a folder and read it."""

    read: ItemReader  # an item, in a folder: its pieces by name
    items: Callable[[Path], list[str]] | None = None  # the items in a folder; None: the pieces of split.json
    wanted: Callable[[str], bool] = lambda _: True  # the files that it needs of an archive, by path
    split: Callable[[Path], dict[str, str]] | None = None  # a published one; None: drawn by cluster
    name_of: Callable[[str], str] | None = None  # of the piece in an item, where only pieces of split.json are read
    among_others: bool = False  # its sources hold more: only files by the names of listed pieces are read
    played: Callable[[str, Path], Mapping[str, PlayedPiece]] | None = None  # how an item was; None: it is written
    opened: Callable[[Path], contextlib.AbstractContextManager[Path]] | None = None  # None: a folder or an archive


def _read_chorale(item: str, root: Path) -> Mapping[str, Score | Placed | MelodyError]:
    if hymns.is_wanted(item):
        return hymns.read_hymn(item, root)
    return {item: read_chorale(item)}  # wherever: music21 knows where it is


def _ending(*suffixes: str) -> Callable[[str], bool]:
    return lambda path: path.lower().endswith(suffixes)


READERS = {
    "chorale": RecipeReader(_read_chorale, hymns.items, hymns.is_wanted, name_of=hymns.name_of),
    "band": RecipeReader(
        band.read_band, band.items, _ending(".mid", ".tsv"), partial(listed_split, name_of=band.styled_name_of)
    ),
    "drums": RecipeReader(
        drums.read_drums, drums.items, _ending(".mid", ".csv"), drums.official_split, played=drums.played_drums
    ),
    "folk": RecipeReader(folk.read_folk, folk.items, folk.is_wanted),
    "jsb16": RecipeReader(jsb16.read_piece, opened=jsb16.as_folder),
    "lead": RecipeReader(
        lead.read_lead,
        lead.items,
        lead.is_wanted,
        partial(listed_split, name_of=lambda item, _: lead.name_of(item)),
        name_of=lead.name_of,
        among_others=True,
    ),
    "lied": RecipeReader(lied.read_lied, lied.items, _ending(".mid", ".mxl")),
    "piano": RecipeReader(
        piano.read_piano,
        piano.items,
        piano.is_wanted,
        partial(listed_split, name_of=piano.name_of),
        among_others=True,
    ),
    "pop": RecipeReader(pop.read_pop, pop.items, _ending(".mid", ".txt")),
    "quartet": RecipeReader(quartet.read_quartet, quartet.items, _ending(".mid", ".mxl")),
}


class Counts(BaseModel):
    """Number of pieces and notes of a split."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pieces: int
    notes: int


class Addition(BaseModel):
    """Pieces that a corpus has only where their music is given; without them it is what comes with music21."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: str
    names: str  # how their names begin
    expected: dict[str, Counts]  # of the whole corpus, with them


class Origin(BaseModel):
    """Place where the music of a corpus is published."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    repository: str
    commit: str  # or version
    archive: str | tuple[str, ...]  # https addresses, fetched where nothing is at hand
    sha256: str = ""  # of the files that are read, as `contents_hash` has it
    addition: Addition | None = None  # None: it holds the whole corpus


class Recipe(BaseModel):
    """The contents of `recipe.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    reader: str  # a key of READERS
    source: str
    licence: str
    ngram: int = 6  # melodic intervals that make versions of one tune
    ranges: Literal["tracks", "corpus"] = "corpus"  # within which transposition keeps each track, or all of them
    max_shift: int = 6  # semitones
    origin: Origin | None = None  # None: comes with music21
    tokens: Literal["events", "voices"] = "events"  # in which its store says it
    styles: bool = False  # the first folder in a piece's name is a style that a model may be asked for
    expected: dict[str, Counts] = {}


@dataclass(frozen=True)
class PieceList:
    """The contents of `split.json`.

    A published split stays as it was published, even where a held-out piece shares music with a piece of the train
    split; `overlaps` names such pairs, so that a figure without them can be given.
    """

    split_of: dict[str, str]
    left_out: dict[str, str]  # name -> reason
    overlaps: dict[str, str]  # held-out piece -> train piece

    def without(self, prefix: str) -> "PieceList":
        """The list without pieces whose names begin like this."""
        split_of, left_out = (
            {name: value for name, value in pieces.items() if not name.startswith(prefix)}
            for pieces in (self.split_of, self.left_out)
        )
        return replace(self, split_of=split_of, left_out=left_out)


def recipe_folders() -> dict[str, Path]:
    """Return the recipes by name; those in ./corpora go first."""
    package = Path(melody.errors.__file__).parent
    places = (package / "corpora", package.parent / "corpora", Path("corpora"))
    return {file.parent.name: file.parent for place in places for file in sorted(place.glob("*/recipe.yaml"))}


def load_recipe(folder: Path) -> Recipe:
    """Read and check a recipe; raises `ConfigError` naming the key that is wrong."""
    from omegaconf import OmegaConf

    path = folder / "recipe.yaml"
    try:
        recipe = Recipe.model_validate(OmegaConf.to_container(OmegaConf.load(path)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        similar = get_close_matches(key, Recipe.model_fields, 1) if first["type"] == "extra_forbidden" else []
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise ConfigError(f"{path}: {key}: {first['msg']}{hint}") from error
    if recipe.reader not in READERS:
        raise ConfigError(f"{path}: reader: no reader {recipe.reader!r}; there are {', '.join(READERS)}")
    return recipe


def load_pieces(folder: Path) -> PieceList:
    """Read `split.json`; raises `ConfigError` where it is damaged or a piece stands twice."""
    path = folder / "split.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = [name for split in SPLITS for name in data[split]]
        left_out = {name: reason for reason, group in data["left_out"].items() for name in group}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: is no list of pieces by split ({error}); melody.corpus.draw writes one") from error
    twice = {name for name in names if names.count(name) > 1 or name in left_out}
    if twice:
        raise ConfigError(f"{path}: {sorted(twice)[0]} stands twice; each piece belongs to one split")
    return PieceList({name: split for split in SPLITS for name in data[split]}, left_out, data.get("overlaps", {}))


# ---- where the music is ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def source_folder(recipe: Recipe, local: Path | None) -> Iterator[Path]:
    """A folder with the music of a recipe: `local` (a folder or an archive), or fetched from its origin.

    Raises `MelodyError` where it cannot be had, with the line that says where to get it.
    """
    origin = recipe.origin
    if origin is None and local is not None:
        raise UsageError(f"{recipe.name}: comes with music21 (pip install music21); leave --from away")
    if origin is None or (origin.addition is not None and local is None):
        yield Path()
        return
    with contextlib.ExitStack() as stack:
        if local is None:
            yield stack.enter_context(_fetched(recipe, origin))
        elif not local.exists():
            raise MelodyError(f"{local}: not there; {where_to_get(recipe.name, origin)}")
        else:
            yield stack.enter_context(_opened(recipe, local))


def _opened(recipe: Recipe, local: Path) -> contextlib.AbstractContextManager[Path]:
    reader = READERS[recipe.reader]
    return reader.opened(local) if reader.opened else opened(local, reader.wanted)


@contextlib.contextmanager
def _fetched(recipe: Recipe, origin: Origin) -> Iterator[Path]:
    addresses = (origin.archive,) if isinstance(origin.archive, str) else origin.archive
    with contextlib.ExitStack() as stack:
        here = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="melody-fetch-")))
        for number, address in enumerate(addresses):
            archive = here / f"archive-{number}"
            try:
                fetch(address, archive)
                if len(addresses) == 1:
                    folder = stack.enter_context(_opened(recipe, archive))
                else:  # each in a folder of its own
                    folder = here / "music"
                    (folder / str(number)).mkdir(parents=True)
                    unpack(archive, folder / str(number), READERS[recipe.reader].wanted, name=address)
            except MelodyError as error:
                reason = str(error).replace(str(archive), address)
                raise MelodyError(f"{reason}; {where_to_get(recipe.name, origin)}") from error
        yield folder


def where_to_get(name: str, origin: Origin) -> str:
    """Advice on how to get the music of a recipe, as half a sentence."""
    return f"get {origin.repository} ({origin.commit}) and run: melody prepare {name} --from FOLDER_OR_ARCHIVE"


def contents_hash(root: Path, items: Sequence[str]) -> str:
    """SHA-256 over names and hashes of files, whatever the folders they lie in; what comes with music21 is left out."""
    paths = [root / item for item in items if (root / item).is_file()]
    lines = sorted(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
