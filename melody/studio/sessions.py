"""The sessions of a server: files in its own folder, named by itself. No client says a path."""

import re
import secrets
import threading
from pathlib import Path
from typing import Any

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.storage.display import shown
from melody.storage.files import write_bytes
from melody.studio import history
from melody.studio.bounds import Bounds
from melody.studio.errors import NotThere
from melody.studio.history import History
from melody.studio.shelf import Sheet

SUFFIX = ".melody"
LISTED = 100
NAME = re.compile(r"[a-z0-9]{1,40}")


class Sessions:
    """Sessions by id, read when they are asked for; the scores of those that are open can be had by id."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.folder, self._bounds = folder, bounds
        self._open: dict[str, History] = {}
        self._lock = threading.RLock()

    def begin(self, name: str) -> History:
        """Begin a session. Raises `LimitExceeded` where there are too many."""
        with self._lock:
            path = self._fresh()
            return self._keep(history.begin(path, name or "untitled"))

    def open_file(self, data: bytes) -> History:
        """Open a session from the bytes of its file, as a session of its own. Raises `UnreadableFile`."""
        with self._lock:
            path = self._fresh()
            write_bytes(path, data)
            try:
                return self._keep(history.read(path, self._bounds))
            except MelodyError as error:
                path.unlink()
                raise type(error)(str(error).replace(path.name, "session file")) from None

    def get(self, name: str) -> History:
        """Return a session by its id. Raises `NotThere` or `UnreadableFile`."""
        with self._lock:
            if name in self._open:
                return self._open[name]
            path = self.folder / f"{name}{SUFFIX}"
            if not NAME.fullmatch(name) or not path.is_file():
                raise NotThere(f"session {shown(name, 40)}: is not here; open its file, or begin one")
            return self._keep(history.read(path, self._bounds))

    def listed(self) -> list[dict[str, Any]]:
        """Return the latest sessions that can be read: id, name, number of states, when they changed."""
        files = sorted(self._files(), key=lambda path: -path.stat().st_mtime)[:LISTED]
        rows = []
        for path in files:
            try:
                one = self.get(path.stem)
            except (UnreadableFile, NotThere, LimitExceeded):
                continue
            changed = int(path.stat().st_mtime)
            rows.append({"session": one.id, "name": one.name, "states": len(one.states), "changed": changed})
        return rows

    def sheet(self, name: str) -> Sheet | None:
        """Return a score by its id from the sessions that are open."""
        with self._lock:
            held = list(self._open.values())
        for one in held:
            for state in list(one.states.values()):
                if state.score == name:
                    return one.sheet(state.number)
        return None

    def _keep(self, one: History) -> History:
        self._open[one.id] = one
        return one

    def _fresh(self) -> Path:
        """Return a path that no session has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if len(self._files()) >= self._bounds.sessions:
            raise LimitExceeded(f"{self._bounds.sessions} sessions in {self.folder}, the limit; remove old ones")
        return self.folder / f"{secrets.token_hex(8)}{SUFFIX}"

    def _files(self) -> list[Path]:
        return [path for path in self.folder.glob(f"*{SUFFIX}") if NAME.fullmatch(path.stem)]
