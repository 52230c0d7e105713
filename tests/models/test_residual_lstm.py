"""Promises of the residual LSTM beside the contract."""

import pytest
import torch
from support.small_models import CHANNELS, SMALL, VOCABULARY, logits_of, model_of, music

from melody.models import ResidualLSTM, build
from melody.models.lstm_cell import lstm_cell


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
