"""Engines of models as generation opens them.

That of a shipped model is opened once: who looks for the model that suits a primer and who composes with it share it.
"""

from functools import lru_cache
from pathlib import Path

from melody.bundle import Bundle, open_bundle
from melody.bundle import bundle as bundles
from melody.engine import AUTO, Engine, open_engine


def engine_of(bundle: Bundle, kind: str = AUTO, threads: int = 1) -> Engine:
    """Return an engine of a bundle, see `open_engine`."""
    shipped = bundle.adapter is None and bundle.folder.parent == bundles.SHIPPED
    return _shipped(bundle.folder) if shipped and (kind, threads) == (AUTO, 1) else open_engine(bundle, kind, threads)


@lru_cache
def _shipped(folder: Path) -> Engine:
    return open_engine(open_bundle(folder))
