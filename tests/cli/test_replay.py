"""``melody compose --replay``: a file holds all that it takes to compose it again, byte for byte."""

import json
from pathlib import Path

import numpy as np
import pytest
from symusic import KeySignature, Tempo, TimeSignature, Track

import melody
from melody.cli import run
from melody.formats.midi import SEQUENCER, Text, write_midi
from melody.generation.replay import embedded
from melody.music.score import Notes, Score, set_notes
from tests.cli.test_cli import failure


@pytest.fixture
def theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two bars for two voices with a title and a text, in a folder of its own that is the working directory."""
    monkeypatch.chdir(tmp_path)
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=92)]
    score.key_signatures = [KeySignature(0, -1, 1)]
    for name, pitches in {"Melody": [74, 76, 77, 76, 74, 72, 74, 74], "Bass": [50, 45, 50, 57, 58, 57, 50, 50]}.items():
        track = Track(name, 40, False)
        set_notes(track, Notes(np.arange(8) * 480, np.full(8, 480), np.array(pitches), np.full(8, 84)))
        score.tracks.append(track)
    return melody.write(score, "theme.mid", title="Theme", texts=["by nobody"])


def compose(*arguments: str) -> Path:
    assert run(["compose", *arguments, "--bars", "2", "--seed", "7", "--out", "out/take.mid", "--force"]) == 0
    return Path("out/take.mid")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [
            "--key",
            "E minor",
            "--tempo",
            "90.5",
            "--meter",
            "3/4",
            "--no-ending",
            "--temperature",
            "1.1",
            "--top-k",
            "30",
        ],
        ["theme.mid"],
        ["theme.mid", "--only-new"],
        ["theme.mid", "--beam-width", "3"],
        ["theme.mid", "--beam-width", "3", "--stochastic"],
        ["theme.mid", "--best-of", "3", "--by", "rules"],
        ["theme.mid", "--strict-key", "--range", "Melody=D4:A5", "--range", "2=36:60", "--max-polyphony", "1"],
    ],
    ids=" ".join,
)
def test_a_file_is_composed_again_byte_for_byte(theme: Path, arguments: list[str]):
    file = compose(*arguments)
    assert run(["compose", "--replay", str(file), "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == file.read_bytes()


def test_later_takes_too(theme: Path):
    for number, search in ((3, ["--best-of", "2"]), (2, ["--beam-width", "3", "--stochastic"])):
        takes = ["--takes", str(number), *search]
        assert run(["compose", "theme.mid", "--bars", "1", "--seed", "5", "--out", "many", "--force", *takes]) == 0
        assert run(["compose", "--replay", f"many/theme-quartet-5-{number}.mid", "--force"]) == 0
        replayed = Path(f"outputs/theme-quartet-5-{number}-replay.mid")
        assert replayed.read_bytes() == Path(f"many/theme-quartet-5-{number}.mid").read_bytes()


def test_a_take_of_a_take_is_found_by_its_own_settings(theme: Path):
    first = compose("theme.mid")
    assert run(["compose", str(first), "--bars", "1", "--seed", "1", "--out", "out/second.mid"]) == 0
    assert embedded(Path("out/second.mid"))[1]["primer"]["name"] == "take.mid"
    assert run(["compose", "--replay", "out/second.mid", "--out", "again.mid"]) == 0


def test_the_report_says_so(theme: Path, capsys):
    file = compose("theme.mid", "--best-of", "2")
    capsys.readouterr()
    assert run(["compose", "--replay", str(file), "--out", "again.mid", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["identical"] is True
    assert report["takes"][0]["best"]["of"] == 2
    assert run(["compose", "--replay", str(file), "--out", "more.mid"]) == 0
    lines = capsys.readouterr().out
    assert "more.mid: the same bytes as out/take.mid" in lines
    assert "of 2" in lines
    assert "breach" in lines


def test_a_primer_with_another_name_is_given_by_hand(theme: Path, capsys):
    file = compose("theme.mid")
    theme.rename("moved.mid")
    assert "theme.mid: not found" in failure(capsys, 1, "compose", "--replay", str(file))
    assert run(["compose", "moved.mid", "--replay", str(file), "--out", "again.mid"]) == 0


def test_a_changed_file_is_told(theme: Path, capsys):
    file = compose("theme.mid")
    file.write_bytes(file.read_bytes() + b"junk")
    assert run(["compose", "--replay", str(file), "--out", "again.mid"]) == 1
    assert "differs from" in capsys.readouterr().out


def changed(file: Path, **changes: object) -> str:
    """The path of a file whose settings are those of `file`, changed."""
    version, settings = embedded(file)
    text = Text(0, f"melody {version} {json.dumps(settings | changes)}", SEQUENCER)
    return str(write_midi(melody.read(file), "changed.mid", texts=[text], force=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step_graph": "0" * 64}, "composed by another chorale"),
        ({"model": "lute"}, "--model"),
        ({"bars": "many"}, "damaged"),
        ({"seed": None}, "damaged"),
        ({"take": 0}, "damaged"),
        ({"primer": "theme.mid"}, "damaged"),
        ({"primer": {"name": "", "sha256": ""}}, "composed in Python"),
        ({"primer": {"name": "../../lost.mid", "sha256": ""}}, "lost.mid: not found"),
        ({"primer": {"name": "theme.mid", "sha256": ""}}, "theme.mid: is not the theme.mid that"),
    ],
)
def test_another_model_or_primer_and_damage_are_told_in_one_line(theme: Path, capsys, changes: dict, words: str):
    assert words in failure(capsys, 1, "compose", "--replay", changed(compose(), **changes))


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (1, ["--replay", "nowhere.mid"], "nowhere.mid"),
        (1, ["--replay", "theme.mid"], "holds no settings of melody"),
        (2, ["theme.mid", "--replay", "out/take.mid"], "was composed from nothing"),
        (2, ["--replay", "out/take.mid", "--bars", "3"], "leave out --bars"),
        (2, ["--replay", "out/take.mid", "--range", "1=0:9"], "leave out --range"),
        (1, ["--replay", "out/take.mid", "--out", "out/take.mid"], "is what you gave"),
    ],
)
def test_what_makes_no_sense_is_refused(theme: Path, capsys, code: int, arguments: list[str], words: str):
    compose()
    assert words in failure(capsys, code, "compose", *arguments)


def test_a_take_written_in_python_needs_its_primer(theme: Path, capsys):
    take = melody.load("chorale").compose(melody.read(theme), bars=1, seed=2)[0]
    melody.write(take, "python.mid")
    assert run(["compose", "theme.mid", "--replay", "python.mid", "--out", "again.mid"]) == 0


def test_a_primer_is_read_up_to_the_limit_of_files(theme: Path, capsys):
    """The name of a primer in a stranger's file may lead to anything here, such as a recording of some gigabytes."""
    from melody.formats.reading import MAX_FILE_BYTES

    file = compose("theme.mid")
    with theme.open("wb") as huge:
        huge.truncate(MAX_FILE_BYTES + 1)
    assert "theme.mid: " in failure(capsys, 1, "compose", "--replay", str(file))
    theme.unlink()
    theme.mkdir()
    assert "theme.mid: not found" in failure(capsys, 1, "compose", "--replay", str(file))
