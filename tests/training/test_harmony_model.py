"""Training the harmonist: it learns what harmonies have in common, and numpy draws from what torch has learned."""

import numpy as np
import pytest
import torch

from melody.learning import harmony_model
from melody.learning.harmony_model import Harmonised, learn_harmonist, nats_per_step, ngram_nats_per_step, tones_of
from melody.music.key import Key
from melody.tokens.harmonist import OCTAVE, SHAPES, TABLES, Ground, Harmonist, Wanted, _Drawing

BARS = [[96 * bar + 24 * beat for beat in range(4)] for bar in range(4)]
CADENCE = [(1, 1, 1), (6, 1, 6), (8, 3, 8), (1, 1, 1)]  # I IV V7 I
LAST = np.tile([False, False, False, True], 4)


def piece(mode: str = "major") -> Harmonised:
    codes = np.array(CADENCE * 4)
    if mode == "minor":
        codes[codes[:, 1] == 1, 1] = 2
    key = Key(0, "minor") if mode == "minor" else Key(0, "major")
    tones = np.zeros((16, OCTAVE), np.float32)
    tones[:, 4] = 1
    return Harmonised(codes, LAST, Ground.of(BARS, key, ends=True), tones)


def test_it_learns_cadences_and_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harmony_model, "LEAST_STEPS", 80)
    pieces = [piece(), piece("minor")] * 16
    harmonist = learn_harmonist(pieces, pieces[:2])
    for one in pieces[:2]:
        codes, last = harmonist.draw(one.ground, Wanted.nothing(16), None)
        assert np.mean(codes == one.codes) > 0.9
        assert np.mean(last == LAST) > 0.8
    assert nats_per_step(harmonist, pieces[:2])["chord"] < ngram_nats_per_step(pieces, pieces[:2])


def test_it_ends_with_the_style_that_it_composes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harmony_model, "LEAST_STEPS", 60)
    own, plagal = piece(), piece()._replace(style=2)
    plagal.codes[plagal.codes[:, 0] == 8] = (6, 1, 6)  # IV in place of V7
    pieces = [own._replace(style=1), *[plagal] * 3] * 8
    fond, of_all = learn_harmonist(pieces, [own], style=1), learn_harmonist(pieces, [own])
    assert nats_per_step(fond, [own])["chord"] < 0.8 * nats_per_step(of_all, [own])["chord"]


def test_numpy_runs_what_torch_trains() -> None:
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in SHAPES.items()}
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    drawn: list[np.ndarray] = []

    one = piece()
    known = Wanted.nothing(16)
    known.known[:], known.codes[:], known.phrased[:], known.last[:] = True, one.codes, True, LAST
    drawing = _Drawing(Harmonist.of(tensors), one.ground, known, None, (1.0, 1.0), 1)
    advance = drawing._advance

    def watched(step: int) -> None:
        advance(step)
        drawn.append(drawing.y[0].copy())

    drawing._advance = watched  # type: ignore[method-assign]
    drawing.run()
    rows, _ = harmony_model._batch([one], generator, 0.0)
    assert rows.shape == (1, 16, len(TABLES))
    y = harmony_model._run(weights, rows, 0.0)[0].numpy()
    assert np.allclose(y, np.stack(drawn), atol=1e-4)


def test_tones_are_counted_over_the_root() -> None:
    tones = tones_of([piece()])
    assert tones.sum(axis=1) == pytest.approx(1)
    assert int(tones[3].argmax()) == (4 - 7) % 12  # an e over G7


def test_a_phrase_is_counted_from_the_step_behind_the_last_note() -> None:
    until, since = harmony_model._phrase_rows(LAST[:8])
    assert until.tolist() == [3, 2, 1, 0, 3, 2, 1, 0]
    assert since.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
