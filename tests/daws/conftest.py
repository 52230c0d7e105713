"""Fixtures: programs that are there, a screen, a desk for each opening, and what compose makes of each primer."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import melody
from daws import ardour, lmms, musescore, rosegarden
from daws.desk import Desk, screen
from daws.primers import PRIMERS
from melody.cli import run

PROGRAMS = {module.__name__.rpartition(".")[2]: module for module in (musescore, lmms, rosegarden, ardour)}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> ModuleType:
    """Each program's module; its tests are skipped where the program is not installed."""
    module = PROGRAMS[request.param]
    missing = [command for command in module.NEEDS if not shutil.which(command)]
    if missing:
        pytest.skip(f"{module.NAME}: {', '.join(missing)} not installed")
    return module


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A virtual screen for all programs."""
    with screen() as name:
        yield name


@pytest.fixture
def desk(program: ModuleType, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    """An empty folder that is the program's home, with a screen where it needs one."""
    display = request.getfixturevalue("display") if "Xvfb" in program.NEEDS else ""
    return Desk(tmp_path, display)


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By primer: four bars more, by the shipped model."""
    folder = tmp_path_factory.mktemp("composed")
    results = {}
    for name, primer in PRIMERS.items():
        melody.write(primer(), folder / f"primer-{name}.mid")
        results[name] = folder / f"{name}.mid"
        given = str(folder / f"primer-{name}.mid")
        assert run(["compose", given, "--bars", "4", "--seed", "3", "--out", str(results[name])]) == 0
    return results
