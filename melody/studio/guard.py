"""The door of the server: each request is looked at here before anything else sees it.

A page on the web must not reach a server on this machine (DNS rebinding, requests across sites), so Host must be one of
the server's own names to the letter, and Origin, where a browser sends one, the origin of such a name. Whatever belongs
to the user wants the token, in a header or in the URL. Bodies are bounded in size and time, answers in time, requests
in number. Every answer forbids the browser to fetch, frame or run what did not come from here.

https://fetch.spec.whatwg.org/ (Origin, Sec-Fetch-Site), https://www.w3.org/TR/CSP3/, RFC 6750 (bearer tokens).
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from melody.errors import LimitExceeded
from melody.studio.bounds import Bounds
from melody.studio.errors import Busy

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
PRIVATE = "/v1/"  # all below wants the token
OPEN = ("/v1/openapi.json",)
SESSION_FILES = "/v1/sessions/open"


@dataclass(frozen=True)
class Door:
    """Names and secret of a server: the hosts by which it may be asked, their origins, and the token."""

    hosts: Sequence[str]  # as in a Host header: 127.0.0.1:7878
    origins: Sequence[str]
    token: str


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, door: Door, bounds: Bounds) -> None:
        self._app, self._door, self._bounds = app, door, bounds
        self._requests = self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # no WebSockets here
            return None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (reason := self._refusal(scope, headers)) is not None:
            return await _answer(send, *reason)
        if self._requests >= self._bounds.requests:
            return await _answer(
                send, 429, "busy", f"{self._requests} requests at once, the limit; try again in a moment"
            )
        self._requests += 1
        try:
            return await self._served(scope, receive, send)
        finally:
            self._requests -= 1

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str, str] | None:
        door, path = self._door, scope["path"]
        if headers.get("host", "") not in door.hosts:
            return 421, "host", f"this server is asked as {door.hosts[0]}; behind a proxy start it with `public_url`"
        if "origin" in headers and headers["origin"] not in door.origins:
            return 403, "origin", "a page from elsewhere may not ask this server"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "origin", "a page from elsewhere may not ask this server"
        if path.startswith(PRIVATE) and path not in OPEN and not self._has_token(scope, headers):
            return 401, "token", "give the token of the server's URL: Authorization: Bearer TOKEN, or ?token=TOKEN"
        if int_of(headers.get("content-length", "0")) > self._most(path):
            return 413, "limit_exceeded", f"more than {self._most(path):,} bytes; send a smaller file"
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            given = (
                parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=50).get("token") or [""]
            )[0]
        return secrets.compare_digest(given.encode(), self._door.token.encode())

    def _most(self, path: str) -> int:
        return self._bounds.session_bytes if path == SESSION_FILES else self._bounds.body_bytes

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose body is here as a whole, bounded in size and time; its answer is bounded in time."""
        try:
            async with asyncio.timeout(self._bounds.body_seconds):
                body = await self._body(receive, self._most(scope["path"]))
        except TimeoutError:
            return await _answer(send, 408, "too_slow", "the request came in too slowly; send it again")
        except LimitExceeded as error:
            return await _answer(send, 413, "limit_exceeded", str(error))
        except Busy as error:
            return await _answer(send, 429, "busy", str(error))
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def at_hand() -> Message:
            return messages.pop() if messages else await receive()  # which waits for the client to go

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                more = HEADERS | ({} if b"cache-control" in own else {"cache-control": "no-store"})
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in more.items())]
            await asyncio.wait_for(send(message), self._bounds.answer_seconds)

        self._bytes += len(body)
        try:
            await self._app(scope, at_hand, guarded)
        except TimeoutError:
            return None  # the client does not read; what it had is cut off
        finally:
            self._bytes -= len(body)

    async def _body(self, receive: Receive, most: int) -> bytes:
        """Return the body of a request. Raises `LimitExceeded` or `Busy`."""
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > most:
                raise LimitExceeded(f"more than {most:,} bytes; send a smaller file")
            if self._bytes + len(body) > self._bounds.bodies_bytes:
                raise Busy("the files of other requests fill the memory for them; try again in a moment")
            if not message.get("more_body", False):
                return bytes(body)


def int_of(text: str) -> int:
    """Return a number in a header; one that is none is more than anything."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 2**62


async def _answer(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    headers = HEADERS | {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
    }
    headers |= {"retry-after": "1"} if status == 429 else {}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
