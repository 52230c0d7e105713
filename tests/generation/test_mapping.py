"""Tracks find their places: by range, fullness and name, or as asked; and what of them stays in the file."""

import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import UniformComposer, fake_bundle
from support.primers import PRIMERS, kit, part, piano, primer, tune, voices
from support.tiny_bundle import style_tracks, write_styles
from symusic import Track

import melody
from melody.cli import run
from melody.errors import UsageError
from melody.formats.midi.writer import channels
from melody.formats.reading import read_file
from melody.generation.primer.assignment import name_likeness, parse_mapping, place_lines, voices_of
from melody.generation.primer.hungarian import assign
from melody.generation.replay import embedded
from melody.generation.settings import Settings, settings_from, settings_of
from melody.music.score import Score, most_at_once, notes_of, set_notes
from tests.cli.test_cli import failure

# ---- the best matching -----------------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=50)
def test_the_assignment_is_the_best_of_all(rows: int, columns: int, seed: int):
    costs = np.random.default_rng(seed).normal(0, 10, (rows, columns)).round()  # rounded: with ties
    found = assign(costs)
    assert len(found) == len(set(found.values())) == min(rows, columns)
    wide = costs if rows <= columns else costs.T
    best = min(sum(wide[range(len(wide)), order]) for order in permutations(range(wide.shape[1]), len(wide)))
    assert sum(costs[row, column] for row, column in found.items()) == best


@pytest.mark.parametrize(
    ("name", "wanted", "alike"),
    [
        ("Sop.", "Soprano", True),
        ("Sopran 1", "Soprano", True),
        ("Alt", "Alto", True),
        ("BASSO", "Bass", True),
        ("Ténor", "Tenor", True),
        ("Melodie", "Melody", True),
        ("Lead Vocals", "Melody", True),
        ("Gesang", "Voice", True),
        ("Klavier", "Piano", True),
        ("Grand Piano", "Piano", True),
        ("Drum Kit", "Drums", True),
        ("Brass", "Bass", False),
        ("Organ", "Piano", False),
        ("Bridge", "Piano", False),
        ("", "Piano", False),
        ("12", "1", False),
    ],
)
def test_names_that_mean_the_same(name: str, wanted: str, alike: bool):
    assert bool(name_likeness(name, wanted)) is alike


def test_the_very_same_name_counts_most_where_one_track_alone_has_it():
    assert name_likeness(" soprano", "Soprano") > name_likeness("Soprano", "Soprano", alone=False)
    assert name_likeness("Soprano", "Soprano", alone=False) == name_likeness("Sop", "Soprano") > 0


def test_how_full_a_track_is():
    assert voices_of(notes_of(tune())) == 1
    assert voices_of(notes_of(piano())) == 3
    notes = notes_of(tune())
    assert 1 < voices_of(notes._replace(duration=notes.duration + 24)) < 1.1  # legato


# ---- tracks on the tracks of each model ------------------------------------------------------------------------------


def placed(style: str, *tracks: Track, named: bool = True, **asked) -> dict[str, str]:
    """For each of a model's tracks in use the name of the musician's."""
    infos, names = style_tracks(style), [track.name for track in tracks]
    lines = place_lines(tracks, infos, names if named else (), **asked)
    return {infos[place].name: names[line.track] for place, line in lines.items()}


@pytest.mark.parametrize("order", list(permutations(range(2))))
@pytest.mark.parametrize("up", [-12, 0, 12])
def test_a_melody_with_piano_in_either_order_wherever_it_lies(order: Sequence[int], up: int):
    tracks = [tune("A", up=up), piano("B")]
    assert placed("pop", *(tracks[n] for n in order), named=False) == {"Melody": "A", "Piano": "B"}
    assert placed("lied", *(tracks[n] for n in order), named=False) == {"Voice": "A", "Piano": "B"}


def test_a_line_alone_is_the_melody_and_chords_alone_the_piano():
    assert placed("pop", tune()) == {"Melody": "Fiddle"}
    assert placed("pop", piano("Chords")) == {"Piano": "Chords"}
    assert placed("chorale", tune("A")) == {"Soprano": "A"}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_four_voices_by_height(order: Sequence[int]):
    names = [track.name for track in voices()]
    tracks = [voices()[n] for n in order]
    expected = dict(zip(["Soprano", "Alto", "Tenor", "Bass"], names, strict=True))
    assert placed("chorale", *tracks) == placed("chorale", *tracks, named=False) == expected


def test_names_count_for_more_than_height():
    high, low = tune("Bass", up=12), tune("Sop.", up=-12)
    assert placed("chorale", high, low) == {"Soprano": "Sop.", "Bass": "Bass"}
    assert placed("pop", tune("Bridge"), tune("B")) == {"Melody": "B", "Bridge": "Bridge"}


def test_a_band_leaves_out_what_fits_least():
    band = [part("Low", [31, 33, 35, 36]), kit("Kit"), piano("Piano"), tune("Lead"), part("Pad", [(70, 74, 77)] * 4)]
    assert placed("pop", *band, named=False) == {"Melody": "Lead", "Bridge": "Pad", "Piano": "Piano"}
    assert placed("drums", *band) == {"Drums": "Kit"}


def test_where_nothing_else_decides_the_first_is_first():
    assert placed("chorale", tune("A"), tune("B")) == {"Soprano": "A", "Alto": "B"}


def test_a_line_played_legato_is_one_voice():
    track = tune("A")
    notes = notes_of(track)
    set_notes(track, notes._replace(duration=notes.duration + 24))
    assert most_at_once(notes_of(track)) == 2
    assert placed("chorale", track) == {"Soprano": "A"}


# ---- --map -----------------------------------------------------------------------------------------------------------


def test_the_option_is_read():
    assert parse_mapping(["a=b=Soprano", " 2 = Alto ", "2=4"]) == {"a=b": ("Soprano",), "2": ("Alto", "4")}
    for text in ("Lead", "=Alto", "Lead=", "="):
        with pytest.raises(UsageError, match="write it as Lead=Soprano"):
            parse_mapping([text])


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> UniformComposer:
    return UniformComposer(fake_bundle(tmp_path_factory.mktemp("bundle"), polyphony=1))


def test_what_is_asked_holds_and_the_rest_is_matched(composer):
    given = primer(tune("A"), tune("B", up=-12))
    take = composer.compose(given, bars=1, seed=1, mapping={"A": "Bass"})[0]
    assert take.places == (("A", ("Bass",)), ("B", ("Tenor",)))
    take = composer.compose(given, bars=1, seed=1, mapping={"2": ("1",), "a": ("2",)})[0]
    assert take.places == (("A", ("Alto",)), ("B", ("Soprano",)))


def test_a_track_of_chords_goes_to_the_voices_asked_for(composer):
    given = primer(piano("Keys"), tune("A"))
    take = composer.compose(given, bars=2, seed=1, mapping={"Keys": ("Bass", "Alto")})[0]
    assert take.places == (("Keys", ("Alto", "Bass")), ("A", ("Soprano",)))
    assert "Keys: read and continued as 2 voices" in take.messages


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"C": "Alto"}, "map C: no such track; tracks: 1 'A', 2 'B', 3 'Empty', 4 'Kit'"),
        ({"A": "Altus"}, "map A to fake's Altus: no such track; tracks: 1 'Soprano', 2 'Alto'"),
        ({"A": "Alto", "B": "2"}, "map B=2: A goes there already; choose one"),
        ({"Empty": "Alto"}, "map Empty: Empty has no notes"),
        ({"4": "Alto"}, "map 4=Alto: Kit is drums, Alto pitched"),
    ],
)
def test_what_cannot_be_is_refused(composer, mapping: dict, words: str):
    given = primer(tune("A"), tune("B"), Track("Empty"), kit())
    with pytest.raises(UsageError, match=words):
        composer.compose(given, mapping=mapping)


def test_without_a_primer_there_is_nothing_to_map(composer):
    with pytest.raises(UsageError, match="mapping`: of what"):
        composer.compose(mapping={"A": "Alto"})


def test_settings_hold_it_through_json_and_only_where_it_was_asked():
    asked = settings_of({"mapping": {"A": "Alto", "B": ["Tenor", "Bass"]}})
    assert settings_from(json.loads(json.dumps(asked.to_dict()))) == asked
    assert "mapping" not in Settings().to_dict()
    assert settings_from(Settings().to_dict()) == Settings()


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with random weights."""
    pytest.importorskip("onnx")
    return write_styles(tmp_path_factory.mktemp("models"), PRIMERS)


@pytest.fixture
def here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("melody.bundle.bundle.SHIPPED", models)
    return tmp_path


def looks(path: Path) -> list[tuple[str, int, bool, int]]:
    """Name, program, drums and channel of each track in a file."""
    reading = read_file(path)
    tracks = zip(reading.score.tracks, reading.channels, strict=True)
    return [(track.name, track.program, track.is_drum, channel) for track, channel in tracks]


def all_rows(score: Score) -> list[set[tuple[int, ...]]]:
    return [set(zip(*(column.tolist() for column in notes_of(track)), strict=True)) for track in score.tracks]


OWN_CHANNELS = {"folk": [4], "chorale": [3, 0, 15, 7], "pop": [11, 2], "drums": [9]}


@pytest.mark.parametrize("only_new", [[], ["--only-new"]])
@pytest.mark.parametrize("style", PRIMERS)
def test_tracks_keep_their_names_programs_and_channels(here: Path, style: str, only_new: list[str]):
    file = melody.write(PRIMERS[style], "theme.mid", own_channels=OWN_CHANNELS[style])
    assert [look[3] for look in looks(file)] == OWN_CHANNELS[style]
    assert run(["compose", "theme.mid", "--bars", "4", "--seed", "2", "--out", "take.mid", *only_new]) == 0
    before, after = looks(file), looks(Path("take.mid"))
    assert [look for look in before if look in after] == after  # of a new part without a note no track is left
    if not only_new:
        assert before == after
        old, new = all_rows(melody.read(file)), all_rows(melody.read("take.mid"))
        assert all(mine <= all_of_it for mine, all_of_it in zip(old, new, strict=True))
        assert old != new
    assert run(["compose", "--replay", "take.mid", "--out", "again.mid"]) == 0


def test_added_tracks_take_channels_that_are_free(here: Path):
    melody.write(PRIMERS["folk"], "theme.mid", own_channels=[1])
    arguments = ["--model", "chorale", "--with", "Fiddle", "--seed", "2", "--out", "take.mid"]
    assert run(["compose", "theme.mid", *arguments]) == 0
    assert [(name, channel) for name, _, _, channel in looks(Path("take.mid"))] == [
        ("Fiddle", 1),
        *zip(["Alto", "Tenor", "Bass"], [0, 2, 3], strict=True),
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 16)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_channels_are_kept_where_they_can_be(wishes: list[tuple[bool, int]]):
    tracks = [Track("", 0, drums) for drums, _ in wishes]
    found = channels(tracks, [channel for _, channel in wishes])
    pitched = [channel for track, channel in zip(tracks, found, strict=True) if not track.is_drum]
    assert all(channel == 9 for track, channel in zip(tracks, found, strict=True) if track.is_drum)
    assert 9 not in pitched
    assert len(set(pitched)) == min(len(pitched), 15)
    assert channels(tracks, found) == found or len(pitched) > 15
    for number, (drums, wish) in enumerate(wishes):
        first = all(drums or other != wish for drums, other in wishes[:number])
        if not drums and 0 <= wish < 16 and wish != 9 and first:
            assert found[number] == wish


def test_map_on_the_command_line_is_in_the_take_and_in_its_replay(here: Path, capsys):
    melody.write(PRIMERS["pop"], "song.mid")
    arguments = ["compose", "song.mid", "--bars", "2", "--seed", "2", "--map", "Lead=bridge", "--map", "1=3"]
    assert run([*arguments, "--out", "take.mid", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["takes"][0]["places"] == {"Keys": ["Piano"], "Lead": ["Bridge"]}
    assert embedded(Path("take.mid"))[1]["mapping"] == {"Lead": ["bridge"], "1": ["3"]}
    assert run(["compose", "--replay", "take.mid", "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == Path("take.mid").read_bytes()
    capsys.readouterr()
    assert run([*arguments, "--out", "more.mid"]) == 0
    assert "Lead: goes on as Bridge\n" in capsys.readouterr().out


def test_mistakes_are_one_line(here: Path, capsys):
    melody.write(PRIMERS["pop"], "song.mid")
    for mistake, words in (
        ("Lead", "--map Lead: write it"),
        ("Lute=Piano", "no such track; tracks: 1 'Keys', 2 'Lead'"),
    ):
        assert words in failure(capsys, 2, "compose", "song.mid", "--map", mistake, "--out", "take.mid")
    assert run(["compose", "song.mid", "--bars", "1", "--out", "take.mid"]) == 0
    capsys.readouterr()
    assert "leave out --map" in failure(capsys, 2, "compose", "--replay", "take.mid", "--map", "Lead=Piano")
