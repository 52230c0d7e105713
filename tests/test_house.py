"""The house: which room may import which, and what starting melody may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import melody

PACKAGE = Path(melody.__file__).parent
# room: the rooms that it may import, beside itself. A room is a module or package directly under melody/.
TABLE = {
    "errors": set(),
    "music": {"errors"},
    "storage": {"errors"},
    "config": {"errors"},
    "formats": {"errors", "music", "storage", "render"},
    "tokens": {"errors", "music", "storage"},
    "models": {"errors"},
    "training": {"errors", "storage", "config", "models"},
    "bundle": {"errors", "music", "storage", "tokens"},
    "engine": {"errors", "storage", "tokens", "bundle", "models"},
    "render": {"errors", "music", "storage", "formats"},
    "generation": {"errors", "music", "storage", "formats", "tokens", "bundle", "engine", "render"},
    "corpus": {"errors", "music", "storage", "formats", "tokens", "jsb16"},
    "evaluation": {"errors", "music", "storage", "tokens", "bundle", "engine", "render", "generation", "corpus"},
    "jsb16": {"errors", "music", "storage", "tokens", "engine"},
    "live": {"errors", "music", "formats", "bundle", "generation"},
}
TABLE["learning"] = set(TABLE)  # joins all rooms but the shell
SHELL = {"cli", "__init__", "__main__"}  # the outermost: may use everything
HEAVY = {"torch", "music21", "miditok", "matplotlib", "lightning_fabric", "joblib", "mido"}


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """(module, at the top level) for each import in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"melody.{a.name}" for a in node.names] if node.module == "melody" else [node.module]
            found += [(name, id(node) in top) for name in names]
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_what_the_table_allows(path: Path):
    room = room_of(path)
    if room in SHELL:
        return
    used = {name.split(".")[1] for name, _ in imports_of(path) if name.startswith("melody.")} - {room}
    assert used <= TABLE[room], f"{room} may not import {used - TABLE[room]}"


def test_the_music_side_never_imports_torch():
    music = [path for path in FILES if room_of(path) in set(TABLE) - {"models", "training", "engine", "learning"}]
    guilty = [path for path in music for name, _ in imports_of(path) if name.split(".")[0] == "torch"]
    assert not guilty


def test_models_and_training_never_see_a_note():
    for path in FILES:
        if room_of(path) in ("models", "training"):
            assert not {n for n, _ in imports_of(path)} & {
                "symusic",
                "melody.music.score",
                "melody.tokens",
                "melody.formats.midi",
            }


def loaded_by(*arguments: str, cwd: Path) -> set[str]:
    """The top-level packages that a command line imports."""
    command = [sys.executable, "-X", "importtime", "-m", "melody", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.split("|")[-1].strip().split(".")[0] for line in lines}


def test_help_imports_nothing_heavy(tmp_path: Path):
    loaded = loaded_by("--help", cwd=tmp_path)
    assert "typer" in loaded
    assert not loaded & (HEAVY | {"onnxruntime", "symusic"})


def test_compose_imports_nothing_heavy(tmp_path: Path):
    loaded = loaded_by("compose", "--bars", "2", "--seed", "1", cwd=tmp_path)
    assert "onnxruntime" in loaded
    assert not loaded & HEAVY
    assert (tmp_path / "outputs" / "chorale-1-1.mid").is_file()


def test_public_names_are_what_they_were():
    errors = ["ConfigError", "LimitExceeded", "MelodyError", "UnreadableFile", "UsageError"]
    assert sorted(melody.__all__) == [*errors, "choose_model", "load", "read", "render", "write"]
    assert all(hasattr(melody, name) for name in melody.__all__)
