"""Rules of a style, on two and three voices that can be checked by hand."""

import numpy as np
import pytest
from support.fakes import UniformComposer, fake_bundle
from symusic import Tempo, TimeSignature, Track

from melody.generation import Composer
from melody.generation.rules.styles import STYLE_RULES, no_parallels
from melody.generation.rules.voices import Voices
from melody.music.chords import parse_chord
from melody.music.key import parse_key
from melody.music.score import GRID, Notes, Score, bars, set_notes
from melody.music.voice_leading import ends_on_tonic
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.harmony import HarmonyPlan

TOKENIZER = EventTokenizer()
PITCH = TOKENIZER.vocabulary.ids["Pitch"].start


def forbidden(*voices: list[int], last: int) -> set[int]:
    """The pitches that the rule takes from voice `last` after quarters in each voice; its own last note is left out."""
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=120)]
    for pitches in voices:
        track = Track("", 0, False)
        onset = np.arange(len(pitches)) * GRID
        sounding = np.array(pitches) > 0  # 0: a rest
        notes = Notes(onset, np.full(len(pitches), GRID), np.array(pitches), np.full(len(pitches), 82))
        set_notes(track, notes.take(sounding))
        score.tracks.append(track)
    ids = TOKENIZER.encode(score).tolist()
    note = [i for i, token in enumerate(ids) if TOKENIZER.vocabulary.kind_of[token] == "Track"][-1]
    assert ids[note] == TOKENIZER.vocabulary.ids["Track"][last]
    reader = Reader(TOKENIZER.vocabulary, Plan()).read_all(ids[: note + 1])
    mask = no_parallels(TOKENIZER.vocabulary, Voices([0, 1, 2]))(reader)
    return set() if mask is None else set((np.flatnonzero(~mask) - PITCH).tolist())


def classes(pitches: set[int]) -> set[int]:
    return {pitch % 12 for pitch in pitches}


def test_a_fifth_may_not_follow_a_fifth():
    # G over C; the upper voice goes up to A: the lower may not take any D
    assert classes(forbidden([67, 69], [48, 50], last=1)) == {2}


def test_an_octave_may_not_follow_an_octave_nor_a_unison():
    assert classes(forbidden([60, 62], [48, 50], last=1)) == {2}
    assert classes(forbidden([60, 62], [60, 62], last=1)) == {2}


def test_other_intervals_are_free():
    assert forbidden([64, 65], [60, 62], last=1) == set()  # thirds
    assert forbidden([65, 67], [60, 62], last=1) == set()  # fourths


def test_a_fourth_between_the_upper_voices_is_no_fifth():
    assert forbidden([60, 62], [67, 69], last=1) == set()  # the upper track lies below: a fourth, turned


def test_a_voice_that_stays_makes_no_parallel():
    assert forbidden([67, 67], [48, 50], last=1) == set()  # the upper voice repeats its note
    assert 48 not in forbidden([67, 69], [48, 50], last=1)


def test_after_a_rest_all_is_free():
    assert forbidden([67, 69], [0, 50], last=1) == set()


def test_each_pair_of_voices_counts():
    # soprano and bass an octave apart, alto and bass a fifth: both pairs move
    assert classes(forbidden([72, 74], [67, 65], [48, 50], last=2)) == {2, 10}


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (6, 8)])
@pytest.mark.parametrize("key", ["E minor", "Bb major"])
def test_even_a_model_that_knows_nothing_ends_on_the_tonic(tmp_path, meter: tuple[int, int], key: str):
    bundle = fake_bundle(tmp_path, polyphony=1)
    bundle.settings["style_rules"] = ["tonic_ending"]
    takes = UniformComposer(bundle).compose(bars=3, takes=12, seed=5, key=key, meter=meter)
    assert all(len(bars(take.score)) - 1 == 3 for take in takes)
    assert all(ends_on_tonic(take.score, parse_key(key)) for take in takes)


def test_without_an_ending_the_last_chord_is_free(tmp_path):
    bundle = fake_bundle(tmp_path, polyphony=1)
    bundle.settings["style_rules"] = ["tonic_ending"]
    takes = UniformComposer(bundle).compose(bars=3, takes=12, seed=5, key="C major", ending=False)
    assert not any(ends_on_tonic(take.score, parse_key("C major")) for take in takes)


def after_chords(before: str, now: str, *voices: tuple[int, int], rule: str = "leading_notes") -> set[int] | None:
    """The pitches that a rule leaves the last voice at the second of two planned chords; None for no opinion."""
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=120)]
    for pitches in voices:
        track = Track("", 0, False)
        set_notes(track, Notes(np.arange(2) * GRID, np.full(2, GRID), np.array(pitches), np.full(2, 82)))
        score.tracks.append(track)
    ids = TOKENIZER.encode(score).tolist()
    note = [i for i, token in enumerate(ids) if TOKENIZER.vocabulary.kind_of[token] == "Track"][-1]
    steps = [[chord.value, 1 + chord.bass] for chord in map(parse_chord, (before, now))]
    plan = HarmonyPlan(np.array([0, GRID, 4 * GRID]), np.array(steps, np.int16))
    reader = Reader(TOKENIZER.vocabulary, Plan(harmony=plan.table())).read_all(ids[: note + 1])
    mask = STYLE_RULES[rule](TOKENIZER.vocabulary, Voices(range(len(voices))))(reader)
    return None if mask is None else {pitch for pitch in range(128) if mask[PITCH + pitch]}


def test_a_leading_note_goes_up_where_its_dominant_resolves():
    assert after_chords("G7", "C", (74, 72), (59, 60)) == {60}
    assert after_chords("G", "Cm", (71, 72), (50, 48)) is None  # the lower voice has none
    assert after_chords("Bdim", "C", (74, 72), (71, 72)) == {72}
    assert after_chords("G7", "Am", (74, 72), (59, 60)) is None  # a deceptive cadence leaves it free
    assert after_chords("Gm", "C", (74, 72), (58, 60)) is None


def left_in_scale(key: tuple[int, int], heard: set[int], chord: str = "") -> set[int] | None:
    """The pitch classes that are left a note in the second beat of a piece in a key; None for no opinion."""
    ids = TOKENIZER.vocabulary.ids
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=120)]
    track = Track("", 0, False)
    set_notes(track, Notes(*(np.array([one]) for one in (GRID + 6, 6, 60, 82))))
    score.tracks.append(track)
    tokens = TOKENIZER.encode(score).tolist()
    note = [i for i, token in enumerate(tokens) if token in ids["Track"]][-1]
    table = None
    if chord:
        steps = np.array([[parse_chord(chord).value, 1 + parse_chord(chord).bass]], np.int16)
        table = HarmonyPlan(np.array([0, 4 * GRID]), steps).table()
    reader = Reader(TOKENIZER.vocabulary, Plan(key=key, harmony=table)).read_all(tokens[: note + 1])
    mask = STYLE_RULES["own_scale"](TOKENIZER.vocabulary, Voices([0], heard=frozenset(heard)))(reader)
    return None if mask is None else classes({pitch for pitch in range(128) if mask[PITCH + pitch]})


def test_notes_are_of_the_scale_of_what_was_heard_or_of_the_planned_chord():
    white = {0, 2, 4, 5, 7, 9, 11}
    assert left_in_scale((0, 0), set()) == white
    assert left_in_scale((1, 0), set()) == white - {5} | {6}
    assert left_in_scale((0, 1), set()) == white | {8}  # A minor, and its leading note
    assert left_in_scale((0, 0), {6, 7}) == white | {6}
    assert left_in_scale((0, 0), set(), "D7") == white | {6}


def test_a_take_in_the_scale_is_the_same_by_the_core_and_without_it(monkeypatch: pytest.MonkeyPatch):
    composer = Composer("pop")
    assert "own_scale" in composer.bundle.style_rules
    (take,) = composer.compose(bars=6, seed=11, key="Bb major")
    monkeypatch.setattr("melody.generation.decoders.sampling.native_loop", lambda *_: None)
    (other,) = Composer("pop").compose(bars=6, seed=11, key="Bb major")
    assert take.to_midi() == other.to_midi()


@pytest.mark.parametrize("name", STYLE_RULES)
def test_every_style_rule_speaks_for_the_whole_vocabulary(name: str):
    reader = Reader(TOKENIZER.vocabulary, Plan()).read_all([TOKENIZER.vocabulary.ids["Begin"][0]])
    opinion = STYLE_RULES[name](TOKENIZER.vocabulary, Voices([0]))(reader)
    assert opinion is None or opinion.shape == (len(TOKENIZER.vocabulary),)
