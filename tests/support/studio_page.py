"""The studio's page in a headless Chromium that reaches nothing but its server; hands on it, and eyes."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.audit import axe_faults, faults
from support.browser import Browser, chromium, hosts_of
from support.ears import SPY

HEARD = "Math.max(0, ...loudness()) > 0.01"
SHOWN = "studio.shown && studio.shown.id"
MAKER = re.compile(r"\b(google(apis)?|gvt1|duckduckgo)\.com\b")  # hosts that Chromium itself asks for, in vain
PICTURES = os.environ.get("MELODY_PICTURES")  # a folder for what the page looks like in each state


@contextmanager
def studio(folder: Path, port: int, *theme: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`melody studio` as a process; its address, and the process."""
    command = [
        sys.executable,
        "-m",
        "melody",
        "studio",
        *theme,
        "--no-browser",
        "--port",
        str(port),
        "--folder",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line.startswith("melody studio: http://127.0.0.1:"), line
        yield line.split()[-1], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def opened(folder: Path, *flags: str, before: str = "") -> Iterator[tuple[Browser, str, list[str]]]:
    """The page, freshly opened, with a folder of its own; `before` is script that runs before its own."""
    port = free_port()
    with (
        studio(folder / "sessions", port) as (url, process),
        chromium(folder, "--autoplay-policy=no-user-gesture-required", *flags, reach=f"127.0.0.1:{port}") as (
            browser,
            requests,
        ),
    ):
        browser.before_scripts(SPY + before)
        browser.size(1440, 900)
        browser.go(url)
        browser.wait("window.studio")
        browser.process = process  # type: ignore[attr-defined]
        yield browser, url, requests
    hosts = {host for host in hosts_of(folder / "net.json") if not MAKER.search(host)}
    assert hosts == {f"127.0.0.1:{port}"}
    strange = [request for request in requests if not MAKER.search(request)]
    assert not strange, strange
    troubles = [event for event in browser.events if event["method"] == "Runtime.exceptionThrown"]
    assert not troubles


def seen(browser: Browser, name: str) -> None:
    """Let a picture be taken, where they are wanted, and look for faults of contrast and labels, in light and dark."""
    for scheme in ("dark", "light"):
        browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(0.25)
        assert not faults(browser), (name, scheme)
        assert not axe_faults(browser), (name, scheme)
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            browser.picture(Path(PICTURES) / f"{name}-{scheme}.png")


def drop(browser: Browser, path: Path) -> None:
    data: dict[str, Any] = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", type=kind, x=500, y=400, data=data)


def key(browser: Browser, name: str) -> None:
    browser.press(name, name, ord(name[0].upper()) if len(name) == 1 else {"Escape": 27, "Enter": 13}[name])


def mouse(browser: Browser, kind: str, x: float, y: float, **more: Any) -> None:
    browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, **more)


def drag(browser: Browser, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse(browser, "mousePressed", *start, clickCount=1)
    for share in (0.3, 0.6, 1.0):
        mouse(browser, "mouseMoved", *(a + share * (b - a) for a, b in zip(start, end, strict=True)))
    mouse(browser, "mouseReleased", *end, clickCount=1)


def place(browser: Browser, bar: int, track: int) -> tuple[float, float]:
    """The middle of a bar (from 0) in a track's lane, on the screen."""
    x, y = browser.evaluate(
        f"(() => {{ const r = studio.roll, b = r.scroller.getBoundingClientRect(), s = r.score;"
        f" return [b.x + r.x((s.bars[{bar}] + s.bars[{bar} + 1]) / 2),"
        f" b.y + r.laneTop({track}) + r.laneHeight() / 2]; }})()"
    )
    return x, y


def composed(browser: Browser) -> None:
    told = "studio.takes.takes.length === 4 && studio.takes.takes.every((take) => take.told)"
    browser.wait(f"!studio.compose.busy && {told}", seconds=240)


def states(browser: Browser) -> list[tuple[int, int | None]]:
    return [(s["state"], s["parent"]) for s in browser.evaluate("studio.session.states")]
