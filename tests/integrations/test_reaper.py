"""The script for REAPER, run by Lua with a stand-in for REAPER's functions and a real server."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.studio_client import Client, running

import melody

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "integrations" / "reaper" / "melody.lua"
LUA = next(filter(None, map(shutil.which, ("lua5.4", "lua5.3", "lua"))), None)
pytestmark = pytest.mark.skipif(LUA is None or shutil.which("curl") is None, reason="lua or curl is not installed")


def run_in_reaper(client: Client, *more: str, token: str = "") -> list[list[str]]:
    """What the project holds after the script has run."""
    address = f"http://127.0.0.1:{client.port}"
    command = [str(LUA), str(HERE / "reaper.lua"), str(SCRIPT), address, token or client.token, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert not done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_takes_come_as_tracks_below_those_that_were_sent(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        rows = run_in_reaper(client)
        tracks = [row[1:] for row in rows if row[0] == "track"]
        assert [track[0] for track in tracks[:2]] == ["Bass", "Drum Kit"]
        new = tracks[2:]
        assert {name.partition(":")[0] for name, *_ in new} == {"take 1", "take 2"}
        assert {name.partition(": ")[2] for name, *_ in new} <= {"Bass", "Drum Kit"}
        for name, mute, position, length, notes in new:
            assert mute == ("0" if name.startswith("take 1") else "1")
            assert (float(position), float(length)) == (10.0, 4.0)  # two bars at 120, behind a bar and four
            assert int(notes) > 0
        notes = [list(map(float, row[1:])) for row in rows if row[0] == "note"]
        assert all(0 <= onset < 8 and end > onset and 0 <= pitch < 128 for onset, end, pitch, _, _ in notes)
        (shelved,) = [sheet for sheet in client.serving.desk.shelf._sheets.values() if sheet.name == "reaper.mid"]
        sent = melody.read(shelved.midi)
        assert [(track.name, track.is_drum, len(track.notes)) for track in sent.tracks] == [
            ("Bass", False, 16),
            ("Drum Kit", True, 16),
        ]
        assert sent.tempos[0].qpm == 120
        assert [note.time for note in sent.tracks[0].notes[:3]] == [0, 480, 960]


def test_what_goes_wrong_is_said_in_a_line(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        assert run_in_reaper(client, "nothing")[0] == ["said", "select MIDI items first"]
        assert "give the token" in run_in_reaper(client, token="x" * 32)[0][1]
        token = client.token
    client.token = token
    assert "start melody serve" in run_in_reaper(client)[0][1]
