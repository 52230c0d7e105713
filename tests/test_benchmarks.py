"""The benchmarks run, say what they promise, and race a decoder that is one."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import race  # noqa: E402
from transformer import Transformer, shape_of  # noqa: E402


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """Benchmarks ask for one thread; other tests are asked nothing."""
    for name in race.THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# ---- races -----------------------------------------------------------------------------------------------------------


def test_contestants_take_turns_and_the_first_round_does_not_count():
    calls = []

    def contestant(name):
        return lambda: calls.append(name) or float(len(calls))

    times = race.race({"a": contestant("a"), "b": contestant("b")}, rounds=2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert times["a"].tolist() == [4.0, 5.0]
    assert times["b"].tolist() == [3.0, 6.0]


def test_a_ratio_is_of_pairs_not_of_medians():
    slow, fast = np.array([10.0, 20.0, 90.0]), np.array([1.0, 4.0, 9.0])
    result = race.ratio("", slow, fast, goal=10)
    assert (result.median, result.of_minimums, result.verdict) == (10.0, 10.0, "met")


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (race.Result("", 25, 25, 50), "missed by 50 %"),
        (race.Result("", 50, 50, 50), "met"),
        (race.Result("", 1.25, 1, 1, at_most=True), "missed by 25 %"),
        (race.Result("", 1.04, 1, 1, at_most=True, slack=0.05), "met"),
        (race.Result("", 0.5, 1, 1, at_most=True), "met"),
    ],
)
def test_a_verdict_knows_on_which_side_the_goal_lies(result, verdict):
    assert result.verdict == verdict


# ---- the decoder -----------------------------------------------------------------------------------------------------


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return Transformer(vocabulary_size=30, width=32, layers=2, heads=4, positions=24).eval()


@torch.inference_mode()
def test_a_cache_changes_nothing(decoder):
    tokens = torch.randint(0, 30, (3, 24))
    cache = decoder.empty_cache(batch=3)
    pieces = [decoder(part, cache) for part in tokens.split([5, 1, 1, 6, 1, 10], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), decoder(tokens))
    assert cache.length == 24


@torch.inference_mode()
def test_a_decoder_does_not_see_the_future(decoder):
    tokens = torch.randint(0, 29, (1, 12))
    changed = tokens.clone()
    changed[0, 7] += 1
    before, after = decoder(tokens), decoder(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_a_decoder_learns(decoder):
    tokens = torch.randint(0, 30, (4, 12))
    optimizer = torch.optim.AdamW(decoder.train().parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        logits = decoder(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 30), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(30), abs=0.2)
    assert losses[-1] < 0.5 * losses[0]


def test_a_decoder_refuses_more_than_its_positions(decoder):
    with pytest.raises(ValueError, match="24 positions"):
        decoder(torch.zeros(1, 25, dtype=torch.long))


@pytest.mark.parametrize("parameters", [400_000, 1_500_000, 6_300_000, 85_000_000])
def test_the_shape_has_as_many_parameters_as_asked(parameters):
    width, layers, heads = shape_of(parameters)
    assert width % heads == 0
    blocks = Transformer(10, width, layers, heads, positions=8).blocks if parameters < 10_000_000 else None
    count = sum(p.numel() for p in blocks.parameters()) if blocks else 12 * layers * width**2
    assert count == pytest.approx(parameters, rel=0.05)
    assert parameters != 85_000_000 or (width, layers, heads) == (768, 12, 12)  # GPT-2 itself


# ---- whole runs, as small as can be ----------------------------------------------------------------------------------


def test_decode_reports_every_ratio_beside_its_goal():
    import decode

    sizes = decode.Sizes(1, 3, 1, bars=1, early=40, late=80, notes=2, early_note=4, late_note=8, contexts=(16,))
    facts, results = decode.run("chorale", sizes)
    assert all(result.median > 0 and math.isfinite(result.of_minimums) for result in results)
    names = "\n".join(result.name for result in results)
    for expected in ("3x256 (chorale): step against nn.LSTM", "compose against", "3x512", "limit", "memory", "stream"):
        assert expected in names
    assert any("tokens/s" in fact for fact in facts)
    table = race.report("title", facts, results, as_json=False)
    assert all(result.name in table for result in results)
    rows = json.loads(race.report("title", facts, results, as_json=True))["results"]
    assert [row["name"] for row in rows] == [result.name for result in results]


def test_startup_reports_time_memory_and_what_imports_cost():
    import startup

    facts, results = startup.run(rounds=1, bars=1, rival=("-c", "import json"))
    assert len(results) == 2
    assert all(result.median > 0 for result in results)
    assert results[0].verdict.startswith("missed")  # json is there sooner
    assert "onnxruntime" in "\n".join(facts)
    assert "compose 1 bars" in "\n".join(facts)


def test_startup_says_when_a_command_fails():
    import startup

    with pytest.raises(SystemExit, match="exit code 3"):
        startup.python("-c", "raise SystemExit(3)")
