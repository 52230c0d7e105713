"""The runs in a folder: how far each has come, how good its best is, whether it goes on.

The headers of checkpoints and the tables say it; no tensor is read, and torch is not needed.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from melody.storage.locks import is_locked

CHECKPOINTS = ("last.safetensors", "last.previous.safetensors")
RECENT_STEPS = 100
MOST_HEADER_BYTES = 2**24


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it."""

    name: str
    folder: str
    state: str  # running, finished, stopped, or damaged: no whole checkpoint
    passes: int
    max_passes: int
    best_nats_per_note: float | None
    best_pass: int
    tokens_per_second: float | None  # of the latest steps
    seconds: float  # of training
    bytes: int
    changed: str  # when, in ISO 8601

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def find_runs(root: Path) -> list[Run]:
    """The runs in the folders of `root`, or that which `root` is, the latest first."""
    folders = [root, *(path for path in sorted(root.glob("*")) if path.is_dir())]
    found = [_run(folder) for folder in folders if any((folder / n).is_file() for n in ("lock", *CHECKPOINTS))]
    return sorted(found, key=lambda run: run.changed, reverse=True)


def _run(folder: Path) -> Run:
    headers = [header for header in (_header(folder / name) for name in CHECKPOINTS) if header]
    info: Mapping[str, Any] = headers[0] if headers else {}
    progress, config = info.get("progress", {}), info.get("config", {})
    files = [path.stat() for path in folder.iterdir() if path.is_file()]
    return Run(
        name=config.get("name", folder.name),
        folder=str(folder),
        state=_state(folder, progress, config),
        passes=progress.get("pass_", 0),
        max_passes=config.get("max_passes", 0),
        best_nats_per_note=progress.get("best_nats_per_note"),
        best_pass=progress.get("best_pass", 0),
        tokens_per_second=_tokens_per_second(folder / "steps.csv"),
        seconds=progress.get("seconds", 0.0),
        bytes=sum(file.st_size for file in files),
        changed=datetime.fromtimestamp(max(file.st_mtime for file in files), UTC).isoformat(timespec="seconds"),
    )


def _state(folder: Path, progress: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    if is_locked(folder):
        return "running"
    if not progress and any((folder / name).exists() for name in CHECKPOINTS):
        return "damaged"
    return "finished" if progress and _is_over(progress, config) else "stopped"


def _is_over(progress: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Return true if a run would stop at once when it is resumed with its own configuration."""
    patience, minutes = config["evaluation"]["patience"], config["max_minutes"]
    out_of_patience = patience is not None and progress["waiting"] >= patience
    out_of_time = minutes is not None and progress["seconds"] >= 60 * minutes
    return bool(progress["pass_"] >= config["max_passes"] or out_of_patience or out_of_time)


def _header(path: Path) -> dict[str, Any] | None:
    """Return what a checkpoint holds beside its tensors; None if it is not whole."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= MOST_HEADER_BYTES else {}
        end = 8 + size + max(part["data_offsets"][1] for name, part in header.items() if name != "__metadata__")
        found: dict[str, Any] = json.loads(header["__metadata__"]["melody"])
        _is_over(found["progress"], found["config"])  # which a foreign one does not know
        return found if path.stat().st_size == end else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _tokens_per_second(path: Path) -> float | None:
    """The median over the latest steps in a run's table."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 200 * RECENT_STEPS))  # a row has some 80 bytes
            lines = file.read().decode("utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return None
    rates = [row[-1] for row in csv.reader(lines[-RECENT_STEPS:]) if len(row) == 6 and row[-1].isdigit()]
    return median(map(float, rates)) if rates else None
