"""Bars that are asked for: full to their end in whatever meter, and as many as were asked for beside a pickup."""

import numpy as np
import pytest
from symusic import Note, TimeSignature, Track

import melody
from melody.errors import UsageError
from melody.generation import Composer
from melody.generation.meters import in_known_bars, known_meters, length_of, steady
from melody.music.score import Score, bars, notes_of
from tests.support.bar_counts import pickup_bars, whole_bars

KNOWN = {(4, 4): 1000, (3, 4): 100, (2, 4): 90}


@pytest.mark.parametrize(
    ("meter", "count", "composed"),
    [
        ((4, 4), 3, [(4, 4)] * 3),
        ((12, 8), 2, [(3, 4), (3, 4)] * 2),
        ((5, 4), 2, [(3, 4), (2, 4)] * 2),
        ((6, 8), 2, [(3, 4)] * 2),
        ((7, 8), 8, [(4, 4)] * 7),
        ((7, 8), 4, [(4, 4)] * 3 + [(2, 4)]),
        ((7, 8), 1, None),
    ],
)
def test_bars_of_known_meters_fill_those_of_others(meter, count, composed):
    found = in_known_bars(meter, count, KNOWN)
    assert found == composed
    if found:
        assert sum(map(length_of, found)) == count * length_of(meter)


def test_the_meter_of_a_piece_is_that_between_its_pickup_and_its_last_bar():
    assert steady([(1, 4), (4, 4), (4, 4), (3, 4)]) == (4, 4)
    assert steady([(3, 4)] * 4) == (3, 4)
    assert steady([(1, 4)]) is None  # a pickup alone
    assert steady([(4, 4), (3, 4), (4, 4), (4, 4)]) is None


@pytest.mark.parametrize("model", ["chorale", "pop", "drums", "folk"])
@pytest.mark.parametrize("meter", [(12, 8), (5, 4)])
def test_bars_of_any_meter_are_filled_to_their_end(model: str, meter: tuple[int, int]):
    composer = melody.load(model)
    (take,) = composer.compose(bars=8, meter=meter, seed=1)
    assert [(m.time, m.numerator, m.denominator) for m in take.score.time_signatures] == [(0, *meter)]
    assert len(bars(take.score)) - 1 == 8
    length = 1920 * meter[0] // meter[1]
    onsets = np.concatenate([notes_of(track).onset for track in take.score.tracks])
    late = onsets[onsets % length >= (length * 2 // 3 if meter == (12, 8) else 1920)] // length
    assert len(set(late.tolist())) >= 4
    said = [message for message in take.messages if "never learned" in message]
    assert len(said) == (meter not in known_meters(composer.bundle))


def test_chords_stand_a_bar_each_in_the_bars_asked_for():
    (take,) = melody.load("chorale").compose(bars=4, meter=(12, 8), chords="C F G C", seed=2)
    for bar, root in enumerate([{0, 4, 7}, {5, 9, 0}, {7, 11, 2}, {0, 4, 7}]):
        first = [n.pitch % 12 for track in take.score.tracks for n in track.notes if n.time == bar * 2880]
        assert first
        assert set(first) <= root


def test_notes_of_a_stream_count_the_bars_asked_for():
    stream = melody.load("chorale").stream(bars=4, meter=(12, 8), seed=2)
    assert all(note.bar == note.onset // 2880 + 1 for note in stream)


@pytest.mark.parametrize("ending", [True, False])
def test_a_pickup_is_no_bar_of_those_asked_for(ending: bool):
    pickups = 0
    for take in melody.load("folk").compose(bars=8, takes=6, seed=1, ending=ending):
        assert whole_bars(take.score) == 8
        pickups += pickup_bars(take.score)
    assert pickups


def primer(meters: list[tuple[int, int]]) -> Score:
    score, track, start = Score(480), Track("Tune", 73, False), 0
    for meter in meters:
        score.time_signatures.append(TimeSignature(start, *meter))
        beats = 4 * meter[0] // meter[1]
        track.notes.extend([Note(start + 480 * beat, 480, 67 + 2 * (beat % 3), 80) for beat in range(beats)])
        start += 480 * beats
    score.tracks.append(track)
    return score


@pytest.mark.parametrize("meters", [[(4, 4)], [(1, 4), (4, 4), (4, 4)], [(1, 4), (3, 4), (3, 4), (2, 4)]])
def test_the_new_bars_of_a_primer_have_its_meter(meters: list[tuple[int, int]]):
    theme, wanted = primer(meters), meters[len(meters) // 2]
    for take in melody.load("folk").compose(theme, bars=2, takes=4, seed=1):
        lines = bars(take.score)
        assert [int(n) for n in np.diff(lines[lines >= take.first_new_tick])] == [480 * wanted[0]] * 2


def test_a_track_goes_on_within_reach_of_what_it_played():
    theme = primer([(4, 4)] * 2)
    for take in melody.load("folk").compose(theme, bars=8, takes=4, seed=3):
        new = [note.pitch for note in take.score.tracks[0].notes if note.time >= take.first_new_tick]
        assert min(new) >= 67 - 5
        assert max(new) <= 71 + 5
    (wide,) = melody.load("folk").compose(theme, bars=8, seed=3, ranges={"Tune": (40, 60)})
    assert max(note.pitch for note in wide.score.tracks[0].notes if note.time >= wide.first_new_tick) <= 60


@pytest.mark.parametrize("options", [{"greedy": True}, {"top_k": 1}, {"temperature": 0}])
def test_takes_that_would_be_equal_are_refused(options: dict):
    composer = melody.load("folk")
    with pytest.raises(UsageError, match=r"^`takes` 3: greedy ones"):
        composer.compose(bars=2, takes=3, **options)
    assert len(composer.compose(bars=2, takes=1, **options)) == 1


def test_chords_that_a_strict_scale_takes_from_are_named():
    composer: Composer = melody.load("chorale")
    options = {"key": "F# major", "strict_key": True, "bars": 2, "seed": 1}
    (take,) = composer.compose(chords="C F", **options)
    assert (
        "`strict_key` against `chords`: F# major has 0 of the 3 tones of C and 1 of the 3 tones of F" in take.messages
    )
    (fitting,) = composer.compose(chords="F# B", **options)
    assert not [message for message in fitting.messages if "against" in message]
