"""A place to run a program that wants a screen and a home: both its own, and nothing of it is left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

PATIENCE_SECONDS = 150  # for anything a program is waited for: Ardour takes 15 for a piece, more on a busy machine
T = TypeVar("T")


@dataclass(frozen=True)
class Desk:
    """An empty folder to work in, which is also the program's home, and the X display ("" where there is none)."""

    folder: Path
    display: str = ""

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a program here: no settings, caches or sockets but those in the folder."""
        home = {f"XDG_{kind}_HOME": str(self.folder / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
        (self.folder / "run").mkdir(mode=0o700, exist_ok=True)
        given = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.folder), "JACK_NO_START_SERVER": "1"}
        return given | home | {"XDG_RUNTIME_DIR": str(self.folder / "run"), "DISPLAY": self.display} | more

    def run(self, *command: str | Path, **more: str) -> str:
        """Run a program to its end and return its output; its complaints are shown where it fails."""
        process = subprocess.run(
            command, env=self.environment(**more), cwd=self.folder, capture_output=True, timeout=PATIENCE_SECONDS
        )
        assert process.returncode == 0, process.stderr.decode(errors="replace")[-2000:]
        return process.stdout.decode(errors="replace")

    @contextmanager
    def started(self, *command: str | Path, **more: str) -> Iterator[None]:
        """A program that runs while the block does; afterwards it and all that it started are ended."""
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                env=self.environment(**more),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            end(process)

    def window(self, name: str) -> str | None:
        """The id of a visible window whose title matches, the newest of several."""
        found = self._xdotool("search", "--onlyvisible", "--name", name).split()
        return found[-1] if found else None

    def height(self, window: str) -> int:
        """The height of a window in pixels; 0 where it is gone."""
        shape = dict(line.split("=") for line in self._xdotool("getwindowgeometry", "--shell", window).split())
        return int(shape.get("HEIGHT", 0))

    def press(self, window: str, *keys: str, text: str = "") -> None:
        """Give a window the focus, type a text, press keys."""
        self._xdotool("windowfocus", "--sync", window)
        if text:
            self._xdotool("type", "--delay", "4", text)
        if keys:
            self._xdotool("key", *keys)

    def save_as(self, window: str, dialogue: str, path: Path) -> None:
        """Save by Ctrl-S and a file dialogue, and wait until the file is whole."""

        def asked() -> str | None:
            self.press(window, "ctrl+s")  # again, as a program that is still busy misses it
            return wait_for(lambda: self.window(dialogue), seconds=2)

        self.press(wait_for(asked), "Return", text=str(path))
        wait_until_whole(path)

    def _xdotool(self, *command: str) -> str:
        return subprocess.run(
            ["xdotool", *command], env=self.environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
        ).stdout


@contextmanager
def screen(frame: Path | None = None) -> Iterator[str]:
    """A virtual X display while the block runs; its picture lies in the folder `frame` (see `picture`)."""
    reading, writing = os.pipe()
    # -noreset: else it starts anew when a program has gone, and the next one finds no display
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-noreset"]
    command += ["-fbdir", str(frame)] if frame else []
    process = subprocess.Popen(
        command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield f":{int(pipe.readline())}"
    finally:
        end(process)


def picture(frame: Path, path: Path) -> None:
    """Write what a display shows as PNG, without what is black below and beside it.

    Xvfb keeps it as XWD: a header of numbers, a colour map, rows of BGRX.
    """
    from matplotlib.image import imsave

    data = (frame / "Xvfb_screen0").read_bytes()
    header = np.frombuffer(data, ">u4", 25)
    size, width, height, row, colours = (int(header[place]) for place in (0, 4, 5, 12, 19))
    pixels = np.frombuffer(data, np.uint8, row * height, size + 12 * colours).reshape(height, row // 4, 4)
    shown = pixels[:, :width, 2::-1]
    rows, columns = (shown.any((other, 2)).nonzero()[0] for other in (1, 0))
    imsave(path, shown[: rows[-1] + 1, : columns[-1] + 1])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, by force after a while, and wait until it is gone."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(3)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            process.wait()
            return


def wait_for(look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T | None:
    """Return what `look` finds, or None when the time is over."""
    stop = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < stop:
        time.sleep(0.1)
    return found


def wait_until_whole(path: Path) -> None:
    """Until a file is there and no longer grows."""
    size = 0

    def is_whole() -> bool | None:
        nonlocal size
        before, size = size, path.stat().st_size if path.exists() else 0
        return True if 0 < before == size else None

    assert wait_for(is_whole), f"{path.name} was not saved"
