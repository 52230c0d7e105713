"""What is inside the wheel: the shipped models and recipes travel with the code, and nothing else does."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import melody

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_each_shipped_model_is_whole(names: set[str]):
    models = {name.split("/")[2] for name in names if name.startswith("melody/bundles/")}
    assert "chorale" in models
    for model in models:
        assert f"melody/bundles/{model}/weights.safetensors" not in names  # they stand in the step graph
        settings = json.loads((ROOT / "melody" / "bundles" / model / "bundle.json").read_text())
        for part in ("bundle.json", "vocabulary.json", "step.onnx", "README.md", *settings["files"]):
            assert f"melody/bundles/{model}/{part}" in names


def test_the_wheel_is_small_enough_for_a_slow_line(wheel: Path):
    assert wheel.stat().st_size <= 25_000_000


def test_recipes_travel_and_music_does_not(names: set[str]):
    recipes = [path.parent.name for path in ROOT.glob("corpora/*/recipe.yaml")]
    assert "chorale" in recipes
    assert {f"melody/corpora/{name}/{file}" for name in recipes for file in ("recipe.yaml", "split.json")} <= names
    music = (".mid", ".midi", ".mxl", ".musicxml", ".abc", ".npy", ".npz")
    hashes = "/originality.npz"  # of n-grams, and no note
    assert not [name for name in names if name.endswith(music) and not name.endswith(hashes)]


def test_nothing_but_the_package(names: set[str]):
    assert {name.split("/")[0] for name in names} <= {"melody", f"melody-{melody.__version__}.dist-info"}
    assert "melody/py.typed" in names


def test_the_page_that_composes_by_itself_has_its_modules_and_the_core_its_sources(names: set[str]):
    assert {f"melody/web/page/{name}" for name in ("index.html", "page.css", "main.js", "core.js")} <= names
    assert {"melody/native/web/numbers.c", "melody/native/core/kernels_wasm.c"} <= names


def test_the_page_that_plays_has_its_script_and_style(names: set[str]):
    assert {f"melody/render/player.{kind}" for kind in ("js", "css", "html")} <= names
