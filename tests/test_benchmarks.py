"""The benchmarks run, say what they promise, and race a decoder that is one."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.short_scores import line, score_of, track

from melody.corpus.store import StoredPiece, write_store
from melody.models.transformer import Transformer
from melody.music.score import Score, note_count, transpose
from melody.native.library import core
from melody.tokens import EventTokenizer
from melody.tokens.channels import reading

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import race  # noqa: E402
from decoder import CachedDecoder, shape_of  # noqa: E402


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


@torch.inference_mode()
def test_the_decoder_that_races_is_the_model():
    torch.manual_seed(0)
    model = Transformer(30, [], hidden_size=32, layers=2, heads=4, memory=24).eval()
    decoder, tokens = CachedDecoder(model), torch.randint(0, 30, (1, 24))
    steps = [decoder.step(token[None]) for token in tokens.T]
    expected, _ = model(tokens, model.start(1), torch.zeros(1, 24, 0, dtype=torch.long))
    torch.testing.assert_close(torch.cat(steps, dim=1), expected)
    with pytest.raises(ValueError, match="25 tokens: the cache has 24 places"):
        decoder.step(tokens[:, :1])


@pytest.mark.parametrize("parameters", [400_000, 1_500_000, 6_300_000, 85_000_000])
def test_the_shape_has_as_many_parameters_as_asked(parameters):
    width, layers, heads = shape_of(parameters)
    assert width % heads == 0
    blocks = Transformer(10, [], width, layers, heads).blocks if parameters < 10_000_000 else None
    count = sum(p.numel() for p in blocks.parameters()) if blocks else 12 * layers * width**2
    assert count == pytest.approx(parameters, rel=0.05)
    assert parameters != 85_000_000 or (width, layers, heads) == (768, 12, 12)  # GPT-2 itself


# ---- whole runs, as small as can be ----------------------------------------------------------------------------------


def test_decode_reports_every_ratio_beside_its_goal():
    import decode

    sizes = decode.Sizes(1, 3, 1, bars=1, early=40, later=(80,), notes=2, early_note=4, late_note=8, contexts=(16,))
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


def test_an_encoder_is_raced_in_every_engine():
    import encoder

    facts, results = encoder.run(encoder.Sizes(rounds=1, tokens=20))
    engines = {result.name.rpartition(", ")[2] for result in results}
    assert engines == {"ONNX Runtime", "torch"} | ({"native", "in C"} if core() else set())
    assert all(result.median > 0 for result in results)
    assert len(facts) == 1 + (core() is not None)


def test_startup_reports_time_memory_and_what_imports_cost():
    import startup

    facts, results = startup.run(rounds=1, bars=1, rival=("-c", "import json"))
    assert len(results) == 2
    assert all(result.median > 0 for result in results)
    assert results[0].verdict.startswith("missed")  # json is there sooner
    assert "numpy" in "\n".join(facts)
    assert ("onnxruntime" in "\n".join(facts)) == (core() is None)  # the native engine needs none
    assert "compose 1 bars" in "\n".join(facts)


def test_startup_says_when_a_command_fails():
    import startup

    with pytest.raises(SystemExit, match="exit code 3"):
        startup.python("-c", "raise SystemExit(3)")


# ---- quality and speed of training -----------------------------------------------------------------------------------


SCALE = (0, 2, 4, 5, 7, 9, 11, 12)
READ = reading()
TOKENIZER = EventTokenizer()


def duet(start: int) -> Score:
    """Two voices of one program, up and down a scale in octaves."""
    tune = [start + step for step in (*SCALE, *SCALE[::-1])] * 2
    return score_of(line(*(pitch + 12 for pitch in tune)), line(*tune), key=(0, 0))


def stored(folder: Path, **splits: list[Score]):
    """A store of scores that may move by two semitones."""
    pieces = {}
    for split, scores in splits.items():
        ids = [TOKENIZER.encode(score) for score in scores]
        pieces[split] = [
            StoredPiece(f"{split} {number}", i.astype(np.uint16), TOKENIZER.context(i)[:, : len(READ)], notes, (-2, 2))
            for number, (i, notes) in enumerate(zip(ids, map(note_count, scores), strict=True))
        ]
    return write_store(folder, "duets", TOKENIZER, pieces, {"dropped": []})


@pytest.fixture
def store(tmp_path):
    """A corpus that can be learned in seconds."""
    train = [duet(start) for start in range(48, 60)]
    return stored(tmp_path / "store", train=train, valid=[duet(60), duet(61)], test=[duet(62)])


def test_quality_compares_equals_and_both_learn(store):
    import quality

    said = []
    tables = quality.run(store, "models", quality.Sizes(seconds=0.25, seeds=1).small(), said.append)
    assert [json.loads(text) for text in said] == tables["models"]
    rows = {row["model"]: row for row in tables["models"]}
    assert list(rows) == [
        "back-off n-grams",
        "LSTM, events, channels and recall",
        "Transformer, events, channels and recall",
        "LSTM with intervals, events, channels and recall",
        "LSTM, events and channels",
        "Transformer, events and channels",
        "LSTM, events",
        "Transformer, events",
    ]
    untrained = quality.events(store, quality.ALONE).tokens_per_note() * math.log(len(TOKENIZER.vocabulary))
    for name, row in rows.items():
        assert 0 < row["test"] < 0.98 * untrained, name
        assert row["passes"] > 0


@pytest.mark.parametrize("channels", [True, False])
def test_the_shipped_shapes_have_equal_weights(channels):
    import quality

    sizes = [channel.size for channel in READ] if channels else []
    tokens = quality.Tokens("", 1118, sizes, None, {"valid": None})
    counts = {}
    for name, rival in quality.RIVALS.items():
        task = tokens.task(rival)
        counts[name] = sum(weight.numel() for weight in task.model(task.config()).parameters())
    assert counts["LSTM"] == pytest.approx(counts["Transformer"], rel=0.1)


def test_tokenizers_say_the_same_notes_in_the_same_transpositions(store):
    pytest.importorskip("miditok", reason="MidiTok is not installed")
    import quality

    ours, merged = quality.events(store, quality.ALONE), quality.miditok(store, "REMI", merges=64)
    assert merged.lost == 0  # two voices of one program got programs of their own
    assert merged.tokens_per_note() < 0.7 * quality.miditok(store, "REMI").tokens_per_note()
    pairs = zip(drawn(ours), drawn(merged), strict=True)
    heard = [(pitches(TOKENIZER.decode(left[0])), pitches(_miditok(merged, right[0]))) for left, right in pairs]
    assert all(left == right for left, right in heard)
    moved = {left[0][0] - pitches(duet(48 + number))[0][0] for number, (left, _) in enumerate(heard)}
    assert len(moved) > 1
    assert moved <= {-2, -1, 0, 1, 2}


def drawn(tokens):
    """The training pieces as a pass has them, by the same chance."""
    source = tokens.training
    return [source.fetch(piece, np.random.default_rng([5, piece])) for piece in range(len(source.notes))]


def pitches(score: Score) -> list[list[int]]:
    return [track.notes.numpy()["pitch"].tolist() for track in score.tracks]


def _miditok(tokens, ids) -> Score:
    return tokens.training.tokenizer.decode(ids)


def test_what_does_not_come_back_is_counted(tmp_path):
    pytest.importorskip("miditok", reason="MidiTok is not installed")
    import quality

    long = score_of(track((0, 13 * 24, 60)), key=(0, 0))  # MidiTok's durations end at 12 quarters
    store = stored(tmp_path / "store", train=[duet(50)], valid=[duet(51)], test=[long, transpose(long, 2), duet(52)])
    assert quality.miditok(store, "TSD").lost == 0.5


def test_a_budget_buys_whole_passes(store):
    import budget
    import quality

    task = quality.events(store, quality.ALONE).task(replace(quality.RIVALS["LSTM"], shape=quality.Shape(16, 1)))
    little, more = (budget.spend(task, seconds, seed=0) for seconds in (1e-6, 1.0))
    assert little.passes == 1
    assert more.passes > 1
    assert 0 < more.seconds < 2  # as the steps were timed


def test_training_is_timed_against_a_plain_loop_and_the_machine(store, tmp_path):
    facts = trained_by_time(store, tmp_path, runs=0)
    assert len(facts) in (1, 2)  # precisions; bf16 where the processor has it


@pytest.mark.slow
def test_whole_runs_are_timed_with_a_process_and_with_two(store, tmp_path):
    text = "\n".join(trained_by_time(store, tmp_path, runs=1))
    assert "fp32, 2 lanes x 8" in text
    assert "2 processes" in text


def trained_by_time(store, folder, runs):
    """The facts of a benchmark as small as can be, whose results are checked."""
    import train

    facts, results = train.run(
        store, replace(train.QUICK, lanes=2, window=16, sweep=((2,), (8,)), pieces=4, runs=runs), folder
    )
    assert all(math.isfinite(result.median) and result.median > 0 for result in results)
    names = "\n".join(result.name for result in results)
    for expected in ("plain nn.LSTM, fp32", "waiting for data, fp32"):
        assert expected in names
    assert ("two processes over one" in names) == bool(runs)
    assert all(0 < result.median < 1 for result in results if "waiting" in result.name)
    assert "GFLOP/s" in "\n".join(facts)
    return facts


def test_operations_are_counted_by_weights():
    import train

    from melody.models import build

    model = build("residual_lstm", 10, [3], hidden_size=4, layers=2)
    assert train.operations_a_token(model) == 6 * (2 * (16 * 4 + 16 * 4) + 10 * 4)
