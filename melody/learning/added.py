"""Small models that are added to a finished bundle: its taste, its rewriter."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from melody.bundle import open_bundle
from melody.bundle.bundle import REWRITER
from melody.config import TrainConfig
from melody.corpus import TokenStore
from melody.errors import MelodyError
from melody.storage.files import write_bytes


def add_to_bundle(folder: Path, name: str, arrays: Mapping[str, Any], told: Mapping[str, Any]) -> Path:
    """Write arrays as a file of a bundle, and into its bundle.json what is `told` of them; return the file."""
    from safetensors.numpy import save

    data, path = save(dict(arrays)), folder / "bundle.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings |= told
    settings["files"][name] = hashlib.sha256(data).hexdigest()
    write_bytes(folder / name, data, force=True)
    write_bytes(path, json.dumps(settings, indent=1).encode(), force=True)
    return folder / name


def keep_rewriter(folder: Path, store: TokenStore, config: TrainConfig) -> dict[str, Any]:
    """Write the rewriter that the model's base has for its corpus, or the model as it was; return what is told of it.

    It was learned from the music, not from the model, so what is exported anew keeps it.
    """
    for name in filter(None, (config.base, config.name)):
        try:
            known = open_bundle(name)
        except MelodyError:  # as most names of new models
            continue
        own = known.settings
        fits = (own.get("corpus"), own.get("styles")) == (config.corpus, store.styles)
        if fits and REWRITER in own["files"]:
            (folder / REWRITER).write_bytes(known.read(REWRITER))
            return {"rewriter": own["rewriter"]}
    return {}
