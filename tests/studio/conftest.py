"""A server for the tests of the studio, and its page in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import Browser
from support.primers import kit, part, piano, primer
from support.studio_client import Client, running
from support.studio_page import opened

import melody


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with the usual bounds."""
    pytest.importorskip("uvicorn")
    with running(tmp_path_factory.mktemp("studio")) as client:
        yield client


@pytest.fixture(scope="session")
def band_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drums, bass and keys, four bars, as a file."""
    path = tmp_path_factory.mktemp("band") / "band.mid"
    melody.write(primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33), piano()), path)
    return path


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[Browser, str, list[str]]]:
    """The page, freshly opened."""
    with opened(tmp_path) as page:
        yield page
