"""The promises of every model under the contract, and what the residual LSTM adds to them."""

import inspect

import pytest
import torch
from torch import Tensor, nn

from melody.config import ResidualLSTMConfig
from melody.errors import ConfigError
from melody.models import MODELS, ResidualLSTM, build
from melody.models import carry as carries
from melody.models.lstm_cell import lstm_cell
from melody.tokens import Channel
from melody.tokens.intervals import interval_view
from melody.training.objectives.cross_entropy import cross_entropy

VOCABULARY, CHANNELS = 13, (5, 3)
SMALL = {"hidden_size": 16, "layers": 2}
INTERVALS = interval_view([range(2, 6), range(8, 12)], 0, [Channel("voice", 5, moves="pitch")], ["voice"], widest=2)
VARIANTS = {
    **{name: (name, SMALL) for name in MODELS},
    "attention": ("residual_lstm", {**SMALL, "attention": {"heads": 2, "memory": 7}}),
    "attention over one state": ("residual_lstm", {**SMALL, "attention": {"heads": 4, "memory": 1}}),
    "all dropouts": (
        "residual_lstm",
        {
            **SMALL,
            **dict.fromkeys(["dropout", *(f"{k}_dropout" for k in ("input", "embedding", "weight", "channel"))], 0.3),
        },
    ),
    "intervals": ("residual_lstm", {**SMALL, "intervals": INTERVALS}),
}


def model_of(variant: str) -> nn.Module:
    torch.manual_seed(1)
    name, options = VARIANTS[variant]
    model = build(name, VOCABULARY, CHANNELS, **options)
    with torch.no_grad():  # nothing that a fresh model leaves at zero may hide a mistake
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model.eval()


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return model_of(request.param)


def music(batch: int = 3, time: int = 20, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCABULARY, (batch, time), generator=generator)
    context = torch.stack([torch.randint(0, size, (batch, time), generator=generator) for size in CHANNELS], 2)
    return tokens, context


def logits_of(model: nn.Module, tokens: Tensor, context: Tensor) -> Tensor:
    with torch.no_grad():
        return model(tokens, model.initial_carry(len(tokens)), context)[0]


@pytest.mark.parametrize("window", [1, 3, 8, 20])
def test_windows_glued_by_the_carry_equal_one_pass(model: nn.Module, window: int) -> None:
    tokens, context = music()
    carry, parts = model.initial_carry(3), []
    for start in range(0, 20, window):
        span = slice(start, start + window)
        with torch.no_grad():
            logits, carry = model(tokens[:, span], carry, context[:, span])
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), logits_of(model, tokens, context), atol=1e-5, rtol=1e-5)


def test_a_future_token_changes_no_past_logit(model: nn.Module) -> None:
    assert model.causal
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
    initial = model.initial_carry(3)
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
        _, carry = model(tokens, model.initial_carry(3), context)
        onward, _ = model(tokens, carry, context)
        moved, _ = model(tokens[index], carries.reorder(carry, index), context[index])
    torch.testing.assert_close(moved, onward[index], atol=1e-5, rtol=1e-5)


def test_a_carry_survives_flattening_and_never_leaves_fp32(model: nn.Module) -> None:
    tokens, context = music()
    with torch.no_grad():
        _, carry = model(tokens, model.initial_carry(3), context)
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
        logits, _ = model(tokens[:, :-1], model.initial_carry(2), context[:, :-1])
        nats, count = cross_entropy(logits, tokens[:, 1:], mask)
        optimizer.zero_grad()
        (nats / count).backward()
        optimizer.step()
    assert nats / count < 0.05


def test_dropout_acts_in_training_alone() -> None:
    model = model_of("all dropouts")
    tokens, context = music()
    assert torch.equal(logits_of(model, tokens, context), logits_of(model, tokens, context))
    model.train()
    assert not torch.allclose(logits_of(model, tokens, context), logits_of(model, tokens, context))


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "embedding_dropout", "weight_dropout"])
def test_each_dropout_works_by_itself(name: str) -> None:
    rates = dict.fromkeys(["dropout", "input_dropout", "embedding_dropout", "weight_dropout"], 0.0)
    model = build("residual_lstm", VOCABULARY, CHANNELS, **SMALL, **{**rates, name: 0.5}).train()
    tokens, context = music()
    assert not torch.allclose(logits_of(model, tokens, context), logits_of(model, tokens, context))


def test_locked_dropout_has_one_mask_for_all_times() -> None:
    model = ResidualLSTM(VOCABULARY, CHANNELS, **SMALL)
    dropped = model._locked(torch.ones(50, 3, 16), 0.5)  # (T, B, D)
    assert torch.equal(dropped, dropped[:1].expand(50, 3, 16))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(dropped[:, 0], dropped[:, 1])


def test_a_mean_over_dropout_masks_is_the_input() -> None:
    model = ResidualLSTM(VOCABULARY, CHANNELS, **SMALL)
    torch.manual_seed(0)
    mean = model._locked(torch.ones(1, 4000, 16), 0.3).mean()
    assert abs(mean - 1) < 0.02


def test_the_textbook_cell_equals_the_fast_path() -> None:
    model = ResidualLSTM(VOCABULARY, CHANNELS, hidden_size=16, layers=1)
    lstm = model.lstms[0]
    x = torch.randn(9, 3, 16)  # (T, B, D)
    h, c = torch.randn(3, 16), torch.randn(3, 16)
    with torch.no_grad():
        fast, (fast_h, fast_c) = lstm(x, (h[None], c[None]))
        bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
        for time in range(9):
            h, c = lstm_cell(x[time], h, c, lstm.weight_ih_l0, lstm.weight_hh_l0, bias)
            torch.testing.assert_close(h, fast[time], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close((h, c), (fast_h[0], fast_c[0]), atol=1e-6, rtol=1e-5)


def test_weight_dropout_at_rest_is_the_plain_path() -> None:
    plain = ResidualLSTM(VOCABULARY, CHANNELS, **SMALL, dropout=0)
    dropping = ResidualLSTM(VOCABULARY, CHANNELS, **SMALL, dropout=0, weight_dropout=1e-9)
    dropping.load_state_dict(plain.state_dict())
    tokens, context = music()
    torch.testing.assert_close(logits_of(plain.train(), tokens, context), logits_of(dropping.train(), tokens, context))


def test_a_fresh_model_remembers_and_is_calm() -> None:
    model = ResidualLSTM(VOCABULARY, CHANNELS, hidden_size=32, layers=2).eval()
    for lstm in model.lstms:
        assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[32:64].eq(1).all()  # gates i, f, g, o
        assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[:32].eq(0).all()
        for gate in lstm.weight_hh_l0.chunk(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(32), atol=1e-4, rtol=0)
    assert logits_of(model, *music()).std() < 2


def test_the_head_is_the_embedding() -> None:
    model = ResidualLSTM(VOCABULARY, CHANNELS, **SMALL).eval()
    shapes = [weight.shape for weight in model.parameters()]
    assert shapes.count((VOCABULARY, 16)) == 1
    tokens, context = torch.zeros(1, 4, dtype=torch.long), music(1, 4)[1]
    before = logits_of(model, tokens, context)
    with torch.no_grad():
        model.embedding.weight[7] *= 2  # a token that is not read
    after = logits_of(model, tokens, context)
    torch.testing.assert_close(after[..., 7], before[..., 7] * 2)
    assert torch.equal(after[..., :7], before[..., :7])


@pytest.mark.parametrize("memory", [1, 4, 7])
def test_attention_sees_exactly_its_memory(memory: int) -> None:
    """Without recurrence (layers=0) a logit depends on the last `memory` tokens, by the oldest's key on one more."""
    options = {"hidden_size": 16, "layers": 0, "attention": {"heads": 2, "memory": memory}}
    model = build("residual_lstm", VOCABULARY, CHANNELS, **options).eval()
    tokens, context = music(1)
    before = logits_of(model, tokens, context)
    tokens[0, 5] = (tokens[0, 5] + 1) % VOCABULARY
    changed = (logits_of(model, tokens, context) - before).abs().amax(2)[0] > 1e-6
    assert changed.nonzero()[:, 0].tolist() == list(range(5, 5 + memory + (memory > 1)))


def test_attention_knows_distances() -> None:
    model = model_of("attention")
    tokens, context = music()
    before = logits_of(model, tokens, context)
    with torch.no_grad():
        model.attention.distance_bias[:, 3] += 5
    after = logits_of(model, tokens, context)
    assert torch.equal(after[:, :3], before[:, :3])
    assert not torch.allclose(after[:, 3:], before[:, 3:])


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
    with pytest.raises(ConfigError, match="'lstm' is unknown; there are: residual_lstm"):
        build("lstm", VOCABULARY, CHANNELS)
    with pytest.raises(ConfigError, match="hiden_size"):
        build("residual_lstm", VOCABULARY, CHANNELS, hiden_size=3)
    with pytest.raises(ConfigError, match="must divide the width 16, got 3"):
        build("residual_lstm", VOCABULARY, CHANNELS, **SMALL, attention={"heads": 3, "memory": 2})


def test_the_configuration_offers_the_options_of_the_model_with_its_defaults() -> None:
    parameters = list(inspect.signature(ResidualLSTM).parameters.values())[2:]
    offered = {parameter.name: parameter.default for parameter in parameters if parameter.name != "intervals"}
    assert offered == ResidualLSTMConfig().options()
