"""Music of a kind that a model does not know: one line says so, and what to try; music that it knows costs no word."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.fakes import fake_bundle
from support.primers import PRIMERS, primer, tune, voices
from symusic import Track

import melody
from melody.evaluation.likelihood import token_nats
from melody.generation import Composer
from melody.generation import prefix as reading
from melody.generation.advice import at_home
from melody.generation.model_choice import suitable
from melody.generation.prefix import read_prefix
from melody.generation.primer.primer_fit import LEAST_NOTES, STRANGE, fit_of
from melody.generation.primer.primer_view import view_primer
from melody.music.score import Notes, Score, clip, set_notes
from melody.tokens import Plan


@pytest.fixture(scope="module")
def chorale() -> Composer:
    return melody.load("chorale")


def strange(composer: Composer, score: Score, **options: object) -> list[str]:
    take = composer.compose(score, bars=1, seed=1, **options)[0]
    return [message for message in take.messages if "unlike" in message]


@pytest.mark.parametrize(
    ("tracks", "remedy"),
    [
        ([tune()], "`with_tracks` Fiddle composes Alto, Tenor and Bass around it"),
        (voices()[:2], "`with_tracks` Sopran `with_tracks` Alt composes Tenor and Bass around it"),
        ([tune("My lead")], "`with_tracks` 'My lead' composes Alto, Tenor and Bass around it"),
        ([tune("")], "`with_tracks` 1 composes Alto, Tenor and Bass around it"),
    ],
)
def test_missing_voices_are_said_to_be_unlike_the_training_music_with_what_to_try(
    chorale: Composer, tracks: list, remedy: str
):
    said = strange(chorale, primer(*tracks))
    assert len(said) == 1
    assert said[0].startswith("the primer is unlike chorale's training music: ")
    assert f" times what is typical; {remedy}" in said[0]
    assert "\n" not in said[0]


def advised(said: str) -> tuple[str, float]:
    """The model that is advised, and how many times its typical nats a note it needs."""
    found = re.search(r"`model` (\w+) suits it better: ([\d.]+) times", said)
    assert found, said
    return found[1], float(found[2])


def test_another_model_is_advised_where_it_knows_such_music_better():
    """Advice holds when it is tried."""
    score = melody.load("pop").compose(bars=8, seed=3)[0].score
    (said,) = strange(melody.load("chorale"), score)
    name, times = advised(said)
    other = melody.load(name)
    ids = np.array(view_primer(score, other.bundle).ids[:400])
    kinds = [other.bundle.tokenizer.vocabulary.kind_of[token] for token in ids]
    measured = token_nats([ids], other.bundle, other.engine, Plan())[0][1].sum() / kinds.count("Pitch")
    typical = other.bundle.settings["scores"]["test_nats_per_note"]
    assert times == pytest.approx(measured / typical, abs=0.06)
    assert strange(other, score) == []


@pytest.mark.parametrize("wild", [False, True])
def test_composing_around_is_advised_where_it_goes_well(chorale: Composer, wild: bool, monkeypatch: pytest.MonkeyPatch):
    line, chance = primer(tune()), np.random.default_rng(11)
    for note in line.tracks[0].notes if wild else []:
        note.pitch = int(chance.integers(40, 96))
    (said,) = strange(chorale, line)
    times = chorale.compose(line, with_tracks=line.tracks[0].name, seed=2)[0].nats_per_note / 1.6
    # the trial that advises is shorter than a take, so near the limit they may disagree
    assert times < STRANGE * 1.25 if "composes" in said else times > STRANGE * 0.8
    monkeypatch.setattr("melody.generation.advice.STRANGE_TRIAL", 0.0)
    assert "composes" not in strange(chorale, line)[0]


@pytest.mark.parametrize("name", ["chorale", "folk", "drums"])
def test_music_of_its_kind_costs_no_word(name: str):
    assert strange(melody.load(name), PRIMERS[name]) == []


def test_what_it_advises_can_be_done(chorale: Composer):
    take = chorale.compose(primer(*voices()[:2]), with_tracks=["Sopran", "Alt"], seed=1)[0]
    assert [track.name for track in take.score.tracks] == ["Sopran", "Alt", "Tenor", "Bass"]
    assert not [message for message in take.messages if "unlike" in message]


def test_a_few_notes_are_no_music_to_judge(chorale: Composer):
    short = clip(primer(tune()), 0, 2)
    assert len(short.tracks[0].notes) < LEAST_NOTES
    assert strange(chorale, short) == []


def test_a_model_without_scores_judges_nothing(tmp_path: Path):
    bundle = fake_bundle(tmp_path)
    score = primer(tune())
    assert fit_of(1e9, view_primer(score, bundle).ids, bundle) is None


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_reading_counts_the_nats_of_what_it_reads(chorale: Composer, monkeypatch: pytest.MonkeyPatch, block: int):
    monkeypatch.setattr(reading, "_BLOCK", block)
    ids = view_primer(primer(*voices()), chorale.bundle).ids[:60]
    plan = Plan(bars=4)
    prefix = read_prefix(chorale.engine, chorale.bundle.tokenizer.reader(plan), ids)
    raw = token_nats([np.array(ids)], chorale.bundle, chorale.engine, plan)[0][1]
    assert prefix.nats == pytest.approx(raw.sum(), rel=1e-5)


def test_repeating_its_bars_is_advised_where_nothing_else_goes_well(
    chorale: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melody.generation.advice.STRANGE_TRIAL", 0.0)
    monkeypatch.setattr("melody.generation.advice.BETTER", 0.0)
    (said,) = strange(chorale, primer(tune()))
    assert said.endswith("times what is typical; `keep` bars repeats it with changes")
    chorale.compose(primer(tune()), keep="bars", bars=2, seed=1)


def boogie() -> Score:
    """Twelve bars of a shuffle in two hands, on three chords."""
    right, left = [], []
    for bar, root in enumerate([45, 45, 45, 45, 50, 50, 45, 45, 52, 50, 45, 52]):
        for beat in range(4):
            for place, length, up in ((0, 320, 7), (320, 160, 9 if beat % 2 else 7)):
                onset = 1920 * bar + 480 * beat + place
                left += [(onset, length - 20, root - 12, 80), (onset, length - 20, root - 12 + up, 70)]
        riff = [(0, 0), (320, 3), (480, 4), (800, 7), (960, 9), (1120, 7), (1280, 4)]
        chord = [(at, up) for at in (480, 1440) for up in (16, 22, 25)]
        right += [(1920 * bar + at, 140, root + 12 + up, 90) for at, up in (riff if bar % 2 == 0 else chord)]
    tracks = []
    for name, rows in (("Piano RH", right), ("Piano LH", left)):
        track = Track(name, 0, False)
        set_notes(track, Notes(*np.array(sorted(rows), np.int64).T))
        tracks.append(track)
    return primer(*tracks)


def test_a_primer_goes_to_who_knows_such_music_not_to_who_has_as_many_tracks():
    by_tracks, chosen = suitable(boogie()), at_home(boogie())
    assert by_tracks is not None
    assert chosen is not None
    assert by_tracks.bundle.name == "piano"
    found = re.search(r"([\d.]+) times what is typical, piano, which has such tracks, ([\d.]+)", chosen.reason)
    assert found
    assert float(found[1]) < STRANGE < float(found[2])
    assert strange(melody.load(chosen.bundle.name), boogie()) == []
    assert melody.choose_model(boogie()) == (chosen.bundle.name, chosen.reason)
    assert at_home(boogie(), mapping={"Piano RH": ("Right hand",)}) == suitable(
        boogie(), mapping={"Piano RH": ("Right hand",)}
    )


@pytest.mark.parametrize("name", PRIMERS)
def test_a_primer_of_a_models_kind_stays_with_it(name: str):
    assert at_home(PRIMERS[name]) == suitable(PRIMERS[name])
