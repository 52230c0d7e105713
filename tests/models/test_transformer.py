"""Promises of the Transformer beside the contract."""

import math

import pytest
import torch
from support.small_models import CHANNELS, VOCABULARY, logits_of, model_of, music

from melody.models import Transformer
from melody.models.transformer import rotary_angles, turned


@pytest.mark.parametrize("memory", [1, 4, 7])
def test_it_sees_exactly_its_memory(memory: int) -> None:
    model = Transformer(VOCABULARY, CHANNELS, hidden_size=16, layers=1, heads=2, memory=memory).eval()
    tokens, context = music(1)
    before = logits_of(model, tokens, context)
    tokens[0, 5] = (tokens[0, 5] + 1) % VOCABULARY
    changed = (logits_of(model, tokens, context) - before).abs().amax(2)[0] > 1e-6
    assert changed.nonzero()[:, 0].tolist() == list(range(5, 5 + memory))


def test_products_of_turned_vectors_know_distances_alone() -> None:
    one, other = torch.randn(2, 1, 1, 1, 8)
    products = [
        float((turned(one, rotary_angles(start, 1, 8, one.device)) * turned(other, later)).sum())
        for start in (0, 3, 40)
        for later in [rotary_angles(start + 5, 1, 8, one.device)]
    ]
    assert products == pytest.approx([products[0]] * 3, rel=1e-4)
    assert products[0] != pytest.approx(float((one * other).sum()), rel=1e-3)


def test_where_a_piece_begins_in_memory_changes_nothing() -> None:
    """A piece is read alike by an empty memory and by one that another piece had filled before a reset."""
    model = model_of("transformer with a short memory")
    tokens, context = music(2)
    with torch.no_grad():
        _, carry = model(tokens, model.start(2), context)
        emptied = {**carry, "filled": torch.zeros_like(carry["filled"])}  # what stands there is not seen
        logits, _ = model(tokens, emptied, context)
    torch.testing.assert_close(logits, logits_of(model, tokens, context), atol=1e-5, rtol=1e-5)


def test_a_fresh_one_knows_nothing() -> None:
    model = Transformer(VOCABULARY, CHANNELS, hidden_size=32, layers=2).eval()
    nats = -torch.log_softmax(logits_of(model, *music()), dim=-1).mean()
    assert float(nats) == pytest.approx(math.log(VOCABULARY), abs=0.1)


def test_heads_of_an_odd_width_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden_size must be a multiple of 2 x 4 heads, got 36"):
        Transformer(VOCABULARY, CHANNELS, hidden_size=36, heads=4)
