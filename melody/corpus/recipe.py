"""Recipes: where a corpus comes from, who may use it, how it is read, and how it is split. One folder each in corpora/.

`recipe.yaml` holds what melody needs, `split.json` the pieces by split and those left out with the reason, `README.md`
what a person wants to know. Recipes are found in ./corpora, in the checkout around the package, and within the package.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

import melody.errors
from melody.corpus.chorale import read_chorale
from melody.errors import ConfigError
from melody.score import Score

SPLITS = ("train", "valid", "test")
READERS: dict[str, Callable[[str], Score]] = {"chorale": read_chorale}


class Counts(BaseModel):
    """How many pieces and notes a split has."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pieces: int
    notes: int


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


def recipe_folders() -> dict[str, Path]:
    """All recipes by name; those in ./corpora go first."""
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
    """Read `split.json`; raises `ConfigError` where a piece stands twice."""
    path = folder / "split.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    names = [name for split in SPLITS for name in data[split]]
    left_out = {name: reason for reason, group in data["left_out"].items() for name in group}
    twice = {name for name in names if names.count(name) > 1 or name in left_out}
    if twice:
        raise ConfigError(f"{path}: {sorted(twice)[0]} stands twice; each piece belongs to one split")
    return PieceList({name: split for split in SPLITS for name in data[split]}, left_out, data.get("overlaps", {}))
