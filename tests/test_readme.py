"""The pages show what is there: README's Python and commands are executed, links and paths of all pages exist."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from support.pictures import png
from symusic import Tempo, TimeSignature, Track
from typer.main import get_command

import melody
from melody.cli import app, run
from melody.learning.page_reader.engraved import page_of
from melody.music.score import Notes, Score, set_notes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
COMMANDS = next(code for language, code in BLOCKS if language == "bash" and "--replay" in code)
HISTORY = ("CHANGELOG.md", "docs/lab.md")  # they name what was there then
PLACES = ("*.md", "docs/*.md", ".github/*.md", "benchmarks/*.md", "corpora/*/*.md", "melody/bundles/*/*.md")
PAGES = [page for place in PLACES for page in sorted(ROOT.glob(place))]
TUNE = "X:1\nT:Tune\nM:4/4\nL:1/4\nK:G\nGABc|dcBA|GBdB|A2G2|\n"


def score_of(**tracks: tuple[int, list[int]]) -> Score:
    """Four bars of quarters in 4/4, each track with its program (-1: drums) and its pitches, over again."""
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=92)]
    for name, (program, pitches) in tracks.items():
        track = Track(name, max(program, 0), program < 0)
        line = np.resize(pitches, 16)
        set_notes(track, Notes(np.arange(16) * 480, np.full(16, 480), line, np.full(16, 84)))
        score.tracks.append(track)
    return score


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files that the README composes with."""
    monkeypatch.chdir(tmp_path)
    lead, bass = [67, 69, 71, 72, 74, 72, 71, 69], [43, 50, 47, 48]
    melody.write(score_of(Lead=(73, lead), Bass=(32, bass), Drums=(-1, [36, 42, 38, 42])), "band.mid")
    melody.write(score_of(Lead=(73, lead), Keys=(4, [60, 64, 65, 67])), "song.mid")
    melody.render(score_of(Flute=(73, lead)), "hum.wav")
    melody.write(score_of(Riff=(27, lead)), "riff.mid")
    melody.write(score_of(Drums=(-1, [36, 42, 38, 42])), "beat.mid")
    melody.write(score_of(Soprano=(52, lead), Bass=(52, bass)), "hymn.musicxml")
    Path("tune.abc").write_text(TUNE)
    Path("page.png").write_bytes(png(page_of(melody.read("tune.abc"), "Leland")))
    return tmp_path


def test_the_python_block_runs(desk: Path, capsys: pytest.CaptureFixture[str]):
    exec(next(code for language, code in BLOCKS if language == "python"), {})
    assert (desk / "take.mid").is_file()
    assert (desk / "take.wav").read_bytes()[:4] == b"RIFF"
    assert "NewNote(track=" in capsys.readouterr().out


def test_the_commands_run(desk: Path):
    lines = [line.split("#")[0] for line in COMMANDS.splitlines()]
    assert len(lines) == 15
    for line in lines:
        program, *arguments = shlex.split(line)
        assert (program, run(arguments)) == ("melody", 0), line


def test_it_is_short_and_shows_every_command():
    assert len(README.splitlines()) <= 130
    assert set(get_command(app).commands) <= set(re.findall(r"melody ([a-z]+)", README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_are_there(page: Path):
    if page.relative_to(ROOT).as_posix() in HISTORY:
        return
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b((?:melody|tests|docs|benchmarks|configs|corpora)/[\w./*-]*[\w*])", text)
    named += [name.replace(".", "/") for name in re.findall(r"`(melody(?:\.[a-z_0-9]+)+)`", text)]
    missing = [name for name in named if not (list(ROOT.glob(name.replace("NAME", "*"))) or _is_name(name))]
    assert not missing


def _is_name(path: str) -> bool:
    """Whether melody/music/score/bars is a module, or a name in one."""
    parent, _, name = path.rpartition("/")
    if (ROOT / f"{path}.py").is_file():
        return True
    files = [ROOT / f"{parent}.py", ROOT / parent / "__init__.py"]
    return any(re.search(rf"\b{re.escape(name)}\b", file.read_text("utf-8")) for file in files if file.is_file())
