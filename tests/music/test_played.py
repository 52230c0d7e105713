"""Played music as it was meant: wobble, swing, loose ends and a late start are taken out, written music stays."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, TimeSignature, Track

import melody
from melody.corpus import drums
from melody.corpus.archives import opened
from melody.evaluation.likelihood import token_nats
from melody.generation.primer.primer_view import view_primer
from melody.music.quantize import as_written
from melody.music.score import GRID, Notes, Score, bars, notes_of, rescale, set_notes

SIXTEENTHS, TRIPLETS = [0, 6, 12, 18], [0, 8, 16]


def written(divisions: list[list[int]], tpq: int, length: int = 0) -> Score:
    """A score of one track with a note on each place of each beat, as long as to the next or of `length` grid ticks."""
    onset = np.array([GRID * beat + place for beat, places in enumerate(divisions) for place in places])
    duration = np.full_like(onset, length) if length else np.diff(onset, append=GRID * len(divisions))
    score, track = Score(tpq), Track("", 0, False)
    score.time_signatures = [TimeSignature(0, 4, 4)]
    start, end = rescale(onset, GRID, tpq), rescale(onset + duration, GRID, tpq)
    set_notes(track, Notes(start, end - start, 60 + np.arange(len(onset)) % 12, np.full_like(onset, 80)))
    score.tracks.append(track)
    return score


def moved(score: Score, ticks: np.ndarray, ends: np.ndarray | int = 0) -> Score:
    """Each note begins so many ticks later and ends so many after that."""
    result = score.copy()
    notes = notes_of(result.tracks[0])
    set_notes(
        result.tracks[0], notes._replace(onset=np.maximum(notes.onset + ticks, 0), duration=notes.duration + ends)
    )
    return result


def onsets(score: Score) -> list[int]:
    return notes_of(score.tracks[0]).onset.tolist()


BEATS = st.lists(
    st.sampled_from([SIXTEENTHS, TRIPLETS, [0], [0, 12], [0, 3, 6, 9, 12, 15, 18, 21]]), min_size=4, max_size=16
)


@given(BEATS, st.sampled_from([24, 96, 480, 960, 1024]))
def test_written_music_stays(beats: list[list[int]], tpq: int):
    score = written(beats, tpq)
    assert as_written(score) == score


@settings(max_examples=30)
@given(st.lists(st.sampled_from([SIXTEENTHS, TRIPLETS]), min_size=8, max_size=16), st.integers(0, 10**6))
def test_the_wobble_of_a_hand_is_taken_out(beats: list[list[int]], seed: int):
    score = written(beats, 480)
    wobble = np.random.default_rng(seed).integers(-10, 11, len(onsets(score)))
    again = as_written(moved(score, wobble))
    last = bars(score)[-1]
    assert onsets(again) == [min(tick, last - 20) for tick in onsets(score)]


@pytest.mark.parametrize("late", [-50, -31, 17, 48, 56])
def test_what_is_late_throughout_is_moved_back(late: int):
    score = written([[0]] + [SIXTEENTHS] * 7, 480, length=6)
    notes = notes_of(score.tracks[0])
    set_notes(score.tracks[0], notes.take(notes.onset >= 480))
    assert onsets(as_written(moved(score, np.array(late)))) == onsets(score)


def test_swing_is_heard_as_triplets():
    straight = written([[0, 12]] * 8, 480)
    off = np.array(onsets(straight)) % 480 > 0
    swung = as_written(moved(straight, np.where(off, 75, 0)))
    assert {tick % 480 for tick in onsets(swung)} == {0, 320}


@pytest.mark.parametrize("gate", [-48, -12, 11])
def test_loose_ends_follow_the_beat_and_onsets_stay(gate: int):
    score = written([SIXTEENTHS, [0, 12]] * 4, 480, length=6)
    again = as_written(moved(score, np.array(0), gate))
    assert onsets(again) == onsets(score)
    assert {duration % 60 for duration in notes_of(again.tracks[0]).duration.tolist()} == {0}


def test_quintuplets_in_written_music_are_moved_and_all_else_stays():
    score = written([SIXTEENTHS] * 8, 480)
    score.tracks[0].notes.extend([Note(480 * 8 + 96 * number, 96, 70, 80) for number in range(5)])
    again = as_written(score)
    assert onsets(again)[:32] == onsets(score)[:32]
    assert onsets(again)[32:] != onsets(score)[32:]
    assert all(tick % 60 == 0 or tick % 80 == 0 for tick in onsets(again))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_no_bar_is_added_and_no_note_is_lost(seed: int, count: int):
    generator = np.random.default_rng(seed)
    score, track = Score(480), Track("", 0, False)
    onset = np.sort(generator.integers(0, 7600, count))
    set_notes(track, Notes(onset, generator.integers(1, 900, count), generator.integers(30, 90, count), onset * 0 + 70))
    score.tracks.append(track)
    again = as_written(score)
    assert len(again.tracks[0].notes) == count
    assert bars(again)[-1] <= bars(score)[-1]
    assert all(note.duration >= 1 for note in again.tracks[0].notes)


def test_played_grooves_cost_a_model_what_its_training_music_does(data_folder: Path):
    """Held-out performances as they were played, beside the same as training reads them."""
    composer = melody.load("drums")
    held_out = set(json.loads(Path("corpora/drums/split.json").read_text())["test"])
    kind_of = composer.bundle.tokenizer.vocabulary.kind_of

    def nats(score: Score) -> float:
        ids = np.array(view_primer(score, composer.bundle).ids[:200])
        return float(token_nats([ids], composer.bundle, composer.engine)[0][0].sum()) / sum(
            kind_of[i] == "Drum" for i in ids
        )

    with opened(data_folder / "groove.tar.xz", lambda path: "drummer1/eval_session" in path) as root:
        names = [item for item in drums.items(root) if drums.name_of(item) in held_out]
        played = [melody.read(root / item) for item in names[:6]]
    costs = np.array([(nats(score), nats(drums.performance(score))) for score in played])
    assert len(costs) == 6
    assert costs[:, 0].mean() <= 1.1 * costs[:, 1].mean()
