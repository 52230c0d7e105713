"""Training the feel: it learns who plays how, numpy plays what torch has learned, and players are read from files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from symusic import Tempo, TimeSignature

from melody.corpus.played import PlayedPiece, played_of, read_played, write_played
from melody.errors import MelodyError
from melody.learning import feel_model
from melody.learning.feel_model import learn_feel, made_ready, nats_of_all, nats_per_hit
from melody.music.feel import SHAPES, Feel, Habits, Hit, Player, Stroke, double_class, double_of, inputs_of, voice_of
from melody.music.feel import Double as Second
from melody.music.score import Notes, Score
from melody.native.library import core

KICK, SNARE = voice_of(36), voice_of(38)


def player(late: float, seed: int, count: int = 64) -> PlayedPiece:
    """Kicks on the beat and snares off it, which come late by so many ticks of the grid; a flam on every fourth."""
    numbers = np.random.default_rng(seed)
    hits = [Hit(12 * n, 12 * n % 96, SNARE if n % 2 else KICK, SNARE if n % 2 else KICK, 90) for n in range(count)]
    strokes = [Stroke(float(numbers.normal(late * (n % 2), 0.2)), 2 if n % 4 == 3 else 0) for n in range(count)]
    return PlayedPiece(100.0, hits, strokes)


def test_it_learns_places_and_goes_on_as_a_player_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feel_model, "BATCH", 64)
    train = [player(late, seed) for seed, late in enumerate([-2.0, 2.0] * 12)]
    feel = learn_feel(train, train[:4])
    assert nats_per_hit(feel, train) < nats_of_all(train, train) - 0.3
    for late in (-2.0, 2.0):
        shown = player(late, 99)
        goes_on = Player(100.0, Habits.of(shown.hits, shown.deviations))
        strokes = feel.played(goes_on, shown.hits, np.random.default_rng(0))
        snares = [stroke.deviation for hit, stroke in zip(shown.hits, strokes, strict=True) if hit.voice == SNARE]
        assert float(np.mean(snares)) == pytest.approx(late, abs=0.8)


def test_numpy_runs_what_torch_trains() -> None:
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()}
    inputs = made_ready(player(1.0, 0)).inputs
    ours = Feel.of(tensors).logits(inputs)
    theirs = feel_model._run({n: torch.from_numpy(t) for n, t in tensors.items()}, torch.from_numpy(inputs), 0.0)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(core() is None, reason="the core is not compiled")
def test_the_core_plays_what_numpy_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    feel = Feel.of({name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()})
    onsets = np.sort(generator.integers(0, 900, 300)).tolist()
    hits = [Hit(onset, onset % 96, n % 7, n % 5, 1 + n % 127) for n, onset in enumerate(onsets)]
    goes_on = Player(131.0, Habits.of(hits[:40], generator.normal(0, 1, 40)))

    def strokes() -> list[Stroke]:
        played = [feel.played(goes_on, part, np.random.default_rng(seed)) for seed in range(4) for part in (hits, [])]
        return [stroke for part in played for stroke in part]

    in_c = strokes()
    monkeypatch.setattr("melody.music.feel.core", lambda: None)
    assert in_c == strokes()
    assert {stroke.double for stroke in in_c} > {0, 1, 2}


@pytest.mark.skipif(core() is None, reason="the core is not compiled")
def test_weights_that_are_no_numbers_do_no_harm_in_the_core() -> None:
    piece = player(1.0, 0)
    for value in (np.nan, np.inf, -np.inf, 3e38):
        feel = Feel.of({name: np.full(shape, value, np.float32) for name, shape in SHAPES.items()})
        with np.errstate(all="ignore"):
            strokes = feel.played(Player(100.0), piece.hits, np.random.default_rng(0))
        assert all(-4 <= stroke.deviation <= 4 and 0 <= stroke.double < 25 for stroke in strokes)


def test_weights_of_another_shape_are_refused() -> None:
    tensors: dict[str, Any] = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    with pytest.raises(ValueError, match=r"is no feel: its timing should be"):
        Feel.of(tensors | {"timing": np.zeros(3, np.float32)})


def test_no_hit_is_told_what_comes() -> None:
    """What is drawn for a hit follows from the hits before it, and from where those behind it stand."""
    piece = player(1.0, 0)
    changed = [*piece.deviations[:20].tolist(), *(-piece.deviations[20:]).tolist()]
    one, other = (inputs_of(Player(100.0), piece.hits, by) for by in (piece.deviations.tolist(), changed))
    assert np.array_equal(one[:21], other[:21])
    assert not np.array_equal(one[21:], other[21:])


def test_second_strokes_go_through_their_classes() -> None:
    for gap in (-70.0, -30.0, -10.0, 10.0, 45.0, 79.0):
        for share in (0.2, 0.5, 0.9, 1.0):
            number = double_class(Second(gap, share))
            assert number
            again = double_of(number, np.random.default_rng(1))
            assert again is not None
            assert double_class(again) == number
    assert double_class(Second(2.0, 0.5)) == double_class(Second(200.0, 0.5)) == 0
    assert double_of(0, np.random.default_rng(0)) is None


def test_what_was_played_is_kept_beside_the_store(tmp_path: Path) -> None:
    score = Score(480)
    score.tempos, score.time_signatures = [Tempo(0, qpm=120)], [TimeSignature(0, 4, 4)]
    notes = Notes(
        *(np.array(column, np.int64) for column in ([4, 470, 490, 2005], [60] * 4, [36, 38, 38, 42], [90] * 4))
    )
    notes = notes._replace(velocity=np.array([90, 30, 100, 70]))
    piece = played_of(score, notes, np.array([0, 24, 24, 102]))
    assert [(hit.onset, hit.place, hit.velocity) for hit in piece.hits] == [(0, 0, 90), (24, 24, 100), (102, 6, 70)]
    assert piece.deviations.tolist() == pytest.approx([0.2, 0.5, -1.75])
    assert [stroke.double > 0 for stroke in piece.strokes] == [False, True, False]  # a flam: softer, 21 ms before
    write_played(tmp_path, {"a": piece, "b": player(1.0, 3)})
    store: Any = SimpleNamespace(folder=tmp_path, split=lambda name: SimpleNamespace(names=["a"]))
    found = read_played(store, "train")
    assert list(found) == ["a"]
    assert found["a"].hits == piece.hits
    assert found["a"].deviations == pytest.approx(piece.deviations)
    (tmp_path / "played.npz").write_bytes(b"PK")
    with pytest.raises(MelodyError, match=r"played.npz: is damaged"):
        read_played(store, "train")
    (tmp_path / "played.npz").unlink()
    assert read_played(store, "train") == {}
