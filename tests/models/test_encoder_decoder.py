"""The encoder-decoder: it hears what is given of the whole piece, at its place, and its carry keeps that."""

import numpy as np
import pytest
import torch
from support.small_models import ENCODING, GIVEN, logits_of, model_of, music
from torch import Tensor, nn

from melody.engine.torch import TorchEngine
from melody.errors import ConfigError
from melody.models import build
from melody.models import carry as carries
from melody.tokens import EventTokenizer
from melody.tokens.channels import names_of
from melody.tokens.given import STEP, given_view
from melody.tokens.vocabulary import METERS


@pytest.fixture
def model() -> nn.Module:
    return model_of("encoder_decoder")


def told(batch: int = 3, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    sizes = GIVEN.sizes
    return torch.stack([torch.randint(0, size, (batch, ENCODING["steps"]), generator=generator) for size in sizes], 2)


def read(model: nn.Module, condition: Tensor, tokens: Tensor, context: Tensor) -> Tensor:
    with torch.no_grad():
        return model(tokens, model.start(len(tokens), {"told": condition}), context)[0]


def test_what_is_given_later_is_heard_now(model: nn.Module) -> None:
    tokens, context = music()
    before, later = told(), told()
    later[:, -1, 0] = (later[:, -1, 0] + 1) % GIVEN.sizes[0]
    assert not torch.allclose(read(model, before, tokens, context)[:, 0], read(model, later, tokens, context)[:, 0])


def test_nothing_told_is_what_no_condition_says(model: nn.Module) -> None:
    tokens, context = music()
    empty = read(model, torch.zeros_like(told()), tokens, context)
    torch.testing.assert_close(empty, logits_of(model, tokens, context))


def test_a_future_token_changes_no_past_logit_whatever_is_told(model: nn.Module) -> None:
    tokens, context = music()
    before = read(model, told(), tokens, context)
    tokens[:, 10] = (tokens[:, 10] + 1) % 13
    after = read(model, told(), tokens, context)
    torch.testing.assert_close(after[:, :10], before[:, :10], atol=1e-6, rtol=0)


def test_windows_glued_by_the_carry_equal_one_pass(model: nn.Module) -> None:
    tokens, context = music()
    whole, carry, parts = read(model, told(), tokens, context), model.start(3, {"told": told()}), []
    for start in range(0, 20, 3):
        with torch.no_grad():
            logits, carry = model(tokens[:, start : start + 3], carry, context[:, start : start + 3])
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


def test_learning_encodes_as_composing_does(model: nn.Module) -> None:
    """Each window encodes anew while it learns; without dropout that is the same."""
    model.decoder.dropout = 0.0
    tokens, context = music()
    expected = read(model, told(), tokens, context)
    model.train()
    torch.testing.assert_close(read(model, told(), tokens, context), expected, atol=1e-5, rtol=1e-5)


def test_a_condition_outlives_reset_reordering_and_checkpoints(model: nn.Module) -> None:
    tokens, context = music()
    begun = model.start(3, {"told": told()})
    expected = read(model, told(), tokens, context)
    with torch.no_grad():
        mixed = carries.reset(model.start(3), begun, torch.tensor([True, False, True]))
        logits, _ = model(tokens, mixed, context)
        rows = torch.tensor([2, 0])
        moved, _ = model(tokens[rows], carries.reorder(begun, rows), context[rows])
        again, _ = model(tokens, carries.unflatten(carries.flatten(begun)), context)
    torch.testing.assert_close(logits[[0, 2]], expected[[0, 2]], atol=1e-6, rtol=0)
    torch.testing.assert_close(logits[1], logits_of(model, tokens, context)[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(moved, expected[rows], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again, expected, atol=1e-6, rtol=0)


def test_every_window_teaches_the_encoder(model: nn.Module) -> None:
    tokens, context = music()
    model.train()
    _, carry = model(tokens, model.start(3, {"told": told()}), context)
    logits, _ = model(tokens, carries.detach(carry), context)
    logits.sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.encoder.parameters())


def test_the_engine_steps_what_the_model_reads(model: nn.Module) -> None:
    tokens, context = music(batch=2)
    expected, engine = read(model, told(2), tokens, context), TorchEngine(model)
    assert engine.steps == ENCODING["steps"]
    carry = engine.start_told(told(2).numpy())
    for time in range(tokens.shape[1]):
        logits, carry = engine.step(tokens[:, time].numpy(), context[:, time].numpy(), carry)
        np.testing.assert_allclose(logits, expected[:, time].numpy(), atol=1e-5)


def test_it_sees_the_step_at_which_it_stands(model: nn.Module) -> None:
    """Bars add up: with meter 1 (two steps) and place 3 (a step) the second bar's token stands at step 3."""
    tokens = torch.tensor([[1, 0, 1, 0, 0]])  # Bar, something, Bar, something twice
    context = torch.tensor([[[0, 0], [1, 1], [0, 1], [3, 1], [3, 1]]])
    steps, start, meter = model._steps(tokens, context, model.start(1))
    assert steps.tolist() == [[0, 0, 2, 3, 3]]
    assert (start.item(), meter.item()) == (4, 1)  # ticks


def test_the_view_of_events_tells_bars_in_eighths() -> None:
    tokenizer = EventTokenizer(names_of(["read", "foreseen"]))
    view = given_view(tokenizer.vocabulary, tokenizer.channels)
    assert view.names[:2] == ("chord", "chord_bass")
    assert "given_3" in view.names
    assert view.lengths[1 + METERS.index((4, 4))] == 8 * STEP
    assert view.lengths[1 + METERS.index((3, 4))] == 6 * STEP
    assert view.step == STEP
    with pytest.raises(ConfigError, match="it needs bars, and the channels read and foreseen"):
        given_view(tokenizer.vocabulary, EventTokenizer(names_of(["read"])).channels)


def test_what_does_not_fit_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="is told"):
        model.start(2, {"contour": torch.zeros(2, 3)})
    with pytest.raises(ConfigError, match="given: is missing"):
        build("encoder_decoder", 13, (5, 3), hidden_size=16)
