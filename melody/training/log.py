"""The log of a run: rows in CSV files, TensorBoard, and a line on the terminal.

On a terminal the line moves; without one a plain line comes now and then. A resumed run drops the rows that its
checkpoint does not know, so that the files read as if it had never stopped.
"""

import csv
import io
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from melody.storage.files import write_bytes
from melody.training.state import Progress

STEP_COLUMNS = ["step", "pass", "nats_per_token", "learning_rate", "gradient_norm", "tokens_per_second"]
EVALUATION_COLUMNS = ["step", "pass", "nats_per_note", "nats_per_token", "best", "seconds"]
PLAIN_EVERY_SECONDS = 30.0
TENSORBOARD_EVERY_STEPS = 10


@dataclass(frozen=True)
class Sample:
    """A composition of the model, as a picture and as sound."""

    image: NDArray[np.uint8]  # (height, width, 3)
    sound: NDArray[np.float32]  # (frames,)
    sample_rate: int  # Hz


class Table:
    """A CSV file that grows row by row; opening it drops the rows after `step`."""

    def __init__(self, path: Path, columns: list[str], step: int) -> None:
        kept = _rows_until(path, step)
        text = io.StringIO(newline="")
        csv.DictWriter(text, columns, extrasaction="ignore").writeheader()
        csv.DictWriter(text, columns, extrasaction="ignore").writerows(kept)
        write_bytes(path, text.getvalue().encode(), force=True)  # never less than the rows that are kept
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns, extrasaction="ignore")

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._writer.writerow(row)

    def flush(self) -> None:
        """Bring what was added to the file."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["pass"] is not None]  # else the step itself may be cut
        return [row for row in rows if row["step"].isdigit() and int(row["step"]) <= step]


class RunLog:
    """The log of a run; one that is not `active` (a process beside the first) says nothing."""

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        *,
        tensorboard: bool,
        active: bool = True,
        columns: tuple[Sequence[str], Sequence[str]] = ((), ()),
    ) -> None:
        """`columns` are further figures of steps and of evaluations."""
        self.active, self.columns = active, columns
        self.console = Console(quiet=not active)
        self._tables: list[Table] = []
        self._board: Any = None
        self._bar: Bar | None = None
        self._said = time.monotonic()
        if not active:
            return
        step = progress.step or -1  # where there is no checkpoint, nothing is known
        # a checkpoint that knows of no evaluation was written before the one at its own step
        evaluated = step - 1 if progress.evaluated_step is None else progress.evaluated_step
        self._tables = [
            Table(folder / "steps.csv", [*STEP_COLUMNS, *columns[0]], step),
            Table(folder / "evaluations.csv", [*EVALUATION_COLUMNS, *columns[1]], evaluated),
        ]
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(os.fspath(folder / "tensorboard"), purge_step=progress.step + 1)
        if self.console.is_terminal:
            self._bar = Bar(TextColumn("{task.description}"), BarColumn(), console=self.console, transient=True)
            self._task = self._bar.add_task("")
            self._bar.start()

    def step(self, row: Mapping[str, Any], line: str, share: float) -> None:
        """A step's row, and how it reads in a line; `share` in [0, 1] of the run is done."""
        if not self.active:
            return
        self._tables[0].add(row)
        if row["step"] % TENSORBOARD_EVERY_STEPS == 0:
            shown = ("nats_per_token", "learning_rate", "gradient_norm", "tokens_per_second")
            self._to_board("train", row, (*shown, *self.columns[0]))
        if self._bar is not None:
            self._bar.update(self._task, description=line, completed=100 * share)
        elif time.monotonic() - self._said > PLAIN_EVERY_SECONDS:
            self.say(line)

    def evaluation(self, row: Mapping[str, Any], line: str) -> None:
        """An evaluation's row and line."""
        if self.active:
            self._tables[1].add(row)
            self._to_board("valid", row, ("nats_per_note", "nats_per_token", *self.columns[1]))
            self.flush()
            self.say(line)

    def sample(self, sample: Sample, step: int) -> None:
        """A composition of the model after a step."""
        if self._board is not None:
            self._board.add_image("sample", sample.image, step, dataformats="HWC")
            self._board.add_audio("sample", sample.sound[None], step, sample.sample_rate)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._said = time.monotonic()
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def flush(self) -> None:
        """Bring the rows to their files."""
        for table in self._tables:
            table.flush()

    def close(self) -> None:
        """End the line and the files."""
        if self._bar is not None:
            self._bar.stop()
        for table in self._tables:
            table.close()
        if self._board is not None:
            self._board.close()

    def _to_board(self, group: str, row: Mapping[str, Any], names: tuple[str, ...]) -> None:
        if self._board is not None:
            for name in names:
                self._board.add_scalar(f"{group}/{name}", row[name], row["step"])
