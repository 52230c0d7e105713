"""The composer as a library: typed options, settings as a value, and errors in the words of Python."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

import melody
from melody.cli.output import in_flags
from melody.errors import MelodyError, UnreadableFile, UsageError
from melody.generation import Sampling, Settings
from melody.generation.options import Options
from melody.generation.replay import embedded, replay
from melody.generation.settings import settings_from, settings_of
from tests.support.fakes import UniformComposer, fake_bundle


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> UniformComposer:
    return UniformComposer(fake_bundle(tmp_path_factory.mktemp("bundle")))


def test_an_editor_completes_every_option():
    known = {f.name for f in fields(Settings)} - {"sampling"} | {f.name for f in fields(Sampling)}
    known |= {"greedy", "rewrite"}  # short for temperature 0, and for `fill` in rounds
    assert get_type_hints(Options).keys() == known


def test_settings_and_keywords_ask_for_the_same(composer: UniformComposer):
    asked = Settings(bars=3, no_repeat=4, sampling=Sampling(top_p=0.95, top_k=9))
    (one,) = composer.compose(None, asked, seed=5)
    (other,) = composer.compose(bars=3, no_repeat=4, top_k=9, seed=5)
    assert one.score == other.score
    assert one.settings == other.settings


def test_keywords_change_settings(composer: UniformComposer):
    asked = Settings(bars=3, density="low")
    assert settings_of({"bars": 2, "top_k": 5}, asked) == replace(asked, bars=2, sampling=Sampling(1.0, 5, None))
    assert settings_of({}, asked) == asked


WRONG = [
    ({"bars": "8"}, "`bars`: give a whole number, got '8'"),
    ({"bars": 2.5}, "`bars`: give a whole number, got 2.5"),
    ({"bars": True}, "`bars`: give a whole number, got True"),
    ({"temperature": "1"}, "`temperature`: give a number, got '1'"),
    ({"meter": "3/4"}, "`meter`: give two whole numbers, as (3, 4), got '3/4'"),
    ({"meter": (3,)}, "`meter`: give two whole numbers"),
    ({"fill": 4}, "`fill`: give two whole numbers"),
    ({"with_tracks": 1}, "`with_tracks`: give names, got 1"),
    ({"mapping": "Lead"}, "`mapping`: give a dictionary from tracks to names"),
    ({"ranges": {"Alto": ("C4", "C5")}}, "`ranges`: give a dictionary from tracks to two MIDI numbers"),
    ({"strict_key": "yes"}, "`strict_key`: give True or False"),
    ({"key": 5}, "`key`: give text, got 5"),
    ({"takes": "3"}, "`takes`: give a whole number"),
    ({"takes": 0}, "`takes` must lie in [1, 1000], got 0"),
    ({"seed": 1.5}, "`seed`: give a whole number"),
    ({"beam_width": -1}, "`beam_width` must lie in [0, 1000], got -1"),
    ({"tempo_qpm": 0}, "`tempo_qpm` must lie in [4, 1000], got 0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_a_wrong_value_is_refused_in_one_line_that_names_it(composer: UniformComposer, options: dict, message: str):
    with pytest.raises(UsageError) as error:
        composer.compose(**options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("primer", ["theme.mid", Path("theme.mid"), b"MThd", 5])
def test_a_primer_is_a_score(composer: UniformComposer, primer: object):
    with pytest.raises(UsageError, match=r"^primer: give a score, as melody.read\('theme.mid'\) returns it, got "):
        composer.compose(primer)  # type: ignore[arg-type]


def test_messages_of_the_library_are_about_python_and_those_of_the_command_line_about_its_options():
    with pytest.raises(UsageError) as error:
        Settings(fill=(1, 2), tempo_qpm=90.0)
    assert "leave out `meter` and `tempo_qpm`" in str(error.value)
    assert "leave out --meter and --tempo" in in_flags(str(error.value))
    assert in_flags("`with_tracks` and `max_copy_bars`") == "--with and --max-copy-bars"


@given(st.builds(Settings, bars=st.integers(1, 9), fill=st.none(), meter=st.sampled_from([None, (3, 4), (6, 8)])))
def test_settings_survive_json(settings: Settings):
    assert settings_from(json.loads(json.dumps(settings.to_dict()))) == settings


def test_a_take_is_composed_again_from_its_file(tmp_path: Path):
    take = melody.load("folk").compose(bars=2, seed=3)[0]
    path = melody.write(take, tmp_path / "take.mid")
    again = replay(path)
    assert again.take.score == take.score
    assert again.take.settings == take.settings
    assert again.version == melody.__version__


@pytest.mark.parametrize(
    "change",
    [{"take": 10**9}, {"take": "1"}, {"bars": 10**9}, {"beam_width": 10**6}, {"seed": 10**40}, {"x": "y" * 70_000}],
    ids=str,
)
def test_settings_from_a_file_are_a_strangers(tmp_path: Path, change: dict):
    take = melody.load("folk").compose(bars=1, seed=3)[0]
    path = melody.write(replace(take, settings=take.settings | change), tmp_path / "take.mid")
    with pytest.raises(UnreadableFile, match=r"take\.mid: its settings are damaged"):
        embedded(path)


def test_a_primer_that_is_not_there_is_said(tmp_path: Path):
    composer = melody.load("folk")
    theme = composer.compose(bars=1, seed=1)[0].score
    take = composer.compose(theme, bars=1, seed=3)[0]
    named = replace(take, settings=take.settings | {"primer": {"name": "theme.mid", "sha256": "0"}})
    with pytest.raises(MelodyError, match=r"theme\.mid: not found, and .*take\.mid was made from it"):
        replay(melody.write(named, tmp_path / "take.mid"))
