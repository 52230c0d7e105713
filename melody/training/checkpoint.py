"""Checkpoints: tensors as safetensors, the rest as JSON in their header; nothing is pickled, nothing is executed.

A file is written beside its place and moved there when it is on disk; the one before is kept as ``NAME.previous``. A
full disk or a power cut leaves a whole checkpoint, always.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from melody.errors import MelodyError, UnreadableFile
from melody.storage.files import write_bytes

SUFFIX = ".safetensors"
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}")  # as `melody.storage.files` calls a file that is not yet written


def save_checkpoint(folder: Path, name: str, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> Path:
    """Write ``name.safetensors``, keeping the one before. Raises `MelodyError` where the disk refuses."""
    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    fresh = write_bytes(folder / f"{name}.new{SUFFIX}", save(whole, {"melody": json.dumps(info)}), force=True)
    path = folder / f"{name}{SUFFIX}"
    try:
        if path.exists():
            os.replace(path, previous(path))
        os.replace(fresh, path)
    except OSError as error:
        raise MelodyError(f"{path}: cannot write: {error.strerror or error}") from error
    return path


def clear_unfinished(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left; only who holds the folder's lock may."""
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def previous(path: Path) -> Path:
    """Return the path of the checkpoint before the one at `path`."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ".previous" + SUFFIX)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name (on the CPU) and the rest. Raises `UnreadableFile` for a file that is no whole checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, json.loads((file.metadata() or {})["melody"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UnreadableFile(f"{path}: is no checkpoint of melody, or a damaged one") from error


def load_newest(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole checkpoint of a name in a run's folder; None where there never was one.

    Raises `UnreadableFile` where there are files, but all are damaged.
    """
    path = folder / f"{name}{SUFFIX}"
    candidates = [candidate for candidate in (path, previous(path)) if candidate.is_file()]
    for candidate in candidates[:-1]:
        try:
            return load_checkpoint(candidate)
        except UnreadableFile:
            continue
    return load_checkpoint(candidates[-1]) if candidates else None


def load_best(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The averaged weights of a run's best evaluation, by the model's own names, and what is known of them.

    The second holds ``config``, ``run`` (vocabulary_size, channel_sizes, model, data), ``valid`` (nats_per_note,
    nats_per_token), ``pass`` and ``step``. Raises `MelodyError` where a run has none yet.
    """
    found = load_newest(folder, "best")
    if found is None:
        raise MelodyError(f"{folder}: no best checkpoint here; train until the first evaluation")
    return found
