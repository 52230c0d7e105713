"""The chords of a take: drawn from its seed and number, told to the model, replayed; others where they are asked."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.tiny_bundle import tiny_files, write_bundle, write_harmonising_bundle
from symusic import Note, Track

from melody.bundle import open_bundle
from melody.errors import UnreadableFile
from melody.generation import Composer
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.chords import NO_CHORD, parse_chord
from melody.music.key import key_of_signature
from melody.music.score import Score, resample
from melody.tokens.harmony import harmony_of
from tests.tokens.test_harmony import DOMINANT, SUBDOMINANT, TONIC, chorale


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(write_harmonising_bundle(tmp_path_factory.mktemp("harmony") / "chorale"))


@pytest.fixture(scope="module")
def primer() -> Score:
    return resample(chorale(*(TONIC, SUBDOMINANT, DOMINANT, TONIC) * 4, last=24), 480)


def test_takes_have_chords_of_their_own_and_the_same_alone(composer: Composer, primer: Score) -> None:
    takes = composer.compose(primer, takes=3, seed=7, bars=4)
    assert len({take.settings["harmony"] for take in takes}) == 3
    assert all(len(take.settings["harmony"].split(" | ")) == 4 for take in takes)
    alone = composer.recompose(json.loads(json.dumps(takes[2].settings)), primer)
    assert alone.to_midi() == takes[2].to_midi()
    assert alone.to_dict()["harmony"] == takes[2].settings["harmony"]


def test_a_primers_chords_are_told_as_they_are_heard(composer: Composer, primer: Score) -> None:
    prepared = composer._prepare(primer, settings_of({"bars": 4}))
    start = prepared.start([Seed(1, 1)])[0]
    table = start.reader.plan.harmony
    assert table is not None
    own = harmony_of(resample(primer, 24), "beats").table()
    assert np.array_equal(table[:360, :2], own[:360, :2])
    assert table[384:768, 0].any()  # those that were drawn
    columns = [composer.bundle.tokenizer.names.index(name) for name in ("harmony", "harmony_bass")]
    assert np.array_equal(start.reader.context[columns], table[384, :2])


def test_from_nothing_they_are_drawn_when_the_key_is_known(composer: Composer) -> None:
    takes = composer.compose(bars=6, takes=2, seed=3)
    for take in takes:
        assert 5 <= len(take.settings["harmony"].split(" | ")) <= 6
        assert composer.recompose(take.settings).to_midi() == take.to_midi()
    asked = composer.compose(bars=6, seed=3, key="E minor", meter=(3, 4))[0]
    assert len(asked.settings["harmony"].split(" | ")) == 6


def test_a_bundle_says_how_boldly_chords_are_drawn(tmp_path: Path, primer: Score) -> None:
    bundle = open_bundle(write_harmonising_bundle(tmp_path / "bold"))
    drawn = {}
    for temperature in (0.01, 3.0):
        bundle.settings["harmony_temperature"] = temperature
        takes = Composer(bundle).compose(primer, takes=3, seed=7, bars=4)
        drawn[temperature] = len({chord for take in takes for chord in take.settings["harmony"].split()})
    assert drawn[0.01] < drawn[3.0]


def test_a_bundle_says_of_how_many_plans_of_chords_the_likeliest_stays(tmp_path: Path, primer: Score) -> None:
    bundle = open_bundle(write_harmonising_bundle(tmp_path / "several"))
    bundle.settings["chord_plans"] = 3
    (take,) = Composer(bundle).compose(primer, seed=7, bars=4)
    assert Composer(bundle).recompose(take.settings, primer).to_midi() == take.to_midi()
    bundle.settings["chord_plans"] = 1
    assert Composer(bundle).compose(primer, seed=7, bars=4)[0].settings["harmony"] != take.settings["harmony"]


def test_chords_that_are_asked_for_take_their_place(composer: Composer, primer: Score) -> None:
    take = composer.compose(primer, bars=4, seed=3, chords="Am F C G")[0]
    assert "harmony" not in take.settings


def test_around_a_tune_and_in_a_gap(composer: Composer, primer: Score) -> None:
    tune = primer.copy()
    for track in tune.tracks[1:]:
        track.notes = track.notes[:8]
    around = composer.compose(tune, seed=2, with_tracks=("1",))[0]
    assert len(around.settings["harmony"].split(" | ")) == 2
    filled = composer.compose(primer, seed=2, fill=(2, 3))[0]
    assert len(filled.settings["harmony"].split(" | ")) == 2


def test_a_harmonist_of_other_shapes_is_refused(tmp_path: Path) -> None:
    files = tiny_files() | {"harmonist.safetensors": save({"root": np.zeros((2, 2), np.float16)})}
    bundle = open_bundle(write_bundle(tmp_path / "odd", files))
    with pytest.raises(UnreadableFile, match=r"harmonist.safetensors: is no harmonist: its root should be of shape"):
        _ = bundle.harmonist


def test_a_band_has_the_chords_of_tunes_from_a_shipped_model(tmp_path: Path) -> None:
    band, chorale = open_bundle("band"), open_bundle("chorale")
    assert band.harmoniser is not None
    assert chorale.harmonist is not None
    assert np.array_equal(band.harmoniser.weights["root"], chorale.harmonist.weights["root"])
    folder = write_harmonising_bundle(tmp_path / "own")
    told = json.loads((folder / "bundle.json").read_text())
    for name, reason in [("../chorale", "harmoniser is '../chorale', which"), ("none", "cannot read")]:
        (folder / "bundle.json").write_text(json.dumps(told | {"harmoniser": name}))
        with pytest.raises(UnreadableFile, match=reason):
            _ = open_bundle(folder).harmoniser


def test_a_tune_alone_gets_the_chords_that_it_spells() -> None:
    """By the shipped band's harmoniser: arpeggios of I, IV, V, I, each a bar, at any seed."""
    given, flute = Score(480), Track("Flute", 73, False)
    for bar, triad in enumerate(([60, 64, 67], [60, 65, 69], [62, 67, 71], [60, 64, 67]) * 2):
        line = [triad[0], triad[1], triad[2], triad[1]]
        flute.notes.extend([Note(480 * (4 * bar + beat), 480, 12 + pitch, 80) for beat, pitch in enumerate(line)])
    given.tracks.append(flute)
    band, right = Composer("band"), 0
    for take in band.compose(given, add="chords", seed=1, takes=4):
        chords = [one.split()[0].split("/")[0].rstrip("7") for one in take.settings["harmony"].split(" | ")]
        right += sum(one == wanted for one, wanted in zip(chords, ["C", "F", "G", "C"] * 2, strict=True))
    assert right >= 24  # of 32 bars; a third can stand for them too


def test_a_tune_over_chords_is_planned_over_those_that_sound() -> None:
    given, keys = Score(480), Track("Keys", 4, False)
    for bar, triad in enumerate(([60, 64, 67], [60, 65, 69], [62, 67, 71], [60, 64, 67])):
        keys.notes.extend([Note(1920 * bar, 1920, pitch, 80) for pitch in triad])
    given.tracks.append(keys)
    (take,) = Composer("band").compose(given, add="lead", seed=2)
    assert take.settings["harmony"] == "C | F/C | G/D | C"


@pytest.mark.parametrize("asked", [{"bars": 8}, {"bars": 8, "key": "F# minor", "meter": (3, 4)}])
def test_plans_end_on_the_tonic_where_a_style_that_does_so_ends(asked: dict) -> None:
    """The shipped chorale's, without its rules too: the plan is one thing, what may be played another."""
    for rules in (True, False):
        for take in Composer("chorale").compose(**asked, takes=6, seed=4, style_rules=rules):
            key = take.score.key_signatures[0]
            tonic = key_of_signature(key.key, key.tonality).tonic
            last = [name for name in take.settings["harmony"].split(" | ")[-1].split() if name != NO_CHORD][-1]
            chord = parse_chord(last)
            assert (chord.root, chord.bass) == (tonic, tonic)
