"""`melody prepare NAME` and the network: a corpus comes whole from where it is published, or one line says why not.

A server on this machine stands for the world, which speaks https alone; here it speaks http.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.made_music import CORPORA, drummer

from melody.corpus import TokenStore, fetching, prepare
from melody.corpus.archives import opened
from melody.corpus.drums import items, name_of
from melody.corpus.fetching import fetch
from melody.corpus.recipe import contents_hash
from melody.errors import LimitExceeded, MelodyError

FILES = [f"drummer1/session1/{n}_rock_100_{'fill' if n % 2 else 'beat'}_4-4" for n in range(10)]
WHERE = "get https://example.org/grooves (v1) and run: melody prepare small --from FOLDER_OR_ARCHIVE"


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, name in enumerate(FILES):
            archive.writestr(f"groove/{name}.mid", drummer(number))
    return buffer.getvalue()


ARCHIVE = packed()


class World(BaseHTTPRequestHandler):
    """What is to be had: an archive, and all that may come instead of it."""

    gate: threading.Event  # until which the slow one waits

    def do_GET(self) -> None:
        getattr(self, f"send_{self.path.strip('/')}", self.send_nothing)()

    def send(self, data: bytes, size: int | None = None, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data) if size is None else size), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def send_archive(self) -> None:
        self.send(ARCHIVE)

    def send_nothing(self) -> None:
        self.send(b"<html>not here</html>", status=404)

    def send_failure(self) -> None:
        self.send(b"", status=503)

    def send_moved(self) -> None:
        self.send(b"", status=302, Location="/archive")

    def send_circle(self) -> None:
        self.send(b"", status=302, Location="/circle")

    def send_elsewhere(self) -> None:
        self.send(b"", status=302, Location="ftp://example.org/archive")

    def send_short(self) -> None:
        self.send(ARCHIVE[: len(ARCHIVE) // 2], len(ARCHIVE))

    def send_cut(self) -> None:
        self.send(ARCHIVE[: len(ARCHIVE) // 2])

    def send_chunk(self) -> None:
        """A chunk of which only a part comes."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ffff\r\n" + ARCHIVE[:100])

    def send_page(self) -> None:
        self.send(b"<html>log in first</html>")

    def send_noise(self) -> None:
        self.wfile.write(b"\x16\x03\x01 what?\r\n\r\n")

    def send_silence(self) -> None:
        self.gate.wait(20)

    def send_slow(self) -> None:
        self.send(ARCHIVE[:1000], len(ARCHIVE))
        self.wfile.flush()
        self.gate.wait(60)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def world() -> Iterator[str]:
    """The address of the server."""
    World.gate = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), World)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    World.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with temporary files in its `temp`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr(fetching, "_SCHEME", "http://")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def recipe(place: Path) -> Callable[..., None]:
    """Writes a recipe of ten drum pieces that are published at an address."""

    def write(address: str, sha256: str = "") -> None:
        folder = place / "corpora" / "small"
        folder.mkdir(parents=True, exist_ok=True)
        text = re.sub(r"origin:.*?expected:", "expected:", (CORPORA / "drums" / "recipe.yaml").read_text(), flags=re.S)
        origin = {"repository": "https://example.org/grooves", "commit": "v1", "archive": address, "sha256": sha256}
        text = text.replace("name: drums", "name: small") + f"origin: {json.dumps(origin)}\n"
        (folder / "recipe.yaml").write_text(text)
        listed = [name_of(f"{name}.mid") for name in FILES]
        split = {"train": listed[:8], "valid": listed[8:9], "test": listed[9:], "left_out": {}}
        (folder / "split.json").write_text(json.dumps(split))

    return write


def refused(place: Path) -> str:
    """What prepare says; nothing may be left of what it began."""
    with pytest.raises(MelodyError) as caught:
        prepare("small", workers=1)
    assert not list((place / "temp").iterdir())
    assert not (place / "corpora" / "small" / "prepared").exists()
    message = str(caught.value)
    assert "\n" not in message
    assert str(place) not in message  # no temporary name
    return message


def right_hash(place: Path) -> str:
    (place / "groove.zip").write_bytes(ARCHIVE)
    with opened(place / "groove.zip", lambda _: True) as folder:
        return contents_hash(folder, items(folder))


@pytest.mark.parametrize("path", ["archive", "moved"])
def test_what_is_published_gives_the_same_store_as_a_copy_at_hand(
    world: str, place: Path, recipe: Callable[..., None], path: str
) -> None:
    recipe(f"{world}/{path}", right_hash(place))
    fetched = prepare("small", workers=1)
    assert fetched.pieces == {"train": 8, "valid": 1, "test": 1}
    assert not any("files are not those" in difference for difference in fetched.differences)
    assert not list((place / "temp").iterdir())
    prepare("small", "copy", local=place / "groove.zip", workers=1)
    stores = [TokenStore.open(folder).info["files"] for folder in ("corpora/small/prepared", "copy")]
    assert stores[0] == stores[1]


def test_other_files_than_the_recipe_was_made_with_are_said_to_be_so(
    world: str, place: Path, recipe: Callable[..., None]
) -> None:
    recipe(f"{world}/archive", "0" * 64)
    assert prepare("small", workers=1).differences[0] == "the files are not those that the recipe was made with"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere", "cannot fetch (404 Not Found)"),
        ("failure", "cannot fetch (503 Service Unavailable)"),
        ("short", f"cannot fetch (only {len(ARCHIVE) // 2:,} of {len(ARCHIVE):,} bytes came)"),
        ("chunk", "cannot fetch (the connection broke off)"),
        ("noise", "cannot fetch (the answer is no HTTP)"),
        ("elsewhere", "cannot fetch (redirected to ftp://example.org/archive, which is not https)"),
        ("circle", "cannot fetch (redirected in a circle)"),
        ("cut", "damaged (File is not a zip file); download it again"),
        ("page", "neither a folder nor an archive; .zip, .tar, .tar.gz, .tar.bz2 and .tar.xz fit"),
    ],
)
def test_what_comes_instead_is_one_line_and_leaves_nothing(
    world: str, place: Path, recipe: Callable[..., None], path: str, reason: str
) -> None:
    recipe(f"{world}/{path}")
    assert refused(place) == f"{world}/{path}: {reason}; {WHERE}"


def test_a_server_that_says_nothing_is_given_up(
    world: str, place: Path, recipe: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_TIMEOUT_SECONDS", 0.1)
    recipe(f"{world}/silence")
    assert refused(place) == f"{world}/silence: cannot fetch (timed out); {WHERE}"


def test_more_than_may_come_is_refused(
    world: str, place: Path, recipe: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_ARCHIVE_BYTES", 1000)
    recipe(f"{world}/archive")
    assert refused(place) == f"{world}/archive: more than 1,000 bytes; {WHERE}"
    with pytest.raises(LimitExceeded):
        fetch(f"{world}/archive", place / "archive")
    assert not (place / "archive").exists()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/archive", "http://nowhere.invalid/archive"])
def test_without_a_network_it_says_where_to_get_it(place: Path, recipe: Callable[..., None], address: str) -> None:
    recipe(address)
    assert re.fullmatch(rf"{address}: cannot fetch \([^()]+\); {re.escape(WHERE)}", refused(place))


def test_an_address_that_is_not_https_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SCHEME", "https://")
    with pytest.raises(MelodyError, match="only https is fetched"):
        fetch("http://127.0.0.1/archive", place / "archive")


def test_fetching_says_what_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(MelodyError, match="only https"):
        fetch("http://example.org/x.zip", tmp_path / "x")
    with pytest.raises(MelodyError, match="cannot fetch"):
        fetch("https://localhost:1/x.zip", tmp_path / "x")


PROGRAM = """
import sys
from melody.corpus import fetching
fetching._SCHEME = "http://"
from melody.cli import run
sys.exit(run(["prepare", "small", "--workers", "1"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_interrupted_it_leaves_nothing_half_fetched(world: str, place: Path, recipe: Callable[..., None]) -> None:
    recipe(f"{world}/slow")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(place / "temp")},
    )
    temp = place / "temp"
    while process.poll() is None and not any(temp.glob("melody-fetch-*/archive-*")):
        threading.Event().wait(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert len(said.strip().splitlines()) == 1
    assert "interrupted" in said
    assert not list(temp.iterdir())
    assert not (place / "corpora" / "small" / "prepared").exists()
