"""What README.md shows is executed: its Python, and its commands on a real file."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from symusic import Tempo, TimeSignature, Track

import melody
from melody.cli import run
from melody.music.score import Notes, Score, set_notes

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
COMMANDS = next(code for language, code in BLOCKS if language == "bash" and "--replay" in code)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the README's theme.mid, four bars for two voices, and tune.mid, the soprano alone."""
    monkeypatch.chdir(tmp_path)
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=92)]
    for name, pitches in (("Soprano", [67, 69, 71, 72] * 4), ("Bass", [43, 50, 43, 48] * 4)):
        track = Track(name, 52, False)
        set_notes(track, Notes(np.arange(16) * 480, np.full(16, 480), np.array(pitches), np.full(16, 84)))
        score.tracks.append(track)
    melody.write(score, "theme.mid")
    score.tracks = score.tracks[:1]
    melody.write(score, "tune.mid")
    return tmp_path


def test_the_python_block_runs(desk: Path, capsys):
    exec(next(code for language, code in BLOCKS if language == "python"), {})
    assert (desk / "take.mid").is_file()
    assert (desk / "take.wav").read_bytes()[:4] == b"RIFF"
    assert "NewNote(track=" in capsys.readouterr().out


def test_the_commands_run(desk: Path):
    assert run(["compose", "theme.mid", "--bars", "4", "--out", "take.mid"]) == 0
    lines = [line.split("#")[0] for line in COMMANDS.splitlines()]
    assert len(lines) > 8
    for line in lines:
        program, *arguments = shlex.split(line)
        assert (program, run(arguments)) == ("melody", 0), line


def test_every_command_is_shown():
    from typer.main import get_command

    from melody.cli import app

    shown = set(re.findall(r"melody ([a-z]+)", README))
    assert set(get_command(app).commands) <= shown
