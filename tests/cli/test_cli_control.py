"""The composer's control on the command line: what is typed is what is asked, and mistakes are one line."""

import json
from pathlib import Path

import pytest

from melody.cli import run
from melody.formats.midi import read_midi
from melody.music.score import bars, notes_of
from tests.cli.test_cli import failure, theme

__all__ = ["theme"]


def report_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert run(["compose", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_fill_leaves_the_rest(theme: Path, capsys):
    report = report_of(capsys, "theme.mid", "--fill", "2-3", "--track", "Bass", "--seed", "4", "--out", "filled.mid")
    before, after = read_midi("theme.mid").score, read_midi("filled.mid").score
    assert after.tracks[0] == before.tracks[0]
    kept = [note for note in before.tracks[1].notes if not 1920 <= note.time < 5760]
    assert [note for note in after.tracks[1].notes if not 1920 <= note.time < 5760] == kept
    assert report["takes"][0]["best"]["of"] == 4
    assert "nats_after" in report["takes"][0]


def test_with_composes_around(theme: Path, capsys):
    assert run(["compose", "theme.mid", "--only-new", "--bars", "4", "--seed", "1", "--out", "more.mid"]) == 0
    capsys.readouterr()
    score = read_midi("theme.mid").score
    score.tracks = score.tracks[:1]
    import melody

    melody.write(score, "tune.mid")
    report = report_of(capsys, "tune.mid", "--with", "Melody", "--seed", "1", "--out", "four.mid")
    four = read_midi("four.mid").score
    assert len(four.tracks) == 4
    assert four.tracks[0].notes == score.tracks[0].notes
    assert len(bars(four)) == len(bars(score))
    assert report["takes"][0]["notes"] > 0


def test_chords_are_counted(theme: Path, capsys):
    report = report_of(capsys, "--chords", "C G7 | Am F", "--bars", "4", "--seed", "2")
    assert report["takes"][0]["chord_tones"] > 0.8
    assert run(["compose", "--chords", "C G7", "--bars", "2", "--seed", "3"]) == 0
    assert "% chord tones" in capsys.readouterr().out


def test_follow_prints_each_bar_and_writes_the_same_file(theme: Path, capsys):
    assert run(["compose", "theme.mid", "--bars", "3", "--seed", "6", "--follow", "--out", "followed.mid"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bar ")]
    assert [line.split()[1] for line in lines] == ["5", "6", "7"]
    assert "Melody " in lines[0]
    assert run(["compose", "theme.mid", "--bars", "3", "--seed", "6", "--out", "plain.mid"]) == 0
    assert Path("followed.mid").read_bytes() == Path("plain.mid").read_bytes()


def test_keep_density_and_repetition(theme: Path, capsys):
    wishes = ["--density", "high", "--no-repeat", "5"]
    report_of(capsys, "theme.mid", "--bars", "4", "--seed", "3", *wishes, "--out", "dense.mid")
    report_of(capsys, "theme.mid", "--bars", "4", "--seed", "3", "--keep", "pitches", "--out", "kept.mid")
    given = read_midi("theme.mid").score
    for index, track in enumerate(read_midi("kept.mid").score.tracks):
        count = len(given.tracks[index].notes)
        new = notes_of(track).pitch.tolist()[count:]
        assert new == (notes_of(given.tracks[index]).pitch.tolist() * 9)[: len(new)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["theme.mid", "--fill", "2-3", "--track", "Bass"],
        ["theme.mid", "--keep", "rhythm", "--bars", "2"],
        ["theme.mid", "--chords", "G D | Em C", "--density", "low", "--bars", "2"],
    ],
)
def test_replay_knows_all_of_it(theme: Path, arguments: list[str]):
    assert run(["compose", *arguments, "--seed", "8", "--out", "take.mid"]) == 0
    assert run(["compose", "--replay", "take.mid", "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == Path("take.mid").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["theme.mid", "--fill", "two"], "write the first and the last bar, as 5-8"),
        (["theme.mid", "--fill", "3-9"], "the file ends with bar 4"),
        (["--with", "Melody"], "of what? give a primer too"),
        (["theme.mid", "--chords", "Am H"], "its root is no letter from A to G"),
        (["theme.mid", "--density", "full"], "choose low, medium or high"),
        (["theme.mid", "--keep", "all"], "choose rhythm, pitches or bars"),
        (["theme.mid", "--model", "chorale", "--style", "jazz"], "chorale knows bach"),
        (["theme.mid", "--follow", "--takes", "2"], "one take as it grows"),
        (["theme.mid", "--follow", "--beam-width", "2"], "leave out --beam-width"),
    ],
)
def test_mistakes_are_one_line(theme: Path, arguments: list[str], message: str, capsys):
    assert message in failure(capsys, 2, "compose", *arguments)
    assert not list(Path("outputs").glob("*")) if Path("outputs").exists() else True
