"""The model that a primer gets without ``--model``: by its tracks, told in a line, among those shipped."""

import json
import random
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.primers import PRIMERS, kit, part, piano, primer, tune, voices
from support.tiny_bundle import bundle_of, write_styles
from symusic import Track

import melody
from melody.cli import run
from melody.errors import MelodyError, UsageError
from melody.generation import Composer
from melody.generation.model_choice import choose, shipped
from melody.generation.replay import embedded
from melody.music.score import Score, notes_of, set_notes

SHIPPED = ("chorale", "drums", "folk", "pop")
MODELS = [bundle_of(style) for style in SHIPPED]


def chosen(score: Score, models=MODELS, around: tuple[str, ...] = ()) -> str:
    return choose(score, models, around).bundle.name


@pytest.mark.parametrize("style", PRIMERS)
def test_each_kind_of_primer_gets_its_model(style: str):
    assert all(chosen(PRIMERS[style], order) == style for order in permutations(MODELS))


@pytest.mark.parametrize(
    ("style", "reason"),
    [
        ("folk", "one melodic line, for its Melody"),
        ("chorale", "four single lines, for its Soprano, Alto, Tenor and Bass"),
        ("pop", "a melody with chords, for its Melody and Piano"),
        ("drums", "drums alone, for its Drums"),
    ],
)
def test_the_reason_is_told(style: str, reason: str):
    assert choose(PRIMERS[style], MODELS).reason == reason


@given(st.sampled_from(sorted(PRIMERS)), st.integers(0, 2**32), st.text(max_size=8))
@settings(max_examples=40)
def test_neither_names_nor_the_order_of_tracks_matter(style: str, seed: int, name: str):
    score = PRIMERS[style].copy()
    tracks = list(score.tracks)
    random.Random(seed).shuffle(tracks)
    for track in tracks:
        track.name = name
    score.tracks = tracks
    renamed = [bundle_of(model.name, f"model{number}") for number, model in enumerate(MODELS)]
    assert chosen(score, renamed) == f"model{SHIPPED.index(style)}"


@given(st.integers(-5, 9), st.floats(0.9, 1.1), st.sampled_from([0, 24, 40, 73, 80]))
@settings(max_examples=40)
def test_a_tune_is_one_in_any_key_on_any_instrument_and_played_legato(up: int, legato: float, program: int):
    track = tune("", program, up)
    notes = notes_of(track)
    set_notes(track, notes._replace(duration=np.round(notes.duration * legato).astype(np.int64)))
    assert chosen(primer(track)) == "folk"


def bass_line() -> Track:
    return part("", [43, 38, 40, 36, 41, 43, 45, 36])


@pytest.mark.parametrize(
    ("tracks", "model"),
    [
        ([tune(), kit()], "folk"),  # with pitched tracks drums count for nothing
        ([*voices(), kit(), kit("More")], "chorale"),
        ([tune("A"), bass_line()], "chorale"),
        ([bass_line()], "chorale"),  # no tune goes so low
        ([piano()], "pop"),
        ([tune("A", up=5), tune("B"), piano("C"), kit()], "pop"),
        ([*voices(), piano()], "chorale"),
    ],
)
def test_other_line_ups(tracks: list[Track], model: str):
    assert chosen(primer(*tracks)) == model


def test_what_is_sung_to_a_piano_is_a_song_of_its_own_kind():
    models = [*MODELS, bundle_of("lied")]
    assert chosen(primer(tune("", 52), piano("", 0)), models) == "lied"
    assert chosen(primer(tune("", 0), piano("", 0)), models) == "pop"
    assert chosen(primer(tune("", 52)), models) == "folk"


def test_a_tune_over_chords_alone_is_sung():
    models = [bundle_of("band"), *MODELS, bundle_of("lied")]

    def adding(*tracks: Track, parts: tuple[str, ...] = ("lead",)) -> str:
        return choose(primer(*tracks), models, add=parts).bundle.name

    assert adding(piano()) == adding(piano("A"), piano("B")) == "lied"
    assert adding(piano(), kit()) == adding(piano(), bass_line()) == adding(tune()) == "band"
    assert adding(piano(), parts=("lead", "drums")) == adding(piano(), parts=("bass",)) == "band"
    (take,) = Composer("lied").compose(primer(piano("Keys")), add="lead", seed=1)
    assert [track.name for track in take.notation.tracks if len(track.notes)] == ["Keys", "Voice"]


def test_four_strings_are_a_quartet_and_four_singers_a_choir():
    models = [*MODELS, bundle_of("quartet")]

    def on(*programs: int) -> Score:
        score = primer(*voices())
        for track, program in zip(score.tracks, programs, strict=True):
            track.program = program
        return score

    assert chosen(on(40, 40, 41, 42), models) == "quartet"
    assert [chosen(on(*[program] * 4), models) for program in (0, 19, 52, 73)] == ["chorale"] * 4


def test_around_a_tune_a_model_writes_as_many_voices_as_there_are():
    score = primer(tune(), kit())
    assert choose(score, MODELS, ["Fiddle"]) == (
        MODELS[0],
        "one melodic line, for its Soprano; it adds Alto, Tenor and Bass",
    )
    assert chosen(primer(tune(), bass_line()), around=("1",)) == "chorale"  # whose other track is composed
    with pytest.raises(UsageError, match="with Lute: no such track"):
        choose(score, MODELS, ["Lute"])


@pytest.mark.parametrize("program", [0, 40, 73, 80])
@pytest.mark.parametrize("name", ["", "Melody", "Lead", "Soprano"])
def test_around_a_tune_alone_no_band_is_drawn_by_its_many_places(name: str, program: int):
    wanted = "quartet" if program == 40 else "chorale"  # other strings join a violin
    assert chosen(primer(tune(name, program)), shipped(), around=("1",)) == wanted


def test_around_a_rhythm_section_a_band_plays():
    for score in (primer(kit()), primer(bass_line())):
        assert chosen(score, shipped(), around=("1",)) == "band"


def test_four_singers_are_no_band_though_one_is_called_bass():
    singers = voices()
    for track, name in zip(singers, ("Soprano", "Alto", "Tenor", "Bass"), strict=True):
        track.name, track.program = name, 0
    assert chosen(primer(*singers), shipped()) == "chorale"
    assert chosen(primer(*singers[:3], piano()), shipped()) != "band"
    assert chosen(primer(*singers, kit()), shipped()) == "band"


def test_nobody_of_a_band_is_left_out_for_having_few_notes():
    def slow(count: int) -> list[Track]:
        lines = [part(f"Voice {number}", [50 + 3 * number]) for number in range(count)]
        for line in lines:
            set_notes(line, notes_of(line).take(np.arange(1)))
        return lines

    choice = choose(primer(kit(), *slow(8)), shipped())
    assert choice.bundle.name == "band"
    assert choice.reason.endswith("; one more than it writes at once")
    assert chosen(primer(*slow(4), piano()), shipped()) == "band"


def test_the_only_model_is_taken_and_what_does_not_fit_is_told():
    for style, models, around, kind, what in (
        ("drums", MODELS[:1], [], MelodyError, "drums alone, which no model here writes"),
        ("folk", MODELS[1:2], [], MelodyError, "one melodic line, which no model here writes"),
        ("folk", MODELS[2:3], ["1"], UsageError, "one melodic line, which no model here adds to"),
        ("drums", MODELS, ["Kit"], UsageError, "drums alone, which no model here adds to"),
    ):
        with pytest.raises(kind, match=f"^{what}$"):
            choose(PRIMERS[style], models, around)
    assert (
        choose(primer(*voices()), MODELS[2:3]).reason == "four single lines, for its Melody; three more than it writes"
    )
    low = primer(part("", [24, 26, 28, 24]))
    assert choose(low, MODELS[2:3]).reason == "one melodic line, for its Melody; none here fits well"


def test_a_primer_without_notes_is_refused():
    with pytest.raises(MelodyError, match="no notes"):
        choose(primer(Track("Empty")), MODELS)


def test_the_tracks_asked_for_say_which_models_will_do():
    score = PRIMERS["folk"]
    assert choose(score, MODELS, mapping={"Fiddle": ("Alto",)}) == (MODELS[0], "one melodic line, for its Alto")
    assert choose(score, MODELS, mapping={"1": ("bridge",)}) == (MODELS[3], "one melodic line, for its Bridge")
    assert (
        choose(PRIMERS["pop"], MODELS, mapping={"Lead": ("3",)}).reason
        == "a melody with chords, for its Bridge and Piano"
    )


def test_drums_that_are_mapped_are_what_counts():
    score = primer(tune(), kit())
    assert choose(score, MODELS, mapping={"Kit": ("Drums",)}).bundle.name == "drums"
    assert choose(score, MODELS, mapping={"2": ("1",)}).bundle.name == "drums"
    assert choose(score, MODELS, mapping={"Fiddle": ("1",)}).bundle.name != "drums"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"Fiddle": ("Harp",)},
            "map to Harp: no model here has that; there are Soprano, Alto, Tenor and Bass; Drums; Melody; ",
        ),
        ({"Fiddle": ("Alto",), "Lead": ("Alto",)}, "map Lead=Alto: Fiddle goes there already; choose one"),
        ({"Kit": ("Alto",)}, "map Kit=Alto: Kit is drums, Alto pitched; map like to like"),
        ({"Lute": ("Alto",)}, "map Lute: no such track; tracks: 1 'Fiddle', 2 'Lead', 3 'Kit'"),
    ],
)
def test_a_mapping_that_no_model_takes_is_refused_without_blaming_one(mapping: dict[str, tuple[str]], message: str):
    with pytest.raises(UsageError) as error:
        choose(primer(tune(), tune("Lead"), kit()), MODELS, mapping=mapping)
    assert str(error.value).startswith(message)
    assert not any(name in str(error.value) for name in ("chorale", "folk", "pop"))


# ---- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with random weights."""
    pytest.importorskip("onnx")
    return write_styles(tmp_path_factory.mktemp("models"), SHIPPED)


@pytest.fixture
def here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a primer of each kind, where these models are the shipped ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("melody.bundle.bundle.SHIPPED", models)
    for style, score in PRIMERS.items():
        melody.write(score, f"{style}.mid")
    return tmp_path


@pytest.mark.parametrize("style", PRIMERS)
def test_compose_chooses_says_so_and_is_replayed_with_the_model_chosen(here: Path, style: str, capsys):
    arguments = ["compose", f"{style}.mid", "--bars", "2", "--seed", "3"]
    assert run([*arguments, "--out", "take.mid", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == embedded(Path("take.mid"))[1]["model"] == style
    assert report["model_reason"] == choose(PRIMERS[style], MODELS).reason
    assert run(["compose", "--replay", "take.mid", "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == Path("take.mid").read_bytes()
    capsys.readouterr()
    assert run([*arguments, "--out", "more.mid"]) == 0
    assert capsys.readouterr().out.startswith(f"model {style}: {report['model_reason']}\n")
    assert melody.choose_model(PRIMERS[style]) == (style, report["model_reason"])


def test_a_model_that_is_named_is_taken_without_a_word(here: Path, capsys):
    assert run(["compose", "folk.mid", "--model", "pop", "--bars", "1", "--out", "take.mid", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["model_reason"]) == ("pop", "")


def test_from_nothing_it_is_the_chorale(here: Path, capsys):
    assert run(["compose", "--bars", "1", "--seed", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["model_reason"]) == ("chorale", "")
    assert Path("outputs/chorale-1-1.mid").is_file()


def test_with_chooses_a_model_that_has_other_tracks(here: Path, capsys):
    assert run(["compose", "folk.mid", "--with", "Fiddle", "--out", "four.mid"]) == 0
    assert [track.name for track in melody.read("four.mid").tracks] == ["Fiddle", "Alto", "Tenor", "Bass"]
    assert run(["compose", "folk.mid", "--model", "folk", "--with", "Fiddle", "--out", "one.mid"]) == 2
    assert "folk writes no other track" in capsys.readouterr().err


def test_models_of_ones_own_are_not_chosen_even_where_they_are_broken(here: Path, capsys):
    own = Path("outputs/bundles/folklore")
    own.mkdir(parents=True)
    (own / "bundle.json").write_text("{")
    assert run(["compose", "folk.mid", "--bars", "1", "--out", "take.mid"]) == 0
    assert "model folk:" in capsys.readouterr().out


def test_who_chooses_a_model_and_who_composes_share_its_engine():
    assert Composer("folk").engine is Composer(melody.load("folk").bundle).engine
    assert Composer("folk", "onnx").engine is not Composer("folk").engine
