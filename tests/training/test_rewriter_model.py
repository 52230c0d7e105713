"""Training the rewriter: samples hide what they say, it learns what both sides tell, and a bundle gets it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_bundle import write_rewriting_bundle

from melody.config import check_config
from melody.corpus import TokenStore
from melody.learning import rewriter_model
from melody.learning.added import keep_rewriter
from melody.learning.rewriter_model import GridPiece, hidden_in_order, in_order_of, sample_of, trained
from melody.tokens.cells import BEGINS, HIDDEN, OUTSIDE, SOUNDS, Grid, ground_of


def piece(up: int = 0) -> GridPiece:
    """Two voices in quarters: the lower one follows the upper, an octave below."""
    steps = np.array([0, 2, 4, 5, 7, 5, 4, 2] * 5) + 40 + up
    cells = np.stack([np.repeat(BEGINS + steps, 4), np.repeat(BEGINS + steps - 12, 4)], axis=1)
    cells[np.arange(len(cells)) % 4 > 0] += SOUNDS - BEGINS
    return GridPiece(Grid(cells, ground_of([0, 96], len(cells), 0)), (-2, 2))


def test_samples_hide_what_is_learned_and_show_the_rest() -> None:
    sample = sample_of([piece(), piece(3)], np.random.default_rng(0), 64)
    assert (sample.seen[sample.learned] == HIDDEN).all()
    shown = sample.seen != HIDDEN
    inside = shown & (sample.seen != OUTSIDE)
    assert (sample.seen[inside] == sample.target[inside]).all()
    assert sample.learned.any(axis=(1, 2)).mean() > 0.9
    assert (sample.seen == OUTSIDE).any()


def test_what_is_asked_in_order_hides_a_voice_of_each_sixteenth_at_least() -> None:
    sample = in_order_of([piece(), piece(3)], np.random.default_rng(0), 8)
    assert (sample.seen == HIDDEN).any(axis=2).all()
    assert (sample.learned == ((sample.seen == HIDDEN) & (sample.target != OUTSIDE))).all()
    assert (sample.seen != HIDDEN).any()
    hidden = hidden_in_order((4000, 4), np.random.default_rng(0))
    np.testing.assert_allclose(hidden.mean(axis=0), 0.625, atol=0.03)  # one to four of four, no voice before others


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"BATCH": 4, "WINDOW": 32, "HEADS": 2, "HELD_OUT": 2, "DECAY": 0.5, "WARMUP": 1}
    for name, value in sizes.items():
        monkeypatch.setattr(rewriter_model, name, value)


def test_it_learns_what_both_sides_tell(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriter_model, "LEARNING_RATE", 1e-2)
    nats = [nats for _, nats, _ in trained([piece(up) for up in range(4)], [piece(1)], steps=30, width=32, layers=1)]
    assert nats[-1] < 0.75 * nats[0]


def test_it_learns_from_left_to_right_too(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriter_model, "LEARNING_RATE", 1e-2)
    pieces = [piece(up) for up in range(4)]
    found = [network for *_, network in trained(pieces, pieces[:1], steps=24, width=32, layers=1, batch=4, in_order=4)]
    sample = in_order_of(pieces, np.random.default_rng(1), 16)
    cells, known, ground = map(torch.from_numpy, (sample.target, sample.seen != HIDDEN, sample.ground))
    with torch.no_grad():
        logits = found[-1].eval().in_order(cells, known, ground)[torch.from_numpy(sample.learned)]
    nats = torch.nn.functional.cross_entropy(logits, cells[torch.from_numpy(sample.learned)])
    assert nats < 3.5  # 5 of chance


def test_the_same_seed_trains_the_same_weights(small: None) -> None:
    first, second = (
        [model for _, _, model in trained([piece()], [piece()], steps=2, width=32, layers=1)][-1] for _ in range(2)
    )
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("base", "corpus", "styles", "kept"),
    [
        ("known", "songs", ["old"], True),
        ("known", "others", ["old"], False),  # other music
        ("known", "songs", [], False),  # its ground tells other styles
        ("nowhere", "songs", ["old"], False),
        (None, "songs", ["old"], False),
    ],
)
def test_what_is_exported_anew_keeps_the_rewriter(
    tmp_path: Path, base: str | None, corpus: str, styles: list[str], kept: bool
) -> None:
    known = write_rewriting_bundle(tmp_path / "known")
    settings = json.loads((known / "bundle.json").read_text())
    told = {"rewriter": {"steps": 3}}
    (known / "bundle.json").write_text(json.dumps(settings | {"corpus": "songs", "styles": ["old"], **told}))
    config = check_config({"name": "anew", "corpus": corpus, "base": base and str(tmp_path / base)})
    store = TokenStore(tmp_path, {"name": corpus, "styles": styles})
    (tmp_path / "anew").mkdir()
    assert keep_rewriter(tmp_path / "anew", store, config) == (told if kept else {})
    if kept:
        before, after = (tmp_path / name / "rewriter.safetensors" for name in ("known", "anew"))
        assert before.read_bytes() == after.read_bytes()
    else:
        assert not list((tmp_path / "anew").iterdir())
