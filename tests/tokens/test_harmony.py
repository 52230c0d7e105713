"""The harmony of a piece as channels, and what draws it: told truly, moved with the music, fitted to given notes."""

from dataclasses import replace

import numpy as np
import pytest
from symusic import KeySignature, TimeSignature, Track

from melody.music.chords import MAJOR, OCTAVE, SEVENTH
from melody.music.key import Key
from melody.music.score import GRID, Notes, Score, set_notes, transpose
from melody.native.library import core
from melody.tokens import EventTokenizer, Plan
from melody.tokens.channels import HARMONISING, names_of
from melody.tokens.harmonist import NOT_YET, SHAPES, Ground, Harmonist, Wanted, absolute, plan_of, relative, tones_in
from melody.tokens.harmony import FAR, SOUNDS, HarmonyPlan, Moment, harmony_of, phrase_ends, steps_of_bar
from melody.tokens.transpose import shift_channels

TONIC, DOMINANT, SUBDOMINANT = (0, 4, 7), (7, 11, 2), (5, 9, 0)
C, F, G = (1 + root + OCTAVE * MAJOR for root in (0, 5, 7))


def chorale(*chords: tuple[int, int, int], last: int = 48) -> Score:
    """Chords of a quarter each, the last one longer: a tune, and three voices below it."""
    score = Score(GRID)
    score.time_signatures = [TimeSignature(0, 4, 4)]
    score.key_signatures = [KeySignature(0, 0, 0)]
    onset = GRID * np.arange(len(chords))
    duration = np.append(np.full(len(chords) - 1, GRID), last)
    for octave, tone in ((72, 1), (60, 2), (60, 0), (48, 0)):
        track = Track("", 52, False)
        pitch = np.array([octave + chord[tone] % 12 for chord in chords])
        set_notes(track, Notes(onset, duration, pitch, np.full(len(chords), 80)))
        score.tracks.append(track)
    return score


def harmonist(seed: int = 0, spread: float = 0.3) -> Harmonist:
    generator = np.random.default_rng(seed)
    tensors = {name: generator.normal(0, spread, shape) for name, shape in SHAPES.items()}
    return Harmonist.of(tensors | {"tones": np.full(SHAPES["tones"], 1 / OCTAVE)})


def bars_of_beats(count: int) -> list[list[int]]:
    return [steps_of_bar(96 * bar, 96 * (bar + 1), (4, 4), "beats") for bar in range(count)]


def test_chords_basses_and_the_end_of_a_phrase() -> None:
    plan = harmony_of(chorale(TONIC, SUBDOMINANT, DOMINANT, TONIC, TONIC), "beats")
    assert plan.steps[:4].tolist() == [[C, 1], [F, 6], [G, 8], [C, 1]]
    assert plan.ends == ((96, 144),)
    table = plan.table()
    assert table[0].tolist() == [C, 1, F, 6, 4, 9]  # F in 24 ticks, the last note of the phrase in 96
    assert table[20].tolist() == [C, 1, F, 6, 1, 9]
    assert table[72, 2:4].tolist() == [0, 0]  # nothing else comes
    assert table[100, -1] == SOUNDS
    assert table[150, -1] == FAR


def test_told_from_some_step_on() -> None:
    plan = replace(harmony_of(chorale(TONIC, SUBDOMINANT, DOMINANT, TONIC), "beats"), first=2)
    assert not plan.table()[:48].any()
    assert plan.table()[48, 0] == G


def test_steps_are_beats_or_halves() -> None:
    assert steps_of_bar(0, 96, (4, 4), "beats") == [0, 24, 48, 72]
    assert steps_of_bar(96, 192, (4, 4), "halves") == [96, 144]
    assert steps_of_bar(0, 72, (3, 4), "halves") == [0]
    assert steps_of_bar(0, 72, (6, 8), "beats") == [0, 36]


def test_of_long_notes_in_a_row_the_last_ends_the_phrase() -> None:
    tune = Notes(*(np.array(column) for column in ([0, 48, 96, 120], [48, 48, 24, 48], [60, 62, 64, 65], [80] * 4)))
    assert phrase_ends(tune) == ((48, 96), (120, 168))


@pytest.mark.parametrize("semitones", [1, 5, -3])
def test_the_channels_move_with_the_music(semitones: int) -> None:
    score = chorale(TONIC, SUBDOMINANT, DOMINANT, TONIC)
    moved = harmony_of(transpose(score, semitones), "beats").table()
    tables = shift_channels(HARMONISING, [semitones])
    own = harmony_of(score, "beats").table()
    told = np.stack([table[0][column] for table, column in zip(tables, own.T, strict=True)], axis=1)
    assert np.array_equal(told, moved)


def test_a_reader_tells_them_and_draws_them_when_it_knows_the_key() -> None:
    score = chorale(TONIC, SUBDOMINANT, DOMINANT, TONIC)
    tokenizer = EventTokenizer(names_of(("read", "harmony")))
    ids = tokenizer.encode(score)
    table = harmony_of(score, "beats").table()
    told = tokenizer.context(ids, Plan(harmony=table))
    ticks = tokenizer.ticks(ids)
    columns = [tokenizer.names.index(channel.name) for channel in HARMONISING]
    assert np.array_equal(told[:, columns], table[ticks])
    asked: list[tuple[int, int]] = []

    def draw(moment: Moment) -> np.ndarray:
        asked.append((moment.bar, moment.key))
        return table

    later = tokenizer.context(ids, Plan(harmonist=draw))
    first = int(np.argmax(later[:, columns].any(axis=1)))
    assert asked == [(0, 1)]
    assert tokenizer.vocabulary.kind_of[int(ids[first])] == "Track"
    assert np.array_equal(later[first:, columns], told[first:, columns])


def test_steps_over_a_tonic_and_back() -> None:
    steps = np.array([[C, 1], [1 + 7 + OCTAVE * SEVENTH, 12], [0, 0]], np.int16)
    codes = relative(steps, 7)
    assert codes.tolist() == [[6, 1 + MAJOR, 6], [1, 1 + SEVENTH, 5], [0, 0, 0]]
    assert np.array_equal(absolute(codes, 7), steps)


def test_what_is_known_stays_and_copies_have_the_chords_of_their_bars() -> None:
    ground = Ground.of(bars_of_beats(4), Key(0, "major"), ends=True)
    asked = Wanted.nothing(16)
    asked.codes[:4], asked.known[:4] = [1, 1, 1], True
    asked.copied[8:12] = np.arange(4, 8)
    codes, _ = harmonist().draw(ground, replace(asked), np.random.default_rng(1))
    assert (codes[:4] == [1, 1, 1]).all()
    assert np.array_equal(codes[8:12], codes[4:8])
    again, _ = harmonist().draw(ground, asked, np.random.default_rng(1))
    other, _ = harmonist().draw(ground, asked, np.random.default_rng(2))
    assert np.array_equal(codes, again)
    assert not np.array_equal(codes, other)


@pytest.mark.skipif(core() is None, reason="the native core is not installed")
@pytest.mark.parametrize("seed", range(40))
def test_in_c_and_in_numpy_the_same_chords_are_drawn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing or after known chords, with copied ones, and with ends of phrases that are known in part."""
    random = np.random.default_rng(seed)
    ground = Ground.of(bars_of_beats(30), Key(int(random.integers(12)), "minor"), ends=bool(seed % 2))
    asked, count = Wanted.nothing(len(ground)), len(ground)
    first = int(random.choice([0, 0, 9, 50]))
    copied = np.where(random.random(count) < 0.3, np.arange(count) - int(random.choice([8, 16])), -1)
    codes = np.stack([random.integers(1, 13, count), random.integers(1, 11, count), random.integers(1, 13, count)], 1)
    known = np.arange(count) < first
    phrased = known if seed % 3 else known | (np.arange(count) > 70)
    last = random.random(count) < 0.1
    asked = replace(asked, codes=codes, known=known, last=last, phrased=phrased, copied=np.maximum(copied, -1))
    own, drawn = harmonist(seed % 4, 0.2), []
    for library in (core, lambda: None):
        monkeypatch.setattr("melody.tokens.harmonist.core", library)
        numbers = np.random.default_rng(seed)
        drawn.append(own.draw(ground, asked, numbers, 0.7, plans=1 + seed % 5))
    (chords, ends), (others, other_ends) = drawn
    assert np.array_equal(chords, others)
    assert np.array_equal(ends, other_ends)
    assert len(np.unique(chords, axis=0)) > 10


def test_of_several_plans_the_likeliest_stays() -> None:
    """It is one of those that are drawn one by one, and a chord that is likely has more of it."""
    own, ground = harmonist(3, 0.2), Ground.of(bars_of_beats(8), Key(0, "major"), ends=True)
    numbers, nothing = np.random.default_rng(1), Wanted.nothing(32)
    alone = [own.draw(ground, nothing, numbers, 1.0)[0] for _ in range(6)]
    best = own.draw(ground, nothing, np.random.default_rng(1), 0.7, plans=6)[0]
    assert any(np.array_equal(best, one) for one in alone)
    weights = harmonist(0, 0.01).weights  # a chord now and then, whatever came before
    fond = Harmonist.of({**weights, "to_root_bias": np.log([0.05, 0.4, *[0.05] * 11])})
    shares = []
    for plans in (1, 16):
        drawn = [fond.draw(ground, nothing, np.random.default_rng(seed), 1.0, plans=plans)[0] for seed in range(20)]
        shares.append(np.mean([(codes[:, 0] == 1).mean() for codes in drawn]))
    assert shares[1] > shares[0] + 0.1


def test_phrases_end_where_a_given_tune_says() -> None:
    ground = Ground.of(bars_of_beats(2), Key(0, "major"), ends=True)
    asked = Wanted.nothing(8)
    asked.phrased[:], asked.last[[3, 7]] = True, True
    _, last = harmonist().draw(ground, asked, np.random.default_rng(0))
    assert np.flatnonzero(last).tolist() == [3, 7]


def test_given_notes_weigh_in_what_is_drawn() -> None:
    tones = np.full(SHAPES["tones"], 0.01)
    for kind in (1 + MAJOR, 2):
        tones[kind, [0, 3 + (kind == 1), 7]] = 0.3
    fond = Harmonist.of({**harmonist().weights, "tones": tones})
    ground = Ground.of(bars_of_beats(4), Key(0, "major"), ends=True)
    notes = Notes(np.arange(16) * 24, np.full(16, 24), np.full(16, 64), np.full(16, 80))
    edges = np.append(np.arange(16) * 24, 384)
    asked = replace(Wanted.nothing(16), tones=tones_in(notes, edges))

    def fitting(one: Wanted) -> float:
        plans = [fond.draw(ground, one, np.random.default_rng(seed))[0] for seed in range(8)]
        chords = [absolute(codes, 0)[:, 0] - 1 for codes in plans]
        holds = {r + OCTAVE * q for r in range(12) for q in (0, 1) if (64 - r) % 12 in (0, 4 - q, 7)}
        return float(np.mean([[value in holds for value in one] for one in chords]))

    assert fitting(asked) > fitting(Wanted.nothing(16)) + 0.15


def test_phrases_of_given_notes_close_by_a_falling_fifth_the_more_it_weighs() -> None:
    ground = Ground.of(bars_of_beats(4), Key(0, "major"), ends=False)
    ends = np.arange(16) % 4 == 3
    tones = np.full((16, 12), 1 / OCTAVE, np.float32)
    asked = replace(Wanted.nothing(16), tones=tones, last=ends, phrased=np.ones(16, bool))

    def falls(cadence: float) -> int:
        found = 0
        for seed in range(20):
            codes, _ = harmonist().draw(ground, replace(asked, cadence=cadence), np.random.default_rng(seed))
            moves = (codes[1:, 0] - codes[:-1, 0]) % OCTAVE
            dominant = np.isin(codes[:-1, 1], (1 + MAJOR, 1 + SEVENTH))
            found += int((ends[1:] & dominant & (moves == 5)).sum())
        return found

    assert falls(4.0) > 3 * falls(0.0)


def test_a_plan_has_its_bar_lines() -> None:
    ground = Ground.of(bars_of_beats(2), Key(2, "minor"), ends=False)
    codes, last = harmonist().draw(ground, Wanted.nothing(8), None)
    plan = plan_of(np.append(np.arange(8) * 24, 192), codes, last, ground)
    assert isinstance(plan, HarmonyPlan)
    assert plan.lines == (0, 96, 192)
    assert NOT_YET not in codes[:, 0]


def test_other_weights_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"to_bass should be of shape \[12, 96\], there is none"):
        Harmonist.of({name: np.zeros(shape) for name, shape in SHAPES.items() if name != "to_bass"})
