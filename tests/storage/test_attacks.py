"""Bundles from strangers: each attack gives one line with file and reason, runs nothing and asks for no memory."""

import contextlib
import hashlib
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx")
from support.bundle_attacks import ATTACKS, FILES, fifo, small_graph  # noqa: E402
from support.tiny_bundle import write_bundle  # noqa: E402

import melody  # noqa: E402
from melody.bundle import open_bundle  # noqa: E402
from melody.cli import run  # noqa: E402
from melody.engine.onnx import OnnxEngine  # noqa: E402
from melody.errors import MelodyError, UnreadableFile  # noqa: E402
from melody.storage.untrusted import SETTINGS, check_index, check_settings, check_weights, parse_json  # noqa: E402

SLACK_BYTES = 6 * 2**20  # what Python's allocator and the tokenizer's tables take anyway


def peak_growth(work: Callable[[], Any]) -> int:
    """By how many bytes this process grew at most, over what it had; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _kilobytes(status, "VmRSS")
    except OSError:
        work()
        return 0
    work()
    return 1024 * (_kilobytes(status, "VmHWM") - before)


def _kilobytes(status: Path, name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+) kB", status.read_text())[1])


def use(folder: Path) -> None:
    """Everything that reads a bundle, but for torch."""
    bundle = open_bundle(folder)
    bundle.file("weights.safetensors")
    melody.load(folder).compose(bars=1, seed=1)


def refused(folder: Path) -> str:
    with pytest.raises(MelodyError) as caught:
        use(folder)
    return str(caught.value)


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tiny bundle works, and what is imported once is imported."""
    use(write_bundle(tmp_path_factory.mktemp("warm")))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gives_one_line_and_nothing_else(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    part, reason, files, changes, spoil = ATTACKS[name]
    folder = write_bundle(tmp_path / "bundle", files, changes)
    if spoil:
        spoil(folder, part)
    size = sum(path.lstat().st_size for path in folder.iterdir())
    messages: list[str] = []
    grown = peak_growth(lambda: messages.append(refused(folder)))
    assert str(folder / part) in messages[0]
    assert re.search(reason, messages[0])
    assert grown <= 2 * size + SLACK_BYTES
    if part != "weights.safetensors":  # which only the torch engine reads
        assert run(["compose", "--model", str(folder), "--bars", "1", "--out", "out"]) == 1
        error = capsys.readouterr().err
        assert error.startswith("melody: ")
        assert error.count("\n") == 1
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "out").exists()


def test_a_large_file_of_the_wrong_hash_takes_its_size_at_most_twice(tmp_path: Path):
    folder = write_bundle(tmp_path)
    size = 48 * 2**20
    (folder / "step.onnx").write_bytes(bytes(size))
    assert peak_growth(lambda: refused(folder)) <= 2 * size


def test_a_pipe_does_not_wait_for_a_writer(tmp_path: Path):
    folder = write_bundle(tmp_path)
    fifo(folder, "step.onnx")
    thread = threading.Thread(target=refused, args=[folder], daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_one_bad_bundle_does_not_hide_the_name_of_the_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "outputs" / "bundles" / "bad", changes={"format": 7})
    with pytest.raises(MelodyError, match="did you mean chorale"):
        open_bundle("choral")
    assert open_bundle("chorale").name == "chorale"


def test_one_bad_bundle_does_not_hide_the_list_of_the_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "outputs" / "bundles" / "good")
    write_bundle(tmp_path / "outputs" / "bundles" / "bad", changes={"description": "\ud800"})
    (tmp_path / "outputs" / "bundles" / "worse").mkdir()
    (tmp_path / "outputs" / "bundles" / "worse" / "bundle.json").write_bytes(b"\xff")
    assert run(["models"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert any("Random weights" in line for line in said)
    left_out = [line for line in said if line.startswith("left out: ")]
    assert [line.split("bundles/")[1].split("/")[0] for line in left_out] == ["bad", "worse"]
    assert run(["models", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["left_out"]) == 2


GRAPH = small_graph()
CUTS = st.tuples(st.integers(0, len(GRAPH) - 1), st.integers(0, 40), st.binary(max_size=12))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CUTS, min_size=1, max_size=4))
@example([(0, len(GRAPH), b"")])
def test_a_changed_graph_is_refused_or_steps(cuts: list[tuple[int, int, bytes]]):
    data = bytearray(GRAPH)
    for place, length, new in cuts:
        data[place : place + length] = new
    with contextlib.suppress(MelodyError):
        engine = OnnxEngine(bytes(data))
        engine.step(np.zeros(2, np.int64), np.zeros((2, 1), np.int64), engine.start(2))


def mutated(data: bytes, places: list[int], chance: random.Random) -> bytes:
    """The bytes with one to three of: a byte or a bit changed, a stretch cut out, a stretch of others put in."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place, other = min(chance.choice(places), len(result) - 1), chance.choice(places)
        kind = chance.randrange(4)
        if kind < 2:
            result[place] = chance.randrange(256) if kind else result[place] ^ 1 << chance.randrange(8)
        else:
            cut, put = (
                (chance.randrange(1, 30), b"") if kind == 2 else (0, data[other : other + chance.randrange(1, 60)])
            )
            result[place : place + cut] = put
    return bytes(result)


@pytest.mark.slow
def test_a_hundred_thousand_changed_graphs_are_refused_or_step():
    constants = [tensor.raw_data for tensor in onnx.load_from_string(GRAPH).graph.initializer]
    weights = {place for c in constants if len(c) > 16 for place in range(GRAPH.find(c), GRAPH.find(c) + len(c))}
    places, chance = sorted(set(range(len(GRAPH))) - weights), random.Random(0)
    outcomes: Counter[str] = Counter()
    for _ in range(100_000):
        data = mutated(GRAPH, places, chance)
        try:
            engine = OnnxEngine(data)
            engine.step(np.zeros(2, np.int64), np.zeros((2, engine.shapes.channels), np.int64), engine.start(2))
            outcomes["stepped"] += 1
        except UnreadableFile:
            outcomes["refused"] += 1
        except MelodyError:
            outcomes["failed in ONNX Runtime"] += 1
    print(dict(outcomes))
    assert outcomes["refused"] > 90_000


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 20), st.binary(max_size=8)), min_size=1, max_size=3))
@pytest.mark.parametrize(("name", "check"), [("weights.safetensors", check_weights), ("originality.npz", check_index)])
def test_changed_bytes_pass_or_give_a_reason(name: str, check: Callable[[bytes], Any], cuts: list[Any]):
    data = bytearray(FILES[name])
    for place, length, new in cuts:
        place %= 2000 if name == "weights.safetensors" else len(data)  # where its header is
        data[place : place + length] = new
    with contextlib.suppress(ValueError):
        check(bytes(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SETTINGS)), JSON)
def test_any_setting_passes_or_gives_a_reason(name: str, value: Any):
    from melody.tokens import EventTokenizer

    whole = json.loads((Path(melody.__file__).parent / "bundles/chorale/bundle.json").read_text())
    check_settings(whole, 1, EventTokenizer().config)
    with contextlib.suppress(ValueError):
        check_settings(whole | {name: value}, 1, EventTokenizer().config)


@pytest.mark.parametrize("model", ["chorale", "folk", "pop", "drums", "band", "piano", "lied", "quartet"])
def test_the_shipped_bundles_pass(model: str):
    bundle = open_bundle(model)
    for name in bundle.settings["files"]:
        assert hashlib.sha256(bundle.read(name)).hexdigest() == bundle.settings["files"][name]
    with pytest.raises(UnreadableFile, match="has no secret"):
        bundle.read("secret")


def test_json_of_any_depth_ends_in_a_value_or_a_reason():
    assert parse_json(b"[[1]]") == [[1]]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 40_000 + b"]" * 40_000)
