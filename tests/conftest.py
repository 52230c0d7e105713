"""Fixtures shared by the tests: real music where it is at hand, visible skips where it is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: promises are tested, not speeds.
settings.register_profile("melody", deadline=None)
settings.load_profile("melody")


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
