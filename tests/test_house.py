"""The house: which room may import which, and what starting melody may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import melody

PACKAGE = Path(melody.__file__).parent
MUSIC = {"errors", "files", "score", "drumkit", "key", "chords", "voice_leading", "originality"}
READING = MUSIC | {"midi", "abc", "musicxml", "reading"}
# room: what of melody it may import, beside itself. A room is a module or package directly under melody/.
TABLE = {
    "errors": set(),
    "files": {"errors"},
    "locks": {"errors"},
    "score": {"errors"},
    "drumkit": {"score"},
    "key": {"errors", "score"},
    "chords": {"errors", "score", "key"},
    "voice_leading": {"errors", "score", "key"},
    "originality": {"errors", "score"},
    "midi": MUSIC,
    "abc": MUSIC | {"midi"},
    "musicxml": MUSIC | {"midi"},
    "reading": READING,
    "tokens": MUSIC,
    "corpus": READING | {"tokens", "locks"},
    "models": {"errors"},
    "config": {"errors"},
    "training": {"errors", "files", "locks", "config", "models"},
    "foreign": {"errors"},
    "bundle": MUSIC | {"tokens", "models", "foreign"},
    "engine": {"errors", "bundle", "models", "foreign", "tokens"},
    "generation": MUSIC | {"tokens", "bundle", "engine", "render"},
    "evaluation": MUSIC | {"tokens", "bundle", "engine", "models", "generation", "corpus", "render"},
    "render": MUSIC | {"midi"},
    "export": MUSIC | {"midi", "render"},
    "live": MUSIC | {"midi", "bundle", "generation"},
    "card": set(),
    "learning": set(),  # filled below: it joins all rooms but the shell
}
TABLE["learning"] = set(TABLE) - {"learning"}
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
            assert not {n for n, _ in imports_of(path)} & {"symusic", "melody.score", "melody.tokens", "melody.midi"}


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
