"""What commands say of files from strangers: remarks on stderr and in JSON, nothing that acts, never a traceback."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

import melody
from melody.cli import output, run
from melody.cli.output import MOST_REMARKS
from melody.formats.midi import Reading
from tests.cli.test_cli import failure, theme

__all__ = ["theme"]


@pytest.fixture
def odd(theme: Path) -> Path:
    """A theme with bytes behind its end, which the reader mends and tells."""
    path = Path("odd.mid")
    path.write_bytes(theme.read_bytes() + b"\0\1\2junk")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["compose", "odd.mid", "--bars", "1", "--out", "out.mid"],
        ["inspect", "odd.mid"],
        ["check", "odd.mid"],
        ["render", "odd.mid", "--out", "odd.png"],
        ["originality", "odd.mid"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_that_reads_says_what_was_mended(odd: Path, arguments: list[str], capsys):
    run(arguments)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("odd.mid: ")]
    assert lines
    run([*arguments, "--json", *(["--force"] if "--out" in arguments else [])])
    repairs = json.loads(capsys.readouterr().out)["repairs"]
    assert [f"odd.mid: {repair}" for repair in repairs] == lines


def test_many_remarks_are_counted(capsys):
    many = tuple(f"remark {number}" for number in range(25))
    report = output.Report(True)
    report.remarks("a.mid", Reading(melody.music.score.Score(480), many, ("and a word",)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == MOST_REMARKS + 1
    assert "16 more" in lines[-1]
    assert report.data["repairs"] == [*many, "and a word"]


@pytest.mark.parametrize("name", ["caf\udce9", "two\nlines", "clear\x1b[2J", "<b>&amp;"])
def test_a_file_may_have_any_name(theme: Path, name: str, capsys):
    theme.rename(f"{name}.mid")
    commands = [
        ["compose", f"{name}.mid", "--bars", "1", "--out", f"{name}.out.mid", "--html"],
        ["inspect", f"{name}.mid"],
        ["check", f"{name}.mid"],
        ["render", f"{name}.mid", "--out", f"{name}.html"],
        ["compose", "--replay", f"{name}.out.mid", "--out", "again.mid"],
    ]
    for command in commands:
        assert run(command) == 0, command
        printed = capsys.readouterr()
        text = printed.out + printed.err
        text.encode("utf-8")
        assert all(c.isprintable() or c == "\n" for c in text)


def test_a_mistake_of_ours_is_one_line(theme: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("\x1b[31mno\nnumber")

    monkeypatch.setattr("melody.formats.reading.read_bytes", broken)
    message = failure(capsys, 1, "inspect", "theme.mid")
    assert "ZeroDivisionError" in message
    assert "please report it" in message
    assert message.rstrip("\n").isprintable()


@pytest.mark.parametrize(("name", "extra"), [("torch", "train"), ("mido", "live"), ("onnx.helper", "train")])
def test_what_is_not_installed_is_named_with_its_extra(name: str, extra: str, theme: Path, capsys, monkeypatch):
    def broken(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("melody.formats.reading.read_bytes", broken)
    message = failure(capsys, 1, "inspect", "theme.mid")
    assert f"this needs {name.partition('.')[0]}: pip install 'melody[{extra}]'" in message


def test_melody_alone_shows_its_help(capsys):
    assert run([]) == 0
    printed = capsys.readouterr()
    assert "compose" in printed.out
    assert not printed.err


def test_debug_shows_where(theme: Path):
    def errors(**environment: str) -> str:
        command = [sys.executable, "-m", "melody", "inspect", "nowhere.mid"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "Traceback" not in errors()
    assert "Traceback" in errors(MELODY_DEBUG="1")
    assert errors(MELODY_DEBUG="1").splitlines()[-1] == errors().rstrip("\n")


def test_a_terminal_that_is_not_utf8_gets_lines_too(theme: Path):
    theme.rename("flöte.mid")
    command = [sys.executable, "-m", "melody", "inspect", "flöte.mid"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, b"fl?te.mid" in done.stdout) == (0, True)


def test_a_score_beyond_the_vocabulary_is_still_inspected(theme: Path, capsys):
    score = melody.read(theme)
    for _ in range(40):
        score.tracks.append(score.tracks[0].copy())
    melody.write(score, "many.mid")
    assert run(["inspect", "many.mid"]) == 0
    assert "none: " in capsys.readouterr().out


def test_two_composes_of_one_name_do_not_mix_their_files(theme: Path):
    """Whoever comes last has all files: the MIDI, its picture's settings and its page are of one seed."""

    def command(seed: str) -> list[str]:
        options = ["--bars", "1", "--takes", "3", "--seed", seed, "--out", "take.mid", "--html", "--force"]
        return [sys.executable, "-m", "melody", "compose", "theme.mid", *options]

    both = [subprocess.Popen(command(seed), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for seed in ("1", "2")]
    for process in both:
        process.communicate(timeout=200)
    assert [process.returncode for process in both] == [0, 0]
    page = Path("take.html").read_text("utf-8")
    for number in (1, 2, 3):
        assert b64encode(Path(f"take-{number}.mid").read_bytes()).decode() in page
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]
