"""The house: which room may import which, no circles, nothing unused, and what starting melody may cost.

`python tests/test_house.py` prints the table that is held.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import melody
from melody.native.library import core

PACKAGE = Path(melody.__file__).parent
# room: the rooms that it may import, beside itself. A room is a module or package directly under melody/.
TABLE = {
    "errors": set(),
    "version": set(),
    "music": {"errors", "native"},
    "storage": {"errors"},
    "native": set(),
    "config": {"errors"},
    "senses": {"errors", "music", "storage"},
    "formats": {"errors", "music", "storage", "senses", "native"},
    "tokens": {"errors", "music", "storage", "native"},
    "models": {"errors"},
    "training": {"errors", "storage", "config", "models"},
    "bundle": {"errors", "music", "storage", "tokens"},
    "engine": {"errors", "storage", "tokens", "bundle", "models", "native"},
    "render": {"errors", "music", "storage", "formats", "senses"},
    "generation": {
        *("errors", "version", "music", "storage", "formats", "tokens", "bundle", "engine", "render", "senses"),
    },
    "corpus": {"errors", "music", "storage", "formats", "tokens", "jsb16"},
    "evaluation": {
        *("errors", "music", "storage", "formats", "tokens", "bundle", "engine", "render", "generation", "corpus"),
    },
    "jsb16": {"errors", "music", "storage", "tokens", "engine"},
    "live": {"errors", "music", "formats", "bundle", "generation"},
    "web": {
        *("errors", "storage", "bundle", "engine", "generation", "native", "render", "tokens"),
    },
    "studio": {
        *("errors", "version", "music", "storage", "formats", "senses", "bundle", "generation", "render", "live"),
    },
}
TABLE["learning"] = set(TABLE)  # joins all rooms but the shell
SHELL = {"cli", "__init__", "__main__"}  # the outermost: may use everything, and nobody may use it
MUSIC_SIDE = set(TABLE) - {"models", "training", "engine", "learning"}
HEAVY = {"torch", "music21", "miditok", "matplotlib", "lightning_fabric", "joblib", "mido"}
STARTED = {
    "melody.__main__",
    "melody.corpus.draw",
    "melody.learning.meters",
    "melody.learning.notations",
    "melody.learning.page_reader.engraved",
    "melody.learning.page_reader.export",
    "melody.learning.page_reader.train",
    "melody.render.sound_worker",
}  # by `python -m`
REFERENCE = {"melody.models.lstm_cell"}  # what a test holds the fast path to
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def imports_of(path: Path) -> frozenset[str]:
    """The modules that a file imports, each by its full name; of ``from a import b`` both a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def rooms_used(path: Path) -> set[str]:
    """The rooms that a file imports; what belongs to no room is the shell's: ``import melody``, ``melody.load``."""
    names = {name.split(".")[1] if "." in name else "" for name in imports_of(path) if name.split(".")[0] == "melody"}
    rooms = {name for name in names if name in TABLE or name in SHELL}
    if "melody" in imports_of(path) and not any(f"melody.{room}" in imports_of(path) for room in rooms):
        rooms.add("__init__")
    return rooms - {room_of(path)}


def table() -> str:
    """The table as text, a room a line, those at the bottom of the house first."""
    order = TopologicalSorter(TABLE).static_order()
    return "\n".join(f"{room:12} may import {', '.join(sorted(TABLE[room])) or 'nothing'}" for room in order)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_what_the_table_allows(path: Path):
    room = room_of(path)
    if room in SHELL:
        return
    unknown = rooms_used(path) - TABLE[room]
    assert not unknown, (
        f"{path.name} in {room} may not import {', '.join(sorted(unknown))}; the house holds:\n{table()}"
    )


def test_the_house_knows_no_circles():
    used = {room: set[str]() for room in TABLE}
    for path in FILES:
        if room_of(path) in TABLE:
            used[room_of(path)] |= rooms_used(path)
    for graph in (TABLE, used):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(f"a circle of rooms: {' imports '.join(reversed(error.args[1]))}")


def test_every_room_of_the_table_is_there_and_every_room_is_in_the_table():
    assert {room_of(path) for path in FILES} - SHELL == set(TABLE)


def test_no_module_is_dead():
    """Each is imported by another, or is started by itself."""
    used = {name for path in FILES for name in imports_of(path) if name != module_of(path)}
    packages = {module_of(path) for path in FILES if path.name == "__init__.py"}
    assert {module_of(path) for path in FILES} - packages - used <= STARTED | REFERENCE


def test_no_file_is_long():
    """400 lines at most, tests and benchmarks too."""
    root = PACKAGE.parent
    files = [path for folder in ("melody", "tests", "benchmarks") for path in (root / folder).rglob("*.py")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert not [f"{path}: {length} lines" for path, length in lengths.items() if length > 400]


def test_docstrings_begin_with_a_noun_or_a_verb():
    odd = re.compile(r"(What|How|Whether|Where|Of|As|Which|That|Those|Who|When|Why)\b")
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                found += [f"{path.name}: {first}"] if odd.match(first) else []
    assert not found


def test_the_music_side_never_imports_torch():
    music = [path for path in FILES if room_of(path) in MUSIC_SIDE]
    assert not [path for path in music if {name.split(".")[0] for name in imports_of(path)} & {"torch"}]


def test_models_and_training_never_see_a_note():
    notes = {"symusic", "melody.music", "melody.music.score", "melody.tokens", "melody.formats.midi"}
    assert not [path for path in FILES if room_of(path) in ("models", "training") and imports_of(path) & notes]


def loaded_by(*arguments: str, cwd: Path) -> set[str]:
    """The top-level packages that a command line imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.split("|")[-1].strip().split(".")[0] for line in lines}


def test_importing_melody_imports_nothing(tmp_path: Path):
    loaded = loaded_by("-c", "import melody; melody.read, melody.__all__, dir(melody)", cwd=tmp_path)
    assert "melody" in loaded
    assert not loaded & (HEAVY | {"onnxruntime", "symusic", "numpy", "typer", "pydantic"})


def test_help_imports_nothing_heavy(tmp_path: Path):
    loaded = loaded_by("-m", "melody", "--help", cwd=tmp_path)
    assert "typer" in loaded
    assert not loaded & (HEAVY | {"onnxruntime", "symusic"})


def test_compose_imports_nothing_heavy(tmp_path: Path):
    loaded = loaded_by("-m", "melody", "compose", "--bars", "2", "--seed", "1", cwd=tmp_path)
    assert ("onnxruntime" in loaded) == (core() is None)  # the native engine does without
    assert not loaded & HEAVY
    assert (tmp_path / "outputs" / "chorale-1-1.mid").is_file()


def test_public_names_are_what_they_were():
    errors = ["ConfigError", "LimitExceeded", "MelodyError", "UnreadableFile", "UsageError"]
    classes = ["Composer", "Settings", "Take"]
    functions = ["choose_model", "load", "read", "read_file", "render", "write"]
    assert sorted(melody.__all__) == sorted([*errors, *classes, *functions, "__version__"])
    assert all(hasattr(melody, name) and name in dir(melody) for name in melody.__all__)
    assert isinstance(melody.Composer, type)
    with pytest.raises(AttributeError, match="compozer"):
        melody.compozer  # noqa: B018


if __name__ == "__main__":
    print(table())


def test_a_test_files_name_is_used_once() -> None:
    """Otherwise pytest cannot collect the tests of both."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert not [name for name, times in names.items() if times > 1]


def test_a_class_name_is_used_once() -> None:
    """Someone who reads of a class finds one, not two of different meanings."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    assert not {name: files for name, files in places.items() if len(files) > 1}
