"""Pages that are beyond melody's own reader, read by Audiveris or homr where one is installed, and named as such."""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from melody.errors import UnreadableFile
from melody.formats.midi.reader import Reading
from melody.formats.musicxml import parse_musicxml
from melody.storage.files import read_bytes

LIMIT_SECONDS = 180.0
MOST_BYTES = 50_000_000  # of what a program writes
COMMANDS = {  # name: words before the picture; Audiveris writes where it is told, homr beside the picture
    "audiveris": ("-batch", "-export", "-output", "."),
    "homr": (),
}


def installed() -> str | None:
    """Return the name of such a program that can be run here, if any."""
    return next((name for name in COMMANDS if shutil.which(name)), None)


def read_by_program(data: bytes, name: str, program: str) -> Reading:
    """Return what `program` reads on a picture (PNG or JPEG). Raises `UnreadableFile` where it finds no score."""
    with tempfile.TemporaryDirectory(prefix="melody-page-") as folder:
        picture = Path(folder) / ("page.png" if data.startswith(b"\x89PNG") else "page.jpg")
        picture.write_bytes(data)
        command = [str(shutil.which(program)), *COMMANDS[program], picture.name]
        _run(command, folder, name, program)
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".mxl", ".musicxml", ".xml"))
        if not found:
            raise UnreadableFile(f"{name}: {program} found no music on it; photograph it straight, sharp and close")
        reading = parse_musicxml(read_bytes(found[0], MOST_BYTES), name)
    return replace(reading, remarks=(f"read from a picture by {program}; check it", *reading.remarks))


def _run(command: list[str], folder: str, name: str, program: str) -> None:
    """Run a command in a folder, with whatever it starts, for up to `LIMIT_SECONDS`."""
    quiet = subprocess.DEVNULL
    try:
        running = subprocess.Popen(command, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError as error:
        raise UnreadableFile(f"{name}: {program} cannot be run here ({error.strerror or error})") from error
    try:
        running.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        if os.name == "posix":
            os.killpg(running.pid, signal.SIGKILL)
        running.kill()
        running.wait()
        raise UnreadableFile(f"{name}: {program} was not done with it after {LIMIT_SECONDS:.0f} seconds") from error
