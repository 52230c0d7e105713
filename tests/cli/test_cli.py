"""The command line as a person and a program meet it: files, seeds, one-line errors, exit codes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from symusic import KeySignature, Tempo, TimeSignature, Track

import melody
from melody.cli import run
from melody.formats.midi import check, read_midi
from melody.music.score import Notes, Score, bars, notes_of, set_notes

COMMANDS = [
    "compose",
    "models",
    "inspect",
    "check",
    "render",
    "prepare",
    "train",
    "export",
    "evaluate",
    "originality",
    "play",
    "jam",
]


@pytest.fixture
def theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four bars for melody and bass, in a folder of its own that is the working directory."""
    monkeypatch.chdir(tmp_path)
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=92)]
    score.key_signatures = [KeySignature(0, 1, 0)]
    lines = {"Melody": [67, 69, 71, 72, 74, 72, 71, 69] * 2, "Bass": [43, 50, 47, 48, 50, 45, 43, 50] * 2}
    for number, (name, pitches) in enumerate(lines.items()):
        track = Track(name, 40 + number, False)
        onset = np.arange(16) * 480
        set_notes(track, Notes(onset, np.full(16, 480), np.array(pitches), np.full(16, 84)))
        score.tracks.append(track)
    return melody.write(score, "theme.mid")


def failure(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run a command that must fail with one line on stderr and nothing like a traceback."""
    assert run(list(arguments)) == code
    error = capsys.readouterr().err
    assert error.startswith("melody: ")
    assert error.count("\n") == 1
    return error


def test_four_takes_with_sound_and_picture(theme: Path, capsys):
    assert run(["compose", "theme.mid", "--bars", "4", "--takes", "4", "--seed", "7", "--wav", "--png", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seed"] == 7
    contents = set()
    for take in report["takes"]:
        files = {kind: Path(path) for kind, path in take["files"].items()}
        assert set(files) == {"midi", "wav", "png"}
        assert files["wav"].read_bytes()[:4] == b"RIFF"
        assert files["png"].read_bytes()[:4] == b"\x89PNG"
        data = files["midi"].read_bytes()
        assert check(data) == []
        assert len(bars(read_midi(files["midi"]).score)) - 1 == 8
        contents.add(data)
    assert len(contents) == 4


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_takes(theme: Path):
    assert run(["compose", "theme.mid", "--bars", "3", "--seed", "5", "--out", "one.mid"]) == 0
    assert run(["compose", "theme.mid", "--bars", "3", "--seed", "5", "--takes", "3", "--out", "many"]) == 0
    assert Path("one.mid").read_bytes() == Path("many/theme-quartet-5-1.mid").read_bytes()


def test_from_nothing_the_model_names_its_tracks(theme: Path):
    assert run(["compose", "--bars", "4", "--seed", "3", "--out", "new.mid", "--tempo", "66", "--meter", "3/4"]) == 0
    score = read_midi("new.mid").score
    assert [track.name for track in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert [round(tempo.qpm) for tempo in score.tempos] == [66]
    assert np.diff(bars(score)).tolist() == [1440] * 4


def test_settings_are_embedded_as_text(theme: Path):
    assert run(["compose", "--bars", "2", "--seed", "3", "--out", "new.mid", "--top-k", "20"]) == 0
    text = next(t.text for t in read_midi("new.mid").texts if t.text.startswith("melody "))
    settings = json.loads(text.split(" ", 2)[2])
    assert (settings["seed"], settings["bars"], settings["sampling"]["top_k"]) == (3, 2, 20)


@pytest.mark.parametrize("option", [["--greedy"], ["--beam-width", "2"], ["--temperature", "0"]])
def test_deterministic_decoding_ignores_the_seed(theme: Path, option: list[str]):
    for seed in ("1", "2"):
        assert run(["compose", "theme.mid", "--bars", "2", "--seed", seed, "--out", f"{seed}.mid", *option]) == 0
    first, second = (read_midi(f"{seed}.mid").score for seed in "12")
    for one, other in zip(first.tracks, second.tracks, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(notes_of(one), notes_of(other), strict=True))


def test_nothing_is_overwritten_without_force(theme: Path, capsys):
    before = theme.read_bytes()
    for force in ((), ("--force",)):  # what was given is never overwritten
        message = failure(capsys, 1, "compose", "theme.mid", "--bars", "2", "--out", "theme.mid", *force)
        assert "is what you gave" in message
    message = failure(capsys, 1, "compose", "--bars", "2", "--out", "theme.mid")
    assert "exists" in message
    assert "--force" in message
    assert theme.read_bytes() == before
    assert run(["compose", "--bars", "2", "--out", "theme.mid", "--force"]) == 0
    assert theme.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["compose", "nowhere.mid"], 1, "nowhere.mid"),
        (["compose", "page.png"], 1, "page.png"),
        (["compose", "empty.mid"], 1, "empty.mid"),
        (["compose", "--model", "chorle"], 1, "did you mean chorale"),
        (["compose", "--top-p", "0"], 2, "--top-p must lie in"),
        (["compose", "--bars", "0"], 2, "bars must lie in"),
        (["compose", "--takes", "0"], 2, "takes must lie in [1, 1000], got 0"),
        (["compose", "--takes", "-1"], 2, "takes must lie in [1, 1000], got -1"),
        (["compose", "--meter", "three"], 2, "3/4"),
        (["compose", "--key", "H mollig"], 2, "H mollig"),
        (["compose", "--out", "take.wav"], 2, "--wav"),
        (["compose", "--engine", "steam"], 2, "onnx or torch"),
        (["compose", "--takes", "3", "--beam-width", "2"], 2, "--beam-width"),
        (["compose", "--barz", "3"], 2, "--barz"),
        (["check", "page.png"], 1, "page.png"),
        (["render", "nowhere.mid"], 1, "nowhere.mid"),
        (["prepare", "nowhere"], 1, "nowhere"),
        (["train", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["export", "nowhere"], 1, "nowhere"),
        (["evaluate", "chorale", "--split", "train"], 2, "valid or test"),
    ],
)
def test_errors_are_one_line_with_the_remedy(theme: Path, capsys, arguments: list[str], code: int, words: str):
    Path("page.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    Path("empty.mid").touch()
    assert words in failure(capsys, code, *arguments)


def test_inspect_tells_what_melody_sees(theme: Path, capsys):
    assert run(["inspect", "theme.mid", "--model", "chorale", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["notes"], seen["bars"], seen["meters"], seen["key"]) == (32, 4, ["4/4"], "G major")
    assert [row["bar"] for row in seen["surprise"]] == [1, 2, 3, 4]
    assert run(["inspect", "theme.mid"]) == 0
    assert "G major" in capsys.readouterr().out


def test_check_passes_what_melody_writes_and_fails_what_others_write(theme: Path, capsys):
    assert run(["check", "theme.mid"]) == 0
    Path("other.mid").write_bytes(read_midi(theme).score.dumps_midi())
    assert run(["check", "other.mid"]) == 1
    assert "other.mid" in capsys.readouterr().out


def test_render_by_suffix(theme: Path):
    assert run(["render", "theme.mid", "--out", "theme.flac"]) == 0
    assert Path("theme.flac").read_bytes()[:4] == b"fLaC"
    assert run(["render", "theme.mid", "--out", "theme.png"]) == 0
    assert Path("theme.png").read_bytes()[:4] == b"\x89PNG"


def test_models_lists_the_shipped_ones(capsys):
    assert run(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert "chorale" in [row["model"] for row in rows]
    assert all(row["MB"] < 14 for row in rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example(command: str, capsys):
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"melody {command} ?", text)
    assert "needs melody." not in text  # an extra in brackets is not taken for markup


def test_the_short_name_is_the_same_command(theme: Path):
    script = "import sys; from melody.cli import compose_main; sys.argv = ['compose', *sys.argv[1:]]; compose_main()"
    arguments = ["--bars", "2", "--seed", "3", "--out", "short.mid"]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=120)
    assert run(["compose", *arguments[:-1], "long.mid"]) == 0
    assert Path("short.mid").read_bytes() == Path("long.mid").read_bytes()


def test_the_command_line_and_the_library_share_their_defaults():
    from inspect import signature

    from melody.cli.compose import compose
    from melody.generation.settings import settings_of

    defaults = settings_of({})
    by_name = {name: parameter.default for name, parameter in signature(compose).parameters.items()}
    for name in ("bars", "best_of", "by", "beam_width", "length_penalty", "style_rules", "ending", "max_copy_bars"):
        assert by_name[name] == getattr(defaults, name)
    for name in ("temperature", "top_k", "top_p", "min_p"):
        assert by_name[name] == getattr(defaults.sampling, name)
