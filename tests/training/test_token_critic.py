"""The critic of tokens: it tells what can be told, does not tell what cannot, and always says the same."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch
from support.tunes import tune

from melody.learning import token_critic
from melody.learning.token_critic import judge_tokens, moved, spelled, windows
from melody.tokens import EventTokenizer
from melody.tokens.plan import Bar, bars_of
from melody.tokens.vocabulary import event_vocabulary

PIECES, BARS = 15, 6


def walk(seed: int, short: bool) -> list[Bar]:
    """Bars of a line of eighths, some of them shorter."""
    generator = np.random.default_rng(seed)
    pitch = 60 + np.cumsum(generator.choice((-2, -1, 1, 2), 8 * BARS)) % 24
    length = np.where(generator.random(8 * BARS) < 0.3 * short, 6, 12)
    rows = np.stack([pitch, length], axis=1).reshape(BARS, 8, 2).tolist()
    return [tuple((12 * n, 0, hit, 20, ticks) for n, (hit, ticks) in enumerate(bar)) for bar in rows]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": 12, "STEPS": 40, "FOLDS": 2, "RATE": 0.02, "BATCH": 16}.items():
        monkeypatch.setattr(token_critic, name, value)


def test_it_tells_what_differs_and_nothing_of_the_same():
    theirs = [walk(seed, short=False) for seed in range(PIECES)]
    state = torch.get_rng_state()
    found = judge_tokens([walk(seed, short=True) for seed in range(PIECES)], theirs)
    assert found > 0.9
    same = judge_tokens([walk(100 + seed, short=False) for seed in range(PIECES)], theirs)
    assert 0.2 < same < 0.8
    assert same == judge_tokens([walk(100 + seed, short=False) for seed in range(PIECES)], theirs)
    assert torch.equal(state, torch.get_rng_state())


def test_bars_are_spelled_so_that_nothing_is_lost():
    tokenizer = EventTokenizer()
    bars, _ = bars_of(tokenizer.encode(tune(3)).tolist())
    again, _ = bars_of(spelled(bars).tolist())
    assert again == bars


def test_transpositions_move_pitches_alone_and_stay_within():
    tokens = spelled(walk(1, short=False))
    pitch = event_vocabulary().ids["Pitch"]
    up = moved(tokens, 5)
    pitched = (tokens >= pitch.start) & (tokens < pitch.stop)
    assert (up[pitched] == tokens[pitched] + 5).all()
    assert (up[~pitched] == tokens[~pitched]).all()
    assert moved(tokens, 120) is tokens


def test_windows_hold_all_but_a_short_rest():
    assert [len(one) for one in windows(np.arange(300))] == [128, 128]
    assert [len(one) for one in windows(np.arange(7))] == [7]
