"""A server for the tests of the studio."""

from collections.abc import Iterator

import pytest
from support.studio_client import Client, running


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with the usual bounds."""
    pytest.importorskip("uvicorn")
    with running(tmp_path_factory.mktemp("studio")) as client:
        yield client
