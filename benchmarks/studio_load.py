"""What `melody serve` does under load: many clients at once, a flood, readers that do not read, streams cut off.

    python benchmarks/studio_load.py                     # 32 clients, 20 seconds each part; prints a table

Meanwhile a light call (`GET /v1/tasks`) is made every 100 ms: its time tells if the server stays responsive. The
memory is that of the server's process (VmRSS, Linux). Each part ends with a composition that must succeed.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

EVENTS = {"Accept": "text/event-stream"}
LIGHT_SECONDS = 0.1


class Server:
    """`melody serve` as a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "melody", "serve", "--port", "0", "--folder", str(folder), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(self.process.stdout.readline())
        told = json.loads("".join(lines))
        self.port, self.token = int(told["url"].rstrip("/").rpartition(":")[2]), told["token"]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """Return status and body of one request on a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
            connection.request(method, path, None if body is None else json.dumps(body), given)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def megabytes(self) -> float:
        """Return the memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return float("nan")
        return int(status.read_text().split("VmRSS:")[1].split()[0]) / 1024


def compose(bars: int, takes: int = 1) -> dict[str, Any]:
    return {"model": "folk", "settings": {"bars": bars}, "takes": takes}


def many_clients(server: Server, number: int, codes: Counter[str]) -> None:
    """Compose four bars, again and again."""
    status, _ = server.call("POST", "/v1/compose", compose(4))
    codes[str(status)] += 1
    if status == 429:
        time.sleep(0.2)


def flood(server: Server, number: int, codes: Counter[str]) -> None:
    """Ask for as much as one may, and never wait."""
    status, _ = server.call("POST", "/v1/compose", compose(64, takes=2))
    codes[str(status)] += 1


def slow_reader(server: Server, number: int, codes: Counter[str]) -> None:
    """Ask for a stream and read a byte a second."""
    body = json.dumps(compose(64, takes=4)).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        head = f"POST /v1/compose HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
        head += f"Accept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        begun = sock.recv(16)
        codes[begun[9:12].decode()] += 1
        for _ in range(5):
            time.sleep(1)
            sock.recv(1)


def cut_off(server: Server, number: int, codes: Counter[str]) -> None:
    """Ask for a long stream and go away after the first event."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json", **EVENTS}
        connection.request("POST", "/v1/compose", json.dumps(compose(128, takes=9)), headers)
        answer = connection.getresponse()
        answer.readline()
        codes[str(answer.status)] += 1


PARTS: dict[str, Callable[[Server, int, Counter[str]], None]] = {
    "many clients": many_clients,
    "flood": flood,
    "slow readers": slow_reader,
    "streams cut off": cut_off,
}


def run_part(server: Server, act: Callable[..., None], clients: int, seconds: float) -> dict[str, Any]:
    """Let so many clients act for so long; return what came of it."""
    codes: Counter[str] = Counter()
    end, light, memory = time.monotonic() + seconds, list[float](), server.megabytes()

    def client(number: int) -> None:
        while time.monotonic() < end:
            try:
                act(server, number, codes)
            except (OSError, http.client.HTTPException) as error:
                codes[type(error).__name__] += 1

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    most = memory
    while time.monotonic() < end:
        began = time.monotonic()
        status, _ = server.call("GET", "/v1/tasks")
        light.append(time.monotonic() - began)
        codes[f"light {status}"] += 1
        most = max(most, server.megabytes())
        time.sleep(LIGHT_SECONDS)
    for thread in threads:
        thread.join(180)
    while json.loads(server.call("GET", "/v1/tasks")[1]):
        time.sleep(0.1)
    status, _ = server.call("POST", "/v1/compose", compose(4))
    light.sort()
    return {
        "answers": dict(codes),
        "light call, ms: median": round(1000 * light[len(light) // 2], 1),
        "95 %": round(1000 * light[int(len(light) * 0.95)], 1),
        "max": round(1000 * light[-1], 1),
        "MB before": round(memory),
        "MB most": round(most),
        "then composes": status == 200,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            for _ in range(4):
                server.call("POST", "/v1/compose", compose(4))  # the model is loaded
            results = {name: run_part(server, act, options.clients, options.seconds) for name, act in PARTS.items()}
        finally:
            server.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(20)
            server.process.kill()
    if options.json:
        print(json.dumps(results))
        return
    for name, result in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
