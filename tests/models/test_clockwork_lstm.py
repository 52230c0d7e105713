"""The clockwork LSTM against the textbook cell, token by token: who moves when, and who feeds whom."""

import pytest
import torch
from support.small_models import CHANNELS, CLOCKWORK, VOCABULARY, model_of, music

from melody.errors import ConfigError
from melody.models import ClockworkLSTM, build
from melody.models.clockwork_lstm import ClockworkLayer
from melody.models.lstm_cell import lstm_cell

PARTS = {"token": slice(0, 7), "beat": slice(7, 11), "bar": slice(11, 14), "phrase": slice(14, 16)}


@pytest.fixture
def model() -> ClockworkLSTM:
    made = model_of("clockwork_lstm")
    assert isinstance(made, ClockworkLSTM)
    return made


def by_the_textbook(layer: ClockworkLayer, x, h, c, ticks):
    """One layer over x (T, B, D) by `lstm_cell`, a row that does not tick keeping its state."""
    hs, cs, outputs = list(torch.split(h, layer.widths, 1)), list(torch.split(c, layer.widths, 1)), []
    for now, moves in zip(x, ticks, strict=True):
        for place in reversed(range(4)):
            weight_ih, weight_hh, bias_ih, bias_hh = layer.parts[place].parameters()
            told = torch.cat([now, *hs[place + 1 :]], 1)
            new = lstm_cell(told, hs[place], cs[place], weight_ih, weight_hh, bias_ih + bias_hh)
            tick = moves[:, place - 1, None] if place else torch.ones_like(moves[:, :1])
            hs[place], cs[place] = torch.where(tick, new[0], hs[place]), torch.where(tick, new[1], cs[place])
        outputs.append(torch.cat(hs, 1))
    return torch.stack(outputs), torch.cat(hs, 1), torch.cat(cs, 1)


@torch.no_grad()
def test_a_window_is_what_the_textbook_computes_token_by_token(model):
    tokens, context = music(time=30)
    ticks, clock = model.clock(tokens.T, context.transpose(0, 1), torch.zeros(3, 2))
    x = model._embed(tokens.T, context.transpose(0, 1))
    for number, layer in enumerate(model.layers):
        y, _, _ = by_the_textbook(layer, x, torch.zeros(3, 16), torch.zeros(3, 16), ticks)
        x = x + y
        assert number < 2
    logits, carry = model(tokens, model.start(3), context)
    torch.testing.assert_close(logits.transpose(0, 1), x @ model.embedding.weight.T + model.head_bias)
    assert torch.equal(carry["clock"], clock)


@torch.no_grad()
def test_a_part_holds_its_state_to_the_bit_between_its_ticks(model):
    tokens, context = music(time=40)
    ticks, _ = model.clock(tokens.T, context.transpose(0, 1), torch.zeros(3, 2))
    carry, moved = model.start(3), []
    for time in range(40):
        before = carry
        _, carry = model(tokens[:, time : time + 1], carry, context[:, time : time + 1])
        moved.append([[bool((carry["h_0"][row, span] != before["h_0"][row, span]).all()) for span in PARTS.values()]
                      for row in range(3)])  # fmt: skip
    found = torch.tensor(moved)
    assert found[..., 0].all()
    assert torch.equal(found[..., 1:], ticks)
    assert 0 < ticks[..., 2].float().mean() < ticks[..., 0].float().mean() < 1


@torch.no_grad()
def test_slower_parts_feed_faster_ones_and_not_the_other_way_round(model):
    tokens, context = music(time=1)
    tokens[:] = 1  # a bar begins
    for changed, others in ((0, "beat bar phrase"), (1, "bar phrase"), (2, "phrase")):
        carry = model.start(3)
        other = {name: part.clone() for name, part in carry.items()}
        other["h_0"][:, list(PARTS.values())[changed]] = 1.0
        one, two = (model(tokens, state, context)[1]["h_0"] for state in (carry, other))
        for name in others.split():
            assert torch.equal(one[:, PARTS[name]], two[:, PARTS[name]])
    other["h_0"][:], other["h_0"][:, PARTS["phrase"]] = 0.0, 1.0
    two = model(tokens, other, context)[1]["h_0"]
    assert not torch.equal(one[:, PARTS["token"]], two[:, PARTS["token"]])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="clock: is missing"):
        build("clockwork_lstm", VOCABULARY, CHANNELS, hidden_size=16, beat=4, bar=2, phrase=2)
    with pytest.raises(ConfigError, match="hidden_size 16 must be larger than beat 8 \\+ bar 4 \\+ phrase 4"):
        build("clockwork_lstm", VOCABULARY, CHANNELS, **CLOCKWORK | {"beat": 8, "bar": 4, "phrase": 4})
