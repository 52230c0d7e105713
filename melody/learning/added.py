"""Small models that are added to a finished bundle: its taste, its rewriter."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
