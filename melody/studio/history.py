"""A session on disk: one file of lines, each a step of the work; what is written stays written.

    {"melody": "session", "format": 1, "name": "Tuesday"}
    {"state": 1, "parent": null, "did": "opened band.mid", "time": 1764412800, "score": {...}}     with its MIDI file
    {"at": 1}                 the state that is worked on
    {"label": [1, "verse"]}   a name for a state
    {"mixer": {...}}          what the page keeps: volumes, mutes
    {"name": "Wednesday"}

States form a tree, so nothing is ever lost by going back. A line goes to the disk before the client hears that it was
taken; a last line that a crash cut short is cut off when the file is read.
"""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melody.errors import LimitExceeded, MelodyError, UnreadableFile, UsageError
from melody.storage.display import shown
from melody.storage.files import read_bytes, write_bytes
from melody.storage.untrusted import parse_json
from melody.studio.bounds import Bounds
from melody.studio.errors import NotThere
from melody.studio.shelf import Sheet, sheet_from

FORMAT = 1
LETTERS = 200
MIXER_BYTES = 20_000


@dataclass(frozen=True)
class State:
    """A state of the work: a score, the state that it came from, and what was done to it."""

    number: int
    parent: int | None
    did: str
    time: int  # seconds since 1970
    score: str  # id
    place: tuple[int, int]  # first byte and length of its line


@dataclass
class History:
    """A session: its states, the one that is worked on, and the file in which all of it stands."""

    path: Path
    name: str = ""
    states: dict[int, State] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    at: int | None = None
    mixer: dict[str, Any] = field(default_factory=dict)
    size: int = 0  # bytes
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def id(self) -> str:
        """Return the name by which clients know it."""
        return self.path.stem

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, without the files of its scores."""
        states = [
            {
                "state": state.number,
                "parent": state.parent,
                "did": state.did,
                "label": self.labels.get(state.number, ""),
                "time": state.time,
                "score": state.score,
            }
            for state in self.states.values()
        ]
        return {"session": self.id, "name": self.name, "at": self.at, "mixer": self.mixer, "states": states}

    def add(self, sheet: Sheet, parent: int | None, did: str, bounds: Bounds) -> State:
        """Add a state and go there. Raises `UsageError` for a parent that is none, `LimitExceeded` for too many."""
        with self.lock:
            if parent is not None and parent not in self.states:
                raise UsageError(f"`parent` {parent}: is no state of this session")
            if len(self.states) >= bounds.states or self.size > bounds.session_bytes:
                raise LimitExceeded(f"session {self.name}: is full; begin another one with its last state")
            number = max(self.states, default=0) + 1
            line = {
                "state": number,
                "parent": parent,
                "did": shown(did, LETTERS),
                "time": int(time.time()),
                "score": sheet.to_dict(),
            }
            self._write(line, {"at": number})
            return self.states[number]

    def change(self, at: int | None = None, name: str | None = None, mixer: dict[str, Any] | None = None) -> None:
        """Go to a state, rename the session, or keep what the page keeps. Raises `MelodyError`."""
        lines: list[dict[str, Any]] = []
        if at is not None:
            if at not in self.states:
                raise NotThere(f"state {at}: is none of this session")
            lines.append({"at": at})
        if name is not None:
            lines.append({"name": shown(name, LETTERS)})
        if mixer is not None:
            if len(json.dumps(mixer)) > MIXER_BYTES:
                raise LimitExceeded(f"`mixer`: up to {MIXER_BYTES:,} bytes")
            lines.append({"mixer": mixer})
        with self.lock:
            self._write(*lines)

    def label(self, number: int, label: str) -> None:
        """Give a state a name. Raises `NotThere`."""
        if number not in self.states:
            raise NotThere(f"state {number}: is none of this session")
        with self.lock:
            self._write({"label": [number, shown(label, LETTERS)]})

    def sheet(self, number: int) -> Sheet:
        """Return the score of a state, from its line in the file."""
        first, length = self.states[number].place
        with self.path.open("rb") as file:
            file.seek(first)
            return sheet_from(parse_json(file.read(length))["score"])

    def _write(self, *lines: dict[str, Any]) -> None:
        """Put lines at the end of the file, on the disk, and take them in; all of them or none."""
        data = [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]
        try:
            with self.path.open("r+b") as file:
                try:
                    file.seek(self.size)
                    file.write(b"".join(data))
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(self.size)
                    raise
        except OSError as error:
            raise MelodyError(f"{self.path}: cannot write: {error.strerror or error}") from error
        for line, written in zip(lines, data, strict=True):
            self.take_in(line, (self.size, len(written)))
            self.size += len(written)

    def take_in(self, line: dict[str, Any], place: tuple[int, int]) -> None:
        """Take in a line of the file. Raises `ValueError`, `KeyError` or `TypeError` where it is none of ours."""
        if "state" in line:
            number, parent = int(line["state"]), line["parent"]
            if number in self.states or (parent is not None and parent not in self.states):
                raise ValueError("states out of order")
            sheet = sheet_from(line["score"])
            self.states[number] = State(number, parent, shown(line["did"], LETTERS), int(line["time"]), sheet.id, place)
        elif "label" in line:
            number, label = line["label"]
            self.labels[int(number)] = shown(label, LETTERS)
        elif "at" in line:
            self.at = self.states[line["at"]].number
        elif "mixer" in line:
            self.mixer = dict(line["mixer"])
        else:
            self.name = shown(line["name"], LETTERS)


def begin(path: Path, name: str) -> History:
    """Return a new session, whose file is there. Raises `MelodyError`."""
    head = {"melody": "session", "format": FORMAT, "name": shown(name, LETTERS)}
    write_bytes(path, json.dumps(head).encode() + b"\n")
    return read(path, Bounds())


def read(path: Path, bounds: Bounds) -> History:
    """Return the session in a file; a last line without its end is cut off.

    Raises `UnreadableFile` or `LimitExceeded`.
    """
    data = read_bytes(path, 2 * bounds.session_bytes)
    history = History(path)
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            os.truncate(path, history.size)
            break
        try:
            value = parse_json(line)
            if number == 1 and value.get("format") != FORMAT:
                raise ValueError("no session, or one of another version of melody")
            history.take_in(value, (history.size, len(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableFile(
                f"{path.name}: line {number}: {error}; open a session file that melody wrote"
            ) from None
        history.size += len(line)
    if not history.size:
        raise UnreadableFile(f"{path.name}: is no session of melody")
    return history
