"""The door: who may ask, for what, and how much; what a browser is told."""

import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.primers import primer, tune
from support.studio_client import Client, running

import melody.studio.app
from melody.cli import run
from melody.studio.bounds import Bounds

PAGE = melody.studio.app.PAGE


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil.example", "{port}"]
)
def test_another_host_is_refused(client: Client, host: str) -> None:
    status, _, data = client.ask("GET", "/v1/about", Host=host.format(port=client.port))
    assert status == 421
    assert b'"code": "host"' in data


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:{port}.evil.example", "https://127.0.0.1:{port}", "null"]
)
def test_another_origin_is_refused_though_it_has_the_token(client: Client, origin: str) -> None:
    status, _, _ = client.ask("POST", "/v1/sessions", {"name": "x"}, Origin=origin.format(port=client.port))
    assert status == 403
    ours = f"http://127.0.0.1:{client.port}"
    assert client.ask("POST", "/v1/sessions", {"name": "x"}, Origin=ours)[0] == 200
    assert client.ask("GET", "/", Sec_Fetch_Site="cross-site")[0] == 403


def test_all_that_is_the_users_wants_the_token(client: Client) -> None:
    described = client.json("GET", "/v1/openapi.json")
    for path, calls in described["paths"].items():
        for method in calls:
            for given in ("", "Bearer ", "Bearer wrong", "Basic " + client.token, f"Bearer {client.token}x"):
                assert client.ask(method.upper(), path, Authorization=given)[0] == 401, path
    assert client.ask("GET", f"/v1/models?token={client.token}", Authorization="")[0] == 200
    assert client.ask("GET", "/v1/openapi.json", Authorization="")[0] == 200


def test_what_every_answer_tells_a_browser(client: Client) -> None:
    for path in ("/", "/docs", "/v1/models", "/v1/none", "/look.css"):
        _, headers, _ = client.ask("GET", path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["permissions-policy"] == "camera=(), geolocation=(), microphone=(self)"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/app.py", "/page/index.html", "//etc/passwd", "/app.py"]
)
def test_no_path_of_a_client_is_opened(client: Client, path: str) -> None:
    status, _, data = client.ask("GET", path)
    assert status == 404
    assert b"import" not in data


def test_bodies_are_bounded_by_what_comes_not_by_what_is_said(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(body_bytes=100_000, body_seconds=1.0)) as client:
        status, code, _ = client.error("POST", "/v1/scores", b"x" * 100_001)
        assert (status, code) == (413, "limit_exceeded")
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30)
        headers = {"Authorization": f"Bearer {client.token}"}
        connection.request("POST", "/v1/scores", iter([b"x" * 60_000] * 2), headers, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()
        began = time.monotonic()  # one that says much and sends little
        with socket.create_connection(("127.0.0.1", client.port), timeout=30) as slow:
            head = (
                f"POST /v1/scores HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nAuthorization: Bearer {client.token}\r\n"
            )
            slow.sendall(head.encode() + b"Content-Length: 50000\r\n\r\nMThd")
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began < 20
        assert client.json("GET", "/v1/models")


def head_of(client: Client, method: str, path: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{client.port}", f"Authorization: Bearer {client.token}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def test_requests_beyond_the_limit_are_told_to_come_again(tmp_path: Path) -> None:
    """Two that send slowly take both places; a third hears 429, and is served when they have gone."""
    with running(tmp_path, Bounds(requests=2)) as client:
        slow = [socket.create_connection(("127.0.0.1", client.port), timeout=30) for _ in range(2)]
        for one in slow:
            one.sendall(head_of(client, "POST", "/v1/scores", "Content-Length: 50000") + b"MThd")
        until(lambda: client.ask("GET", "/v1/models")[0] == 429)
        status, headers, data = client.ask("GET", "/v1/models")
        assert (status, headers["retry-after"]) == (429, "1")
        assert b'"code": "busy"' in data
        for one in slow:
            one.close()
        until(lambda: client.ask("GET", "/v1/models")[0] == 200)


def test_all_bodies_together_are_bounded(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(bodies_bytes=1000)) as client:
        status, code, line = client.error("POST", "/v1/scores", b"x" * 2000)
        assert (status, code) == (429, "busy")
        assert "memory" in line


def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(answer_seconds=0.5, requests=1)) as client:
        state = client.json("POST", "/v1/scores", melody.write(primer(tune())))["id"]
        session = client.json("POST", "/v1/sessions", {"name": "long"})["session"]
        for _ in range(12):  # its file is longer than what lies between two ends of a connection
            client.json("POST", f"/v1/sessions/{session}/states", {"score": state, "did": "x" * 200})
        path = client.serving.desk.sessions.folder / f"{session}.melody"
        with path.open("ab") as file:
            file.write(b'{"name": "long"}\n' * 1_000_000)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.connect(("127.0.0.1", client.port))
            deaf.sendall(head_of(client, "GET", f"/v1/sessions/{session}/file"))
            until(lambda: client.ask("GET", "/v1/models")[0] == 429)  # its place is taken
            until(lambda: client.ask("GET", "/v1/models")[0] == 200)  # and free again, though it never read


def test_scores_wait_for_the_synthesizer_in_a_short_line(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(sounding=0, excerpts=1)) as client:
        score = client.upload(melody.write(primer(tune())))["id"]
        assert client.error("GET", f"/v1/scores/{score}/stems")[:2] == (429, "busy")
        assert client.serving.desk.excerpts._room.acquire(blocking=False)
        assert client.error("GET", f"/v1/scores/{score}/excerpt")[:2] == (429, "busy")


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_behind_a_proxy_it_has_the_name_that_browsers_see(tmp_path: Path) -> None:
    from melody.studio.server import prepare

    serving = prepare(tmp_path, 0, "https://melody.example")
    serving.sock.close()
    assert serving.secret_url.startswith("https://melody.example/#token=")
    assert serving.door.hosts[0] == "melody.example"
    with pytest.raises(melody.UsageError, match="public_url"):
        prepare(tmp_path, 0, "melody.example/path")


def test_the_token_is_the_users_alone(tmp_path: Path) -> None:
    import os

    with running(tmp_path) as client:
        assert (tmp_path / "token").read_text() == client.token
        if os.name == "posix":
            assert (tmp_path / "token").stat().st_mode & 0o077 == 0


def test_the_page_holds_nothing_that_its_policy_forbids() -> None:
    """No script or style within HTML, no handler in an attribute, nothing fetched from elsewhere."""
    import re

    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path.name
        assert "innerHTML" not in text, path.name  # names from files are text
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), path.name


def test_the_command_says_what_stands_in_its_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path) as client:
        port = str(client.port)
        assert run(["studio", "--port", port, "--no-browser", "--folder", str(tmp_path)]) == 1
        assert f"port {port}: address already in use" in capsys.readouterr().err
    assert run(["serve", "--port", "70000", "--folder", str(tmp_path)]) == 2
    nothing = str(tmp_path / "nothing.mid")
    assert run(["studio", nothing, "--port", "0", "--no-browser", "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_the_command_names_the_extra_that_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith(("melody.studio", "uvicorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["studio", "--folder", str(tmp_path)]) == 1
    assert "pip install 'melody[studio]'" in capsys.readouterr().err
