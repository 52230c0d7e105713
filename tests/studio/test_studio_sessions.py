"""Sessions: a tree in one file that survives a crash and opens elsewhere."""

import json
from pathlib import Path

import pytest
from support.primers import primer, tune
from support.studio_client import Client, running

import melody
from melody.errors import LimitExceeded, UnreadableFile
from melody.studio import history
from melody.studio.bounds import Bounds
from melody.studio.shelf import Sheet

HEAD = b'{"melody": "session", "format": 1, "name": "a"}\n'
TUNE = melody.write(primer(tune()))


def states(session: dict) -> list[tuple[int, int | None]]:
    return [(state["state"], state["parent"]) for state in session["states"]]


def branched(client: Client) -> tuple[str, str]:
    """A session of a root, a state below it and a branch beside that; its id, and that of its score."""
    score = client.upload(TUNE, "tune.mid")["id"]
    session = client.json("POST", "/v1/sessions", {"name": "Tuesday"})["session"]
    for parent in (None, 1, 1):
        body = {"score": score, "parent": parent, "did": "something"}
        client.json("POST", f"/v1/sessions/{session}/states", body)
    return session, score


def test_history_is_a_tree_and_survives_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        session, score = branched(client)
        client.json("PATCH", f"/v1/sessions/{session}", {"at": 2, "name": "Wednesday", "mixer": {"mute": [1]}})
        client.json("PATCH", f"/v1/sessions/{session}/states/3", {"label": "verse"})
        token = client.token
    with running(tmp_path) as client:  # a new process would find the same files
        assert client.token == token  # a page that is open goes on
        found = client.json("GET", f"/v1/sessions/{session}")
        assert states(found) == [(1, None), (2, 1), (3, 1)]
        assert (found["at"], found["name"], found["mixer"]) == (2, "Wednesday", {"mute": [1]})
        assert [state["label"] for state in found["states"]] == ["", "", "verse"]
        assert client.json("GET", f"/v1/scores/{score}")["tracks"][0]["name"] == "Fiddle"
        rows = client.json("GET", "/v1/sessions")
        assert [(row["session"], row["name"], row["states"]) for row in rows] == [(session, "Wednesday", 3)]


def test_a_session_file_opens_elsewhere(tmp_path: Path) -> None:
    with running(tmp_path / "here") as client:
        session, _ = branched(client)
        status, headers, data = client.ask("GET", f"/v1/sessions/{session}/file")
        assert status == 200
        assert headers["content-disposition"] == 'attachment; filename="Tuesday.melody"'
    with running(tmp_path / "there") as client:
        opened = client.json("POST", "/v1/sessions/open", data)
        assert states(opened) == [(1, None), (2, 1), (3, 1)]
        view = client.json("GET", f"/v1/scores/{opened['states'][2]['score']}")
        assert client.ask("GET", f"/v1/scores/{view['id']}/file/a.mid")[2] == TUNE


def test_a_line_that_a_crash_cut_short_costs_nothing_else(tmp_path: Path) -> None:
    one = history.begin(tmp_path / "abc.melody", "one")
    one.add(Sheet(TUNE, "tune.mid"), None, "opened", Bounds())
    whole = one.path.read_bytes()
    one.add(Sheet(TUNE, "tune.mid"), 1, "again", Bounds())
    for cut in (len(whole) + 1, len(one.path.read_bytes()) - 12):
        data = one.path.read_bytes()
        torn = tmp_path / f"torn{cut}.melody"
        torn.write_bytes(data[:cut])
        found = history.read(torn, Bounds())
        assert 1 in found.states
        found.add(Sheet(TUNE, "tune.mid"), 1, "goes on", Bounds())
        assert history.read(torn, Bounds()).states == found.states


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no session",
        b"no session\n",
        b"[]\n",
        b'{"melody": "session", "format": 99}\n',
        HEAD + b'{"at": 7}\n',
        HEAD + b'{"state": 1, "parent": null, "did": "", "time": 0, "score": 1}\n',
        HEAD + b"[" * 100_000 + b"\n",
    ],
)
def test_a_file_that_is_no_session_is_refused_in_one_line(client: Client, data: bytes) -> None:
    status, code, line = client.error("POST", "/v1/sessions/open", data)
    assert (status, code) == (422, "unreadable_file")
    assert line.startswith("session file")
    assert len(line) < 300


def test_a_session_may_hold_so_much_and_no_more(tmp_path: Path) -> None:
    one = history.begin(tmp_path / "a.melody", "one")
    bounds = Bounds(states=2)
    for _ in range(2):
        one.add(Sheet(TUNE, "tune.mid"), None, "opened", bounds)
    with pytest.raises(LimitExceeded, match="is full"):
        one.add(Sheet(TUNE, "tune.mid"), None, "opened", bounds)
    with pytest.raises(LimitExceeded, match="mixer"):
        one.change(mixer={"a": "b" * 30_000})


def test_what_cannot_be_written_is_not_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = history.begin(tmp_path / "a.melody", "one")
    before = one.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history.os, "fsync", full)
    with pytest.raises(melody.MelodyError, match="No space left"):
        one.add(Sheet(TUNE, "tune.mid"), None, "opened", Bounds())
    assert one.path.read_bytes() == before
    assert not one.states


def test_unknown_sessions_and_states(client: Client) -> None:
    for path in ("/v1/sessions/nothing", "/v1/sessions/..%2f..%2fetc", "/v1/sessions/a.melody"):
        assert client.error("GET", path)[0] == 404
    session, score = branched(client)
    assert client.error("PATCH", f"/v1/sessions/{session}", {"at": 9})[0] == 404
    wrong = {"score": score, "parent": 9, "did": "x"}
    assert client.error("POST", f"/v1/sessions/{session}/states", wrong)[:2] == (400, "usage")


def test_names_of_strangers_are_text(tmp_path: Path) -> None:
    one = history.begin(tmp_path / "a.melody", "\x1b[31m<b>" + "x" * 500)
    assert "\x1b" not in one.name
    assert len(one.name) <= history.LETTERS
    assert json.loads(one.path.read_bytes())["name"] == one.name
    with pytest.raises(UnreadableFile):
        history.read(Path(__file__), Bounds())
