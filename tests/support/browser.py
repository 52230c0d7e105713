"""A headless Chromium for tests, driven by the DevTools protocol over two pipes: JSON messages, each ended by a NUL.

No network: every name resolves to nothing, every request goes to a proxy that only notes it, and the log of Chromium's
network stack is there to be read. https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None  # pipes with names
FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-default-apps", "--hide-scrollbars", "--remote-debugging-pipe"),
]
SECONDS = 60.0  # to wait for anything; a busy machine is no failure


class Browser:
    """A page of a running Chromium. `evaluate` runs script in it as DevTools' console does."""

    def __init__(self, writing: int, reading: int) -> None:
        self._writing, self._reading = writing, reading
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command (to the page) and return its result; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session := session or self._session:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            data = os.read(self._reading, 1 << 20)
            assert data, "Chromium has gone"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def before_scripts(self, script: str) -> None:
        """Have a script run in every new document before its own."""
        self.send("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, path: Path) -> None:
        """Open a file as one does from a folder, and wait until it is there."""
        self.send("Page.navigate", url=path.resolve().as_uri())
        self.wait(f"location.protocol === 'file:' && document.readyState === 'complete' && {path.name!r} !== ''")

    def go(self, url: str) -> None:
        """Open an address and wait until it is there."""
        self.send("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({url.partition('#')[0]!r}) && document.readyState === 'complete'")

    def picture(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def size(self, width: int, height: int, mobile: bool = False, scale: float = 1) -> None:
        """Give the window another size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)

    def frames(self) -> list[str]:
        """The sessions of the frames in the page that have a process of their own, as sandboxed ones have."""
        self.events.clear()
        self.send("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)
        attached = [e["params"] for e in self.events if e["method"] == "Target.attachedToTarget"]
        return [each["sessionId"] for each in attached if each["targetInfo"]["type"] == "iframe"]

    def evaluate(self, expression: str, session: str | None = None) -> Any:
        """The value of an expression in the page or a frame, as if a hand had asked for it; promises are awaited."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        result = self.send("Runtime.evaluate", session, expression=expression, **options)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, condition: str, session: str | None = None, seconds: float = SECONDS) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})", session):
            assert time.monotonic() < deadline, f"never: {condition}"
            time.sleep(0.05)

    def click(self, selector: str, share: float = 0.5) -> None:
        """Click an element with the mouse, at a share of its width."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}}); "
            "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
        )
        place = {"x": box[0] + share * box[2], "y": box[1] + box[3] / 2, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, **place)

    def press(self, key: str, code: str, number: int) -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, code=code, windowsVirtualKeyCode=number, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=code, windowsVirtualKeyCode=number)


@contextmanager
def chromium(folder: Path, *flags: str, reach: str = "") -> Iterator[tuple[Browser, list[str]]]:
    """A browser with a profile in `folder`, and the requests that reached its proxy, which answers none.

    The one server that it can reach is `reach`, as 127.0.0.1:7890.
    """
    assert PROGRAM
    with noting_proxy() as (port, requests):
        ours = [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={folder / 'net.json'}"]
        ours += [f"--proxy-server=http://127.0.0.1:{port}", f"--proxy-bypass-list=<-loopback>;{reach}"]
        ours += ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
        pipes = [folder / "commands", folder / "answers"]
        for pipe in pipes:
            os.mkfifo(pipe)
        shell = ["sh", "-c", 'exec 3<"$1" 4>"$2"; shift 2; exec "$@"', "sh", *pipes]  # where Chromium expects them
        process = subprocess.Popen([*shell, PROGRAM, *FLAGS, *ours, *flags], stderr=subprocess.DEVNULL)
        writing, reading = os.open(pipes[0], os.O_WRONLY), os.open(pipes[1], os.O_RDONLY)
        try:
            browser = Browser(writing, reading)
            yield browser, requests
            browser._session = None
            browser.send("Browser.close")
            process.wait(SECONDS)
        finally:
            process.kill()
            process.wait()
            os.close(writing)
            os.close(reading)


@contextmanager
def noting_proxy() -> Iterator[tuple[int, list[str]]]:
    """A port that takes connections, notes the first line that comes and hangs up."""
    requests: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the server was closed
                while True:
                    connection, _ = server.accept()
                    with connection:
                        line = connection.recv(4096).partition(b"\r\n")[0].decode("latin-1")
                    if line:  # a browser that goes hangs up before it has asked for anything
                        requests.append(line)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], requests
        server.shutdown(socket.SHUT_RDWR)


def hosts_of(net_log: Path) -> set[str]:
    """The hosts for which Chromium's network stack began a request, by its own log."""
    urls = re.findall(r'"url":"([a-z]+)://([^/"]*)', net_log.read_text(encoding="utf-8", errors="replace"))
    return {host for scheme, host in urls if scheme in ("http", "https", "ws", "wss")}
