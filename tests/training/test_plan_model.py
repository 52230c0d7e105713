"""Training the planner: it learns what plans have in common, and numpy draws from what torch has learned."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from support.bars import A, B, C, piece_of, split_of
from support.tiny_bundle import write_planning_bundle

from melody.learning import plan_model
from melody.learning.export import _add_planner
from melody.learning.plan_model import Planned, learn_planner, nats_per_bar, ngram_nats_per_bar
from melody.tokens.plan import EMPTY, FIRST, NEW, FormPlan, Symbol
from melody.tokens.planner import CASTS, MOST_TRACKS, OF_TRACKS, SHAPES, Outline, Planner, cast_of

TUNE = Planned(FormPlan((FIRST, *(NEW,) * 7, *(Symbol(8, 4),) * 8)), Outline(0, 16, (4, 4)))
GROOVE = Planned(FormPlan((FIRST, *(Symbol(1, 3),) * 15)), Outline(0, 16, (3, 4)))

STEADY, FREE, LATE = (FIRST, *(Symbol(1, 4),) * 15), (FIRST, *(NEW,) * 15), (*(EMPTY,) * 8, *(NEW,) * 8)
BAND = Planned(FormPlan(tracks=(STEADY, FREE, LATE)), Outline(0, 16, (4, 4)))
DUO = Planned(FormPlan(tracks=(STEADY, FREE, (EMPTY,) * 16)), Outline(0, 16, (4, 4)))


def test_it_learns_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_model, "LEAST_STEPS", 60)
    planner = learn_planner([TUNE, GROOVE] * 16, [TUNE, GROOVE])
    drawn = planner.draw(FormPlan(), 16, TUNE.outline, np.random.default_rng(0))
    assert sum(a == b for a, b in zip(drawn.symbols, TUNE.plan.symbols, strict=True)) >= 14
    assert nats_per_bar(planner, [TUNE, GROOVE]) < ngram_nats_per_bar([TUNE, GROOVE], [TUNE, GROOVE])


def test_a_small_corpus_says_nothing_of_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_model, "LEAST_STEPS", 4)
    planner = learn_planner([TUNE, GROOVE], [TUNE])
    for bars in (None, 5, 200):
        assert planner.nats(TUNE.plan, Outline(0, bars)) == planner.nats(TUNE.plan, Outline(0, 16))


def test_export_writes_a_planner_and_keeps_that_of_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_model, "LEAST_STEPS", 4)
    split = split_of(np.array(piece_of([A, B, C, B] * 4), np.uint16))
    store: Any = SimpleNamespace(split=lambda name: split, styles=[])
    figures = _add_planner(tmp_path, store, None)
    assert 0 < figures["valid_nats_per_bar"] < 6
    trained = Planner.of(load_file(tmp_path / "planner.safetensors"))
    assert len(trained.draw(FormPlan(), 9, Outline(), np.random.default_rng(0)).symbols) == 9
    base = write_planning_bundle(tmp_path / "folk")
    _add_planner(tmp_path, store, str(base))
    kept, own = load_file(tmp_path / "planner.safetensors"), load_file(base / "planner.safetensors")
    assert all(np.array_equal(kept[name], own[name]) for name in own)
    _add_planner(tmp_path, store, str(base), 1)  # which plans each track for itself: that of whole pieces is none
    assert not any(np.array_equal(load_file(tmp_path / "planner.safetensors")[name], own[name]) for name in own)


@pytest.mark.parametrize("pieces", [[TUNE, GROOVE], [BAND, DUO]])
def test_numpy_runs_what_torch_trains(pieces: list[Planned]) -> None:
    generator = np.random.default_rng(0)
    shapes = SHAPES | (OF_TRACKS if pieces[0].plan.tracks else {})
    tensors = {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    batch = plan_model._batch(pieces, np.random.default_rng(0), 0.0)
    weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    nats = float(plan_model._nats(weights, batch, 0.0))
    casts = {CASTS: np.ones((1, MOST_TRACKS))} if pieces[0].plan.tracks else {}
    assert nats == pytest.approx(32 * nats_per_bar(Planner.of(tensors | casts), pieces), rel=1e-3)


def test_it_learns_what_each_track_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_model, "LEAST_STEPS", 200)
    planner = learn_planner([BAND, DUO] * 16, [BAND, DUO])
    assert planner.is_of_tracks
    casts = {planner.draw_cast(np.random.default_rng(seed), 3) for seed in range(30)}
    assert casts == {cast_of(BAND.plan), cast_of(DUO.plan)}
    drawn = planner.draw(FormPlan(tracks=((),) * 3), 16, BAND.outline, np.random.default_rng(0), cast=(0, 1, 2))
    assert drawn.tracks[0][8:].count(Symbol(1, 4)) >= 6
    assert drawn.tracks[1][8:].count(NEW) >= 6
    assert nats_per_bar(planner, [BAND, DUO]) < ngram_nats_per_bar([BAND, DUO], [BAND, DUO])
