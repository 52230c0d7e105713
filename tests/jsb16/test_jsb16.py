"""The published benchmark: its unit, and what its tokens may know."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.made_up_voices import RECIPE, grid, model_of

from melody.corpus.recipe import load_pieces
from melody.engine import Engine
from melody.engine.ensemble import Ensemble
from melody.engine.torch import TorchEngine
from melody.evaluation.likelihood import nats_read_by
from melody.jsb16 import evaluation as jsb16
from melody.jsb16.corpus import FILE, read_jsb16
from melody.jsb16.evaluation import LEAKS, SPELLINGS, VoiceSteps, evaluate_jsb16
from melody.jsb16.tokenizer import ORDERS, READ, Grid, VoicesTokenizer
from melody.tokens import EventTokenizer

VOICES, EVENTS = VoicesTokenizer(), EventTokenizer()
both = pytest.mark.parametrize("tokenizer", [VOICES, EVENTS], ids=["voices", "events"])


def spelling(tokenizer, book=None):
    return SPELLINGS[tokenizer.name](tokenizer, book)


@pytest.fixture(scope="module")
def real(data_folder: Path) -> dict[str, list[Grid]]:
    """The benchmark, where it is at hand."""
    return read_jsb16(data_folder / FILE)


class Uniform(TorchEngine):
    """For which all tokens are alike."""

    def step(self, ids, context, carry):
        return np.zeros((len(ids), len(VOICES.vocabulary)), np.float32), carry


# ---- the unit -------------------------------------------------------------------------------------------------------


def test_the_unit_is_nats_over_voices_times_steps():
    grids = [grid(0), grid(1, quarters=9), grid(2)]
    (found,) = evaluate_jsb16(TorchEngine(model_of(VOICES)), spelling(VOICES), grids, "valid")
    assert found.voice_steps == [96, 144, 96]
    assert found.nats_per_voice_step == pytest.approx(sum(found.nats) / 336)
    assert found.raw == pytest.approx(sum(found.raw_nats) / 336)
    assert [VOICES.voice_steps(VOICES.spell(one)) for one in grids] == found.voice_steps


def test_a_clean_figure_leaves_out_what_leaks():
    found = VoiceSteps("test", [10.0, 99.0, 20.0], [4, 4, 8], (1,), [11.0, 99.0, 22.0])
    assert (found.clean, found.raw_clean) == (pytest.approx(30 / 12), pytest.approx(33 / 12))


def test_a_uniform_model_pays_the_logarithm_of_what_may_follow():
    (found,) = evaluate_jsb16(Uniform(model_of(VOICES)), spelling(VOICES), [np.full((4, 4), 60)], "test")
    # a length, four voices of 49 pitches and a rest, and one wait of 1 to 4; the end follows from the length
    assert found.nats == pytest.approx([np.log(255) + 4 * np.log(50) + np.log(4)])
    assert found.raw_nats == pytest.approx([7 * np.log(len(VOICES.vocabulary))])


@both
def test_every_token_is_paid_for_its_length_and_its_end_included(tokenizer: VoicesTokenizer | EventTokenizer):
    class DearAt:
        """A model that is surprised by one place of a piece, and sure of all others."""

        def __init__(self, ids: np.ndarray, place: int) -> None:
            self.ids, self.place, self.time = ids, place, 0

        def start(self, batch: int) -> tuple[()]:
            return ()

        def step(self, ids, context, carry):
            self.time += 1
            logits = np.full((1, len(tokenizer.vocabulary)), -50, np.float32)
            logits[0, self.ids[self.time]] = -50 if self.time == self.place else 50
            return logits, carry

    one = grid(7, quarters=2)
    ids = spelling(tokenizer).spell(one)
    for place in range(1, len(ids)):
        engine: Engine = DearAt(ids, place)
        assert evaluate_jsb16(engine, spelling(tokenizer), [one], "test")[0].raw == pytest.approx(
            np.log(len(tokenizer.vocabulary)) / one.size
        )


class Sure(TorchEngine):
    """A model whose logits are so many times what they should be."""

    factor = 1.0

    def step(self, ids, context, carry):
        logits, carry = super().step(ids, context, carry)
        return logits * self.factor, carry


def test_a_temperature_undoes_how_sure_a_model_is():
    modest, sure = Sure(model_of(VOICES)), Sure(model_of(VOICES))
    sure.factor = 1.5
    (expected,) = evaluate_jsb16(modest, spelling(VOICES), [grid(0)], "valid")
    plain, warm = evaluate_jsb16(sure, spelling(VOICES), [grid(0)], "valid", temperatures=(1.0, 1.5))
    assert (plain.temperature, warm.temperature) == (1.0, 1.5)
    assert warm.nats == pytest.approx(expected.nats, rel=1e-5)
    assert warm.raw_nats == pytest.approx(expected.raw_nats, rel=1e-5)
    assert plain.nats != pytest.approx(expected.nats, rel=1e-3)


def test_the_temperature_is_chosen_on_valid(monkeypatch: pytest.MonkeyPatch):
    seen = {"train": [], "valid": [grid(0)], "test": [grid(1)]}
    monkeypatch.setattr(jsb16, "read_jsb16", lambda path: seen)
    sure = Sure(model_of(VOICES, seed=3))
    sure.factor = 8.0  # of what a model knows that has learned nothing, nothing is worth so much trust
    found = jsb16.benchmark_jsb16(sure, VOICES, Path("file"))
    assert [one.split for one in found] == ["valid", "test"] * 4
    assert [one.orders for one in found] == [1] * 4 + [len(ORDERS)] * 4
    for plain, _, valid, test in (found[:4], found[4:]):
        assert plain.temperature == 1.0
        assert valid.temperature == test.temperature > 1.0
        assert valid.nats_per_voice_step < plain.nats_per_voice_step
        at_each = evaluate_jsb16(
            sure, spelling(VOICES, VOICES.tune_book([])), seen["valid"], "valid", jsb16.TEMPERATURES, valid.orders
        )
        assert valid.nats_per_voice_step == pytest.approx(min(one.nats_per_voice_step for one in at_each), rel=1e-6)


def test_each_step_has_the_mean_of_what_the_orders_give_it():
    one, engine = grid(3), TorchEngine(model_of(VOICES))
    steps: list[dict[int, float]] = []  # for each order the log-probability of each step
    for order in range(len(ORDERS)):
        ids = spelling(VOICES).spell(one, order)
        ((nats, _),) = nats_read_by([ids], [spelling(VOICES).reader(order)], engine)
        costs: dict[int, float] = {}
        waits = 0
        for token, cost in zip(ids[1:].tolist(), nats[0].tolist(), strict=True):
            costs[waits] = costs.get(waits, 0) - cost
            waits += token in VOICES.vocabulary.ids["Wait"]
        steps.append(costs)
    expected = -sum(np.log(np.mean([np.exp(costs[step]) for costs in steps])) for step in steps[0])
    (mean,) = evaluate_jsb16(engine, spelling(VOICES), [one, grid(5)], "test", orders=len(ORDERS))
    assert mean.nats[0] == pytest.approx(expected, rel=1e-5)
    assert (mean.orders, mean.to_row()["orders"]) == (len(ORDERS), len(ORDERS))
    alone = [-sum(costs.values()) for costs in steps]
    assert min(alone) < mean.nats[0] + len(steps[0]) * np.log(len(ORDERS))
    assert mean.nats[0] < max(alone)


def test_the_mean_over_one_order_is_that_order():
    engine, grids = TorchEngine(model_of(VOICES)), [grid(0), grid(1, quarters=9)]
    (found,) = evaluate_jsb16(engine, spelling(VOICES), grids, "valid")
    for one, nats in zip(grids, found.nats, strict=True):
        ((within, _),) = nats_read_by([spelling(VOICES).spell(one)], [spelling(VOICES).reader()], engine)
        assert nats == pytest.approx(within.sum(), rel=1e-5)


def test_the_pieces_of_train_are_told_of():
    class Seeing(Uniform):
        """Notes what it is told."""

        told = 0

        def step(self, ids, context, carry):
            self.told += int((np.asarray(context)[:, len(READ) : -4] > 0).sum())
            return super().step(ids, context, carry)

    one = np.stack([np.repeat([67, 69, 71, 72, 74, 71], 4)] * 4, axis=1).astype(np.int64)
    for book, expected in ((None, False), (VOICES.tune_book([one]), True)):
        engine = Seeing(model_of(VOICES))
        evaluate_jsb16(engine, spelling(VOICES, book), [one - 2], "test")
        assert (engine.told > 0) == expected


def test_the_splits_have_the_published_sizes(real: dict[str, list[Grid]]):
    assert {name: len(grids) for name, grids in real.items()} == {"train": 229, "valid": 76, "test": 77}
    assert sum(one.size for one in real["test"]) == 75_600
    assert max(int(one.max()) for grids in real.values() for one in grids) == 81


@both
def test_tokens_say_the_whole_benchmark_and_nothing_else(
    real: dict[str, list[Grid]], tokenizer: VoicesTokenizer | EventTokenizer
):
    for one in real["test"]:
        assert np.array_equal(VOICES.spell(one), VOICES.encode(tokenizer.decode(spelling(tokenizer).spell(one))))


# ---- leaks ----------------------------------------------------------------------------------------------------------


def assert_no_leak(
    one: Grid, other: Grid, step: int, tokenizer: VoicesTokenizer | EventTokenizer, order: int = 0
) -> None:
    """Where two pieces are the same up to a step, so are the costs until there."""
    pieces = [spelling(tokenizer).spell(one, order), spelling(tokenizer).spell(other, order)]
    shorter = min(map(len, pieces))
    same = int(np.argmin(np.append(pieces[0][:shorter] == pieces[1][:shorter], False)))
    engine = TorchEngine(model_of(tokenizer, seed=1))
    book = VOICES.tune_book([one, other]) if tokenizer is VOICES else None  # in which both futures can be found
    first, second = nats_read_by(pieces, [spelling(tokenizer, book).reader(order) for _ in pieces], engine)
    assert same > step  # many tokens, of which there is one a step or more
    for (ours,), (theirs,) in zip(first, second, strict=True):
        assert np.array_equal(ours[: same - 1], theirs[: same - 1])
        assert not np.array_equal(ours, theirs)


@both
def test_another_future_leaves_earlier_costs_alone(tokenizer: VoicesTokenizer | EventTokenizer):
    one = grid(4)
    other = one.copy()
    other[12:] = grid(5)[12:]
    assert_no_leak(one, other, 12, tokenizer)


@pytest.mark.parametrize("order", range(1, len(ORDERS)))
def test_another_future_leaves_earlier_costs_alone_in_every_order(order: int):
    one = grid(4)
    other = one.copy()
    other[12:] = grid(5)[12:]
    assert_no_leak(one, other, 12, VOICES, order)


@both
def test_another_future_of_a_chorale_leaves_earlier_costs_alone(
    real: dict[str, list[Grid]], tokenizer: VoicesTokenizer | EventTokenizer
):
    one = min(real["test"], key=len)
    half = len(one) // 2
    other = one.copy()
    other[half:] = np.where(one[half:] > 0, one[half:] + 1, 0)
    assert_no_leak(one, other, half, tokenizer)


def stepped_and_batched(one: Grid, tokenizer: VoicesTokenizer | EventTokenizer) -> tuple[np.ndarray, np.ndarray]:
    """The nats of a piece by an engine, token by token, and by the model in one pass."""
    ids, model = spelling(tokenizer).spell(one), model_of(tokenizer)
    ((_, stepped),) = nats_read_by([ids], [spelling(tokenizer).reader()], TorchEngine(model))
    reader, context = spelling(tokenizer).reader(), []
    for token in ids[:-1].tolist():
        reader.read(token)
        context.append(np.array(reader.context))
    with torch.inference_mode():
        tokens = torch.from_numpy(ids[None, :-1].astype(np.int64))
        channels = torch.from_numpy(np.stack(context)[None].astype(np.int64))
        logits, _ = model(tokens, model.start(1), channels)
        targets = torch.from_numpy(ids[1:].astype(np.int64))
    return stepped[0], torch.nn.functional.cross_entropy(logits[0], targets, reduction="none").numpy()


@both
def test_stepwise_equals_batched(tokenizer: VoicesTokenizer | EventTokenizer):
    stepped, batched = stepped_and_batched(grid(3), tokenizer)
    assert np.abs(stepped - batched).max() < 1e-4


@both
def test_stepwise_equals_batched_on_a_chorale(real: dict[str, list[Grid]], tokenizer: VoicesTokenizer | EventTokenizer):
    stepped, batched = stepped_and_batched(min(real["test"], key=len), tokenizer)
    assert np.abs(stepped - batched).max() < 1e-4


def test_a_piece_costs_the_same_alone_and_among_others():
    engine, grids = TorchEngine(model_of(VOICES)), [grid(seed, quarters=4 + seed) for seed in range(5)]
    together = evaluate_jsb16(engine, spelling(VOICES), grids, "test")[0].nats
    alone = [evaluate_jsb16(engine, spelling(VOICES), [one], "test")[0].nats[0] for one in grids]
    assert together == pytest.approx(alone, abs=1e-4)


def bars_of(one: Grid) -> set[bytes]:
    """Its bars of sixteen steps from each quarter on, whatever the transposition."""
    bars = (one[start : start + 16] for start in range(0, len(one) - 15, 4))
    return {np.where(bar > 0, bar - bar[0, 3], 0).tobytes() for bar in bars}


def test_what_counts_as_a_leak_shares_more_with_train_than_any_other_piece(real: dict[str, list[Grid]]):
    train = [bars_of(one) for one in real["train"]]
    overlaps = load_pieces(RECIPE).overlaps
    for split, leaks in LEAKS.items():
        held_out = [bars_of(one) for one in real[split]]
        shares = [max(len(bars & known) / len(bars) for known in train) for bars in held_out]
        assert sorted(np.argsort(shares)[-2:].tolist()) == sorted(leaks)
        for leak in leaks:
            nearest = int(np.argmax([len(held_out[leak] & known) for known in train]))
            assert overlaps[f"{split}/{leak:03}"] == f"train/{nearest:03}"


# ---- an ensemble ----------------------------------------------------------------------------------------------------


def test_an_ensemble_gives_the_mean_probability():
    members = [TorchEngine(model_of(VOICES, seed)) for seed in (1, 2, 3)]
    ids = VOICES.spell(grid(6))
    costs = [nats_read_by([ids], [spelling(VOICES).reader()], engine)[0][1] for engine in (*members, Ensemble(members))]
    assert costs[-1] == pytest.approx(-np.log(np.mean(np.exp(-np.array(costs[:-1])), axis=0)), abs=1e-4)


def test_an_ensemble_of_one_model_twice_is_that_model():
    engine = TorchEngine(model_of(VOICES))
    (alone,) = evaluate_jsb16(engine, spelling(VOICES), [grid(6)], "test")
    (twice,) = evaluate_jsb16(Ensemble([engine, engine]), spelling(VOICES), [grid(6)], "test")
    assert twice.nats == pytest.approx(alone.nats, abs=1e-4)
