"""Feel: new notes off the grid as players play them, the primer's own feel in them, and nothing else changed."""

import json
from itertools import pairwise

import numpy as np
import pytest
from support.primers import primer, tune
from symusic import Track

import melody
from melody.errors import UsageError
from melody.formats.midi import check
from melody.generation import Composer
from melody.generation.feel import NEAREST
from melody.generation.primer.manner import Manner
from melody.generation.primer.primer_view import Primer, view_primer
from melody.generation.settings import Settings, settings_from
from melody.music.feel import voice_of
from melody.music.score import Notes, Score, bars, notes_of, set_notes

KICK, SNARE, HAT = 36, 38, 42
LATE = 18  # ticks at 480 a quarter


@pytest.fixture(scope="module")
def drums() -> Composer:
    return melody.load("drums")


@pytest.fixture(scope="module")
def folk() -> Composer:
    return melody.load("folk")


def rows(score: Score) -> list[list[int]]:
    """[track, onset, duration, pitch, velocity] of all notes."""
    return [[n, *map(int, row)] for n, track in enumerate(score.tracks) for row in zip(*notes_of(track), strict=True)]


def groove(snare: int = 0, wobble: int = 0, count: int = 8) -> Score:
    """Bars of a beat whose snare comes late by so many ticks, and all of it uneven."""
    numbers = np.random.default_rng(0)
    hits = [(240 * n, HAT, 80) for n in range(8 * count)]
    hits += [(480 * n + snare * (n % 2), SNARE if n % 2 else KICK, 100) for n in range(4 * count)]
    moved = [
        (max(0, at + int(numbers.integers(-wobble, wobble + 1))), 120, pitch, loud) for at, pitch, loud in sorted(hits)
    ]
    track = Track("Kit", 0, True)
    set_notes(track, Notes(*np.array(moved, np.int64).T))
    return primer(track)


def off_grid(score: Score, start: int = 0) -> np.ndarray:
    """Ticks off the nearest sixteenth of the notes from a tick on."""
    onset = np.array([row[1] for row in rows(score) if row[1] >= start])
    return (onset + 60) % 120 - 60


def test_drums_breathe_unless_asked_not_to(drums: Composer):
    played, still = (drums.compose(bars=4, seed=3, **options)[0] for options in ({}, {"humanize": 0}))
    assert played.settings["humanize"] == 1
    assert "humanize" not in still.settings
    assert rows(played.notation) == rows(still.score)
    assert np.abs(off_grid(played.score)).mean() > 3
    assert not {row[1] % 20 for row in rows(still.score)} - {0}  # the grid has 24 ticks a quarter
    assert played.notes == still.notes
    assert played.nats_per_note == still.nats_per_note


def test_an_amount_scales_what_players_do(drums: Composer):
    spreads = [off_grid(drums.compose(bars=8, seed=3, humanize=amount)[0].score).std() for amount in (0.25, 0.5, 1.0)]
    assert spreads[0] < spreads[1] < spreads[2]


def test_bars_stay_and_files_are_clean(drums: Composer):
    for seed in range(3):
        take = drums.compose(bars=8, seed=seed, humanize=2)[0]
        assert len(bars(take.score)) == len(bars(take.notation)) == 9
        assert not check(take.to_midi())
        for pitch in {row[3] for row in rows(take.score)}:
            own = sorted(row for row in rows(take.score) if row[3] == pitch)
            assert all(a[1] < b[1] and a[1] + a[2] <= b[1] for a, b in pairwise(own))


def test_the_same_seed_gives_the_same_bytes(drums: Composer):
    first, second = (drums.compose(bars=4, seed=9, swing=60)[0] for _ in range(2))
    assert first.to_midi() == second.to_midi()
    again = drums.recompose(json.loads(json.dumps(first.settings)))
    assert again.to_midi() == first.to_midi()
    alone, among = drums.compose(bars=2, seed=4)[0], drums.compose(bars=2, seed=4, takes=3)[0]
    assert rows(alone.score) == rows(among.score)


def test_takes_from_before_there_was_feel_have_none():
    assert settings_from({}).humanize == 0
    assert settings_from(Settings().to_dict()).humanize is None
    assert "humanize" not in Settings(humanize=0).to_dict()


def test_an_even_primer_goes_on_evenly(drums: Composer):
    take = drums.compose(groove(), bars=4, seed=1)[0]
    assert "humanize" not in take.settings
    assert take.written is None


def test_the_feel_of_a_primer_goes_on(drums: Composer):
    """A snare that lags behind the others does so in the new bars too, beyond one that does not."""
    lags = []
    for late in (0, LATE):
        score = groove(snare=late, wobble=6)
        snares = []
        for seed in range(4):
            take = drums.compose(score, bars=8, seed=seed)[0]
            assert take.settings["humanize"] == 1
            start = take.first_new_tick
            written = [row[1] for row in rows(take.notation) if row[3] == SNARE and row[1] >= start]
            played = [row[1] for row in rows(take.score) if row[3] == SNARE and row[1] >= start]
            on_beat = [tick for tick in written if tick % 480 == 0]
            snares += [min((at - tick for at in played), key=abs) for tick in on_beat]
        lags.append(float(np.mean(snares)))
    assert lags[1] - lags[0] > LATE / 3


def test_what_was_given_stays_and_new_notes_stay_behind_it(drums: Composer):
    score = groove(wobble=6)
    take = drums.compose(score, bars=4, seed=2, humanize=2)[0]
    scale = take.score.tpq // 480
    given = {(row[1] * scale, row[3], row[4]) for row in rows(score)}
    assert given <= {(row[1], row[3], row[4]) for row in rows(take.score)}
    new = [row for row in rows(take.score) if (row[1], row[3], row[4]) not in given]
    assert min(row[1] for row in new) >= take.first_new_tick


def test_pitched_tracks_move_and_get_accents_where_asked(folk: Composer):
    even, played = (folk.compose(bars=8, seed=2, humanize=amount)[0] for amount in (0, 1))
    assert len({row[4] for row in rows(even.score)}) == 1
    assert len({row[4] for row in rows(played.score)}) > 3
    assert off_grid(played.score).std() > 3
    assert rows(played.notation) == rows(even.score)
    ends = [(row[1], row[1] + row[2]) for row in rows(played.score)]
    assert all(a[1] <= b[0] for a, b in pairwise(ends))  # one line stays one


def test_a_tune_that_was_played_goes_on_so(folk: Composer):
    track = tune()
    notes, numbers = notes_of(track), np.random.default_rng(1)
    set_notes(track, notes._replace(onset=notes.onset + 10 + numbers.integers(-6, 7, len(notes.onset))))
    take = folk.compose(primer(track), bars=4, seed=1)[0]
    assert take.settings["humanize"] == 1


def test_swing_delays_every_second_eighth(folk: Composer):
    even, swung = (folk.compose(bars=8, meter=(4, 4), seed=5, swing=share)[0] for share in (50, 66))
    assert rows(even.score) == rows(even.notation)
    pairs = list(zip(rows(swung.notation), rows(swung.score), strict=True))
    late = {written[1] % 480: played[1] - written[1] for written, played in pairs}
    assert late[0] == 0
    assert late[240] == pytest.approx(0.16 * 480, abs=1)
    assert all(played[0] == written[0] and played[3:] == written[3:] for written, played in pairs)


def test_what_swing_cannot_be_is_refused():
    for swing in (40, 80, (60, 4), "much"):
        with pytest.raises(UsageError, match="swing"):
            melody.load("folk").compose(bars=1, swing=swing)


def test_the_manner_of_a_primer_is_read(drums: Composer):
    score = groove(snare=LATE)
    seen = Manner(Primer(score, view_primer(score, drums.bundle)))
    assert seen.is_played
    late = [by for hit, by in zip(seen.hits, seen.deviations, strict=True) if hit.voice == voice_of(SNARE)]
    assert late == pytest.approx([LATE / 20] * len(late))
    assert not Manner(Primer(groove(), view_primer(groove(), drums.bundle))).is_played


def test_strokes_of_a_drum_are_a_128th_apart_or_more(drums: Composer):
    near = 0
    for take in drums.compose(bars=8, seed=2, takes=4, humanize=2.0, tempo_qpm=60):
        notes = notes_of(take.score.tracks[0])
        for pitch in np.unique(notes.pitch):
            apart = np.diff(np.sort(notes.onset[notes.pitch == pitch]))
            assert (apart >= NEAREST).all()
            near += int((apart < 60).sum())
    assert near >= 5  # flams and bounces there are
