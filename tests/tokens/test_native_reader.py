"""The reader in C against the one in Python: channels and masks after each token."""

import numpy as np
import pytest
from support import native_trials

from melody.native.library import core
from melody.tokens import EventTokenizer, Plan
from melody.tokens.channels import Channel, Layout, layout_of
from melody.tokens.native_reader import reader_for

pytestmark = pytest.mark.skipif(core() is None, reason="no native core")


@pytest.mark.parametrize("seed", range(12))
def test_both_readers_are_in_the_same_state(seed: int) -> None:
    assert native_trials.reader_trial(np.random.default_rng(seed)) > 0


@pytest.mark.parametrize("seed", range(5))
def test_any_tokens_in_any_order_are_harmless(seed: int) -> None:
    native_trials.hostile_trial(np.random.default_rng(seed))


def test_a_piece_without_end_is_forgotten_in_the_same_way() -> None:
    """Longer than what is remembered: of tokens 8,192, of bars 128."""
    random, layout = np.random.default_rng(3), layout_of()
    reader, tokens = EventTokenizer().reader(Plan()), [1, 572, 604, 3]
    reader.read_all(tokens)
    while len(tokens) < 20_000:
        token = native_trials.next_token(random, reader)
        if token is None or reader.ends_with(token):
            continue
        tokens.append(token)
        reader.read(token)
    native = reader_for(layout, Plan())
    assert native is not None
    expected = EventTokenizer().reader(Plan())
    told = native.contexts(tokens)
    for token, row in zip(tokens, told, strict=True):
        expected.read(token)
        assert np.array_equal(expected.context, row)


def test_a_copy_goes_its_own_way() -> None:
    first = reader_for(layout_of(), Plan(bars=4))
    assert first is not None
    first.read_all([1, 572, 604, 3, 100])
    copy = first.copy()
    told, lawful = first.context, first.allow()
    copy.read_all([284, 250, 308])
    assert np.array_equal(first.context, told)
    assert np.array_equal(first.allow(), lawful)
    assert not np.array_equal(copy.context, told)


def test_channels_that_the_core_does_not_know_are_left_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(layout_of().names[:3])  # one that nobody has asked for
    monkeypatch.setattr(Layout, "channels", (Channel("told", 5, group="told"),))
    assert reader_for(layout, Plan()) is None
