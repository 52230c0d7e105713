"""The promises of every model under the contract of `melody.models`."""

import inspect

import pytest
import torch
from support.small_models import CHANNELS, SMALL, VARIANTS, VOCABULARY, logits_of, model_of, music
from torch import nn

from melody.config import TrainConfig, check_config
from melody.errors import ConfigError
from melody.models import MODELS, build
from melody.models import carry as carries
from melody.training.objectives.cross_entropy import cross_entropy


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return model_of(request.param)


@pytest.mark.parametrize("window", [1, 3, 8, 20])
def test_windows_glued_by_the_carry_equal_one_pass(model: nn.Module, window: int) -> None:
    tokens, context = music()
    carry, parts = model.start(3), []
    for start in range(0, 20, window):
        span = slice(start, start + window)
        with torch.no_grad():
            logits, carry = model(tokens[:, span], carry, context[:, span])
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), logits_of(model, tokens, context), atol=1e-5, rtol=1e-5)


def test_a_future_token_changes_no_past_logit(model: nn.Module) -> None:
    tokens, context = music()
    before = logits_of(model, tokens, context)
    tokens[:, 10] = (tokens[:, 10] + 1) % VOCABULARY
    context[:, 10] = (context[:, 10] + 1) % torch.tensor(CHANNELS)
    after = logits_of(model, tokens, context)
    torch.testing.assert_close(after[:, :10], before[:, :10], atol=1e-6, rtol=0)
    assert not torch.allclose(after[:, 10], before[:, 10])


def test_a_row_alone_equals_the_row_in_a_batch(model: nn.Module) -> None:
    tokens, context = music()
    together = logits_of(model, tokens, context)
    for row in range(3):
        alone = logits_of(model, tokens[row : row + 1], context[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-5)


def test_every_context_channel_matters(model: nn.Module) -> None:
    tokens, context = music()
    before = logits_of(model, tokens, context)
    for channel, size in enumerate(CHANNELS):
        other = context.clone()
        other[:, :, channel] = (other[:, :, channel] + 1) % size
        assert not torch.allclose(logits_of(model, tokens, other), before)


def test_a_reset_row_is_a_fresh_start_and_leaves_the_others_alone(model: nn.Module) -> None:
    tokens, context = music()
    initial = model.start(3)
    with torch.no_grad():
        _, carry = model(tokens, initial, context)
        mask = torch.tensor([False, True, False])
        logits, _ = model(tokens, carries.reset(carry, initial, mask), context)
        onward, _ = model(tokens, carry, context)
    torch.testing.assert_close(logits[1], logits_of(model, tokens, context)[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(logits[[0, 2]], onward[[0, 2]], atol=1e-6, rtol=0)
    assert not torch.allclose(logits[1], onward[1])


def test_a_reordered_carry_follows_its_rows(model: nn.Module) -> None:
    tokens, context = music()
    index = torch.tensor([2, 0, 2, 1])
    with torch.no_grad():
        _, carry = model(tokens, model.start(3), context)
        onward, _ = model(tokens, carry, context)
        moved, _ = model(tokens[index], carries.reorder(carry, index), context[index])
    torch.testing.assert_close(moved, onward[index], atol=1e-5, rtol=1e-5)


def test_a_carry_survives_flattening_and_never_leaves_fp32(model: nn.Module) -> None:
    tokens, context = music()
    with torch.no_grad():
        _, carry = model(tokens, model.start(3), context)
    tensors = carries.flatten(carry)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert {len(tensor) for tensor in tensors.values()} == {3}
    again = carries.flatten(carries.unflatten(tensors))
    assert again.keys() == tensors.keys()
    assert all(again[name] is tensor for name, tensor in tensors.items())


def test_two_short_sequences_can_be_learned_by_heart(model: nn.Module) -> None:
    tokens, context = music(batch=2, time=12)
    mask = torch.ones(2, 11, dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        logits, _ = model(tokens[:, :-1], model.start(2), context[:, :-1])
        nats, count = cross_entropy(logits, tokens[:, 1:], mask)
        optimizer.zero_grad()
        (nats / count).backward()
        optimizer.step()
    assert nats / count < 0.05


def test_nests_of_any_kind_pass_through_the_carry_helpers() -> None:
    nest = {"a": (torch.arange(3.0), [torch.ones(3, 2, requires_grad=True)]), "b": torch.zeros(3, 1, 4)}
    assert not carries.detach(nest)["a"][1][0].requires_grad
    assert carries.flatten(nest).keys() == {"a.0", "a.1.0", "b"}
    again = carries.unflatten(carries.flatten(nest))
    assert torch.equal(again["a"][1][0], nest["a"][1][0])
    assert carries.unflatten(carries.flatten(nest["b"])) is nest["b"]
    zero = carries.map_tensors(torch.zeros_like, nest)
    mixed = carries.reset(nest, zero, torch.tensor([True, False, True]))
    assert mixed["a"][0].tolist() == [0, 1, 0]
    assert mixed["a"][1][0].sum() == 2


def test_unknown_models_and_options_are_refused_by_name() -> None:
    with pytest.raises(
        ConfigError, match="'lstm' is unknown; there are: residual_lstm, clockwork_lstm, encoder_decoder"
    ):
        build("lstm", VOCABULARY, CHANNELS)
    with pytest.raises(ConfigError, match="hiden_size"):
        build("residual_lstm", VOCABULARY, CHANNELS, hiden_size=3)
    with pytest.raises(ConfigError, match="must divide the width 16, got 3"):
        build("residual_lstm", VOCABULARY, CHANNELS, **SMALL, attention={"heads": 3, "memory": 2})


VIEWS = {"intervals", "clock", "given"}  # that follow from the tokens


def configured(name: str) -> TrainConfig:
    return check_config({"name": "test", "corpus": "none", "model": {"name": name}})


@pytest.mark.parametrize("name", MODELS)
def test_the_configuration_offers_the_options_of_the_model_with_its_defaults(name: str) -> None:
    parameters = list(inspect.signature(MODELS[name]).parameters.values())[2:]
    offered = {parameter.name: parameter.default for parameter in parameters if parameter.name not in VIEWS}
    assert offered == configured(name).model.options()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "encoder_decoder"])
def test_a_model_without_conditions_refuses_one(name: str) -> None:
    with pytest.raises(ValueError, match=f"model {name} takes no condition"):
        model_of(name).start(2, {"contour": torch.zeros(2, 3)})
