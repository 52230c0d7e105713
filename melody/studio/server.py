"""The server as a process: a port on this machine alone, a token that outlives a restart, uvicorn."""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from melody.errors import MelodyError, UsageError
from melody.storage.files import read_bytes, write_bytes
from melody.studio.app import application
from melody.studio.bounds import Bounds
from melody.studio.desk import Desk, desk_in
from melody.studio.guard import Door

HOST = "127.0.0.1"
PORT = 7890
TOKEN_BYTES = 256
SWITCH_SECONDS = 0.001  # a thread that composes gives way to requests after so long; Python waits 5 ms


@dataclass(frozen=True)
class Serving:
    """A server that is ready to run: where it is, its secret, and what it has."""

    sock: socket.socket
    door: Door
    desk: Desk
    page: bool
    servers: list[uvicorn.Server] = field(default_factory=list)  # that run

    @property
    def url(self) -> str:
        """Return the address of the page, without the token."""
        return f"{self.door.origins[0]}/"

    @property
    def secret_url(self) -> str:
        """Return the address with the token behind #, which no browser sends or logs."""
        return f"{self.url}#token={self.door.token}"

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        """Give the port back where what is done before running fails."""
        try:
            yield
        except BaseException:
            self.sock.close()
            raise

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until Ctrl-C; `started` is called once requests are answered."""
        config = uvicorn.Config(
            application(self.desk, self.door, self.page),
            log_level="error" if os.environ.get("MELODY_DEBUG", "0") not in ("", "0") else "critical",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=2,
            limit_concurrency=1000,
            h11_max_incomplete_event_size=32_768,
            ws="none",
            loop="asyncio",
        )
        sys.setswitchinterval(SWITCH_SECONDS)
        server = _Server(config, started)
        self.servers.append(server)
        with closing(self.sock):
            server.run(sockets=[self.sock])

    def stop(self) -> None:
        """End what runs, from another thread."""
        for server in self.servers:
            server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn that says when it is up."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_up = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._when_up()


def prepare(
    folder: Path, port: int = PORT, public_url: str | None = None, page: bool = True, bounds: Bounds | None = None
) -> Serving:
    """Return a server whose sessions lie in `folder`. Raises `MelodyError` where the port is taken."""
    public = _public(public_url)
    token, desk = _token(folder / "token"), desk_in(folder, bounds or Bounds())
    sock = _bound(port)
    names = [f"{HOST}:{sock.getsockname()[1]}", f"localhost:{sock.getsockname()[1]}"]
    hosts = [host for _, host in public] + names
    origins = [f"{scheme}://{host}" for scheme, host in public] + [f"http://{name}" for name in names]
    return Serving(sock, Door(hosts, origins, token), desk, page)


def _public(url: str | None) -> list[tuple[str, str]]:
    """Return scheme and host of the address that browsers see."""
    if url is None:
        return []
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise UsageError(f"`public_url` {url}: give the address that browsers see, as https://melody.example")
    return [(parts.scheme, parts.netloc)]


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        sock.listen(128)
    except (OSError, OverflowError) as error:
        sock.close()
        if isinstance(error, OverflowError):
            raise UsageError(f"`port` {port}: give a number from 1 to 65535, or 0 for any that is free") from None
        raise MelodyError(
            f"port {port}: {(error.strerror or str(error)).lower()}; is a studio open already? "
            "give another `port`, or 0 for any that is free"
        ) from error
    return sock


def _token(path: Path) -> str:
    """Return the token of a folder of sessions: a page that is open finds the server again after a restart."""
    if path.exists():
        token = read_bytes(path, TOKEN_BYTES).decode("ascii", "replace").strip()
        if len(token) >= 20 and token.isascii():
            return token
    token = secrets.token_urlsafe(24)
    write_bytes(path, token.encode(), force=True)
    os.chmod(path, 0o600)
    return token
