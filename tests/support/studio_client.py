"""A running server on a free port, and a client that speaks to it as programs do."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from melody.studio.bounds import Bounds
from melody.studio.server import Serving, prepare


class Client:
    """Calls of the API, each over a connection of its own."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.port = serving.sock.getsockname()[1]
        self.token = serving.door.token

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body; a dictionary goes out as JSON, bytes as they are."""
        given = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {self.token}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, data, {k: v for k, v in given.items() if v})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Return the JSON of an answer of that status."""
        got, _, data = self.ask(method, path, body)
        assert got == status, data[:500]
        return json.loads(data)

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
        """Return status, code and line of an error."""
        status, _, data = self.ask(method, path, body)
        error = json.loads(data)["error"]
        return status, error["code"], error["message"]

    def upload(self, data: bytes, name: str = "theme.mid") -> dict[str, Any]:
        """Send a file; its score."""
        return self.json("POST", f"/v1/scores?name={name}", data)

    def events(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Compose by events."""
        status, headers, data = self.ask("POST", "/v1/compose", body, Accept="text/event-stream")
        assert status == 200, data
        assert headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")]


@contextmanager
def running(folder: Path, bounds: Bounds | None = None, port: int = 0) -> Iterator[Client]:
    """A server in a thread of this process, until the block ends."""
    serving, up = prepare(folder, port, bounds=bounds), threading.Event()
    client = Client(serving)
    thread = threading.Thread(target=serving.run, args=(up.set,), daemon=True)
    thread.start()
    assert up.wait(60)
    try:
        yield client
    finally:
        serving.stop()
        thread.join(20)
        assert not thread.is_alive()
