"""Fixtures shared by the tests: real music where it is at hand, visible skips where it is not."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# One thread a process, said before numpy and torch are there: the processes of pytest-xdist share the cores, and
# threads that wait for one another spin (ten times the processor time where the cores are taken).
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A busy machine is no failure: promises are tested, not speeds.
settings.register_profile("melody", deadline=None)
settings.load_profile("melody")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Neighbours run in one process, so that a module's fixtures are made once; who is done takes from the others."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session", autouse=True)
def same_soundfont(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The SoundFont that comes with melody for all tests, whatever the system has; in child processes too."""
    nothing = str(tmp_path_factory.mktemp("soundfonts"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", nothing)
        patch.setenv("XDG_DATA_DIRS", nothing)
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of corpus archives beside the checkout, for tests on data that is not part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no corpus archives beside the checkout")
    return folder
