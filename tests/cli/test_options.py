"""The options of compose: what is typed becomes `Settings`, files are named by model, a name may have dots."""

import json
from pathlib import Path

import pytest
from typer.main import get_command

from melody.cli import app, run
from melody.cli.compose import names_of_takes
from melody.cli.options import asked
from melody.errors import UsageError
from melody.formats.midi import read_midi
from melody.generation.options import Options
from melody.generation.settings import Settings
from tests.cli.test_cli import failure, theme

__all__ = ["theme"]


def test_every_setting_has_an_option_and_the_other_way_round():
    names = {parameter.name for parameter in get_command(app).commands["compose"].params}
    assert set(Options.__annotations__) <= names
    besides = {"primer", "model", "takes", "seed", "out", "follow", "replay", "soundfont", "engine", "as_json", "force"}
    besides |= {"like", "describe", "polyphonic"}  # a take to vary, words for settings, and how a recording is heard
    files = {"wav", "stems", "flac", "mp3", "png", "musicxml", "svg", "dawproject", "html"}
    assert names - set(Options.__annotations__) == besides | files


def test_options_become_settings():
    given = {"bars": 4, "fill": None, "meter": "3/4", "ranges": ("1=60:72",), "with_tracks": (), "top_k": 5, "out": "x"}
    settings = asked(given)
    assert (settings.bars, settings.meter, settings.ranges) == (4, (3, 4), {"1": (60, 72)})
    assert settings.sampling.top_k == 5
    assert asked({}) == Settings()
    assert asked({"fill": "5"}).fill == (5, 5)
    assert asked({"mapping": ["Lead=Soprano"]}).mapping == {"Lead": ("Soprano",)}
    assert asked({"swing": "58/16"}).swing == (58, 16)


def test_what_is_typed_stands_in_the_file(theme: Path):
    typed = ["--fill", "2-3", "--track", "Bass", "--map", "Melody=Soprano", "--range", "Bass=36:60", "--min-p", "0.01"]
    assert run(["compose", "theme.mid", *typed, "--seed", "1", "--out", "take.mid"]) == 0
    text = next(t.text for t in read_midi("take.mid").texts if t.text.startswith("melody "))
    settings = json.loads(text.split(" ", 2)[2])
    assert (settings["fill"], settings["tracks"], settings["ranges"]) == ([2, 3], ["Bass"], {"Bass": [36, 60]})
    assert (settings["mapping"], settings["sampling"]["min_p"]) == ({"Melody": ["Soprano"]}, 0.01)


def test_files_are_named_by_primer_model_and_seed(theme: Path):
    for model in ("chorale", "pop"):  # of one seed, beside each other
        assert run(["compose", "theme.mid", "--model", model, "--bars", "1", "--seed", "3"]) == 0
        assert Path(f"outputs/theme-{model}-3-1.mid").is_file()


@pytest.mark.parametrize(
    ("out", "takes", "names"),
    [
        ("take.mid", 1, ["take.mid"]),
        ("my.best.take.mid", 2, ["my.best.take-1.mid", "my.best.take-2.mid"]),
        ("take.KAR", 1, ["take.KAR"]),
        ("name.with.dots", 1, ["name.with.dots/song-7-1.mid"]),
        ("v1.2", 2, ["v1.2/song-7-1.mid", "v1.2/song-7-2.mid"]),
    ],
)
def test_out_is_a_file_or_a_folder(out: str, takes: int, names: list[str]):
    assert names_of_takes(Path(out), "song", 7, takes) == [Path(name) for name in names]


@pytest.mark.parametrize("out", ["take.wav", "take.html", "song.musicxml"])
def test_another_kind_of_file_has_an_option_of_its_own(out: str):
    with pytest.raises(UsageError, match="--wav"):
        names_of_takes(Path(out), "song", 7, 1)


def test_a_name_with_dots_keeps_them_in_all_files(theme: Path):
    assert run(["compose", "theme.mid", "--bars", "1", "--seed", "1", "--out", "a.b.mid", "--png", "--html"]) == 0
    assert sorted(path.name for path in Path().glob("a.*")) == ["a.b.html", "a.b.mid", "a.b.png"]


def test_errors_name_options_as_they_are_typed(theme: Path, capsys):
    assert "--fill and --with" in failure(capsys, 2, "compose", "theme.mid", "--fill", "1", "--with", "Bass").replace(
        ",", " and"
    )
    assert "leave out --no-ending" in failure(capsys, 2, "compose", "--replay", "theme.mid", "--no-ending")
    assert "--top-p must lie in" in failure(capsys, 2, "compose", "--top-p", "2")
