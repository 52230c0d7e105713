"""Bundles from strangers: each attack gives one line with file and reason, runs nothing and asks for no memory."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import random
import re
import struct
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.tiny_bundle import tiny_files, tiny_weights, write_bundle

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.engine.onnx import OnnxEngine
from melody.errors import MelodyError, UnreadableFile
from melody.storage.untrusted import SETTINGS, check_index, check_settings, check_weights, parse_json

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from melody.engine.graphs.residual_lstm import Intervals, StepWeights, build_step_graph  # noqa: E402
from melody.tokens.intervals import IntervalView  # noqa: E402

SLACK_BYTES = 6 * 2**20  # what Python's allocator and the tokenizer's tables take anyway
FILES = tiny_files()


class Marker:
    """A pickle that makes a file where it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


PICKLE = pickle.dumps(Marker())


def changed(name: str, change: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """The files of the tiny bundle with one changed; bundle.json has the right hash of it."""
    return {**FILES, name: change(FILES[name])}


def graph(change: Callable[[Any], Any]) -> dict[str, bytes]:
    """The files with a step graph that `change` has changed."""

    def apply(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        change(model)
        return model.SerializeToString()

    return changed("step.onnx", apply)


def external(location: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def poisoned(model: Any) -> None:
    tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[-1] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def huge_constant(model: Any) -> None:
    model.graph.initializer[0].dims[:] = [2**40, 2**20]


def insert(model: Any, *nodes: Any, constants: Mapping[str, np.ndarray] | None = None) -> None:
    for name, values in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def broadcast_bomb(model: Any) -> None:
    long = np.ones(100_000, np.float32)
    node = helper.make_node("Add", ["row", "column"], ["bomb"])
    insert(model, node, constants={"row": long[None], "column": long[:, None]})


def huge_carry(model: Any) -> None:
    for value in (*model.graph.input[2:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[1].dim_value = 2**40


def custom_domain(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("evil.ops", 1))
    insert(model, helper.make_node("Run", ["ids"], ["x"], domain="evil.ops"))


def constant_of_shape(model: Any) -> None:
    insert(model, helper.make_node("ConstantOfShape", ["ids"], ["x"]))


def subgraph(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    insert(model, helper.make_node("If", ["ids"], ["x"], then_branch=body, else_branch=body))


def function(model: Any) -> None:
    model.functions.append(helper.make_function("", "F", ["a"], ["a"], [], model.opset_import))


def other_vocabulary(_: bytes) -> bytes:
    zeros = np.zeros((9, 16), np.float32)
    layer = np.zeros((64, 32), np.float32), np.zeros(64, np.float32)
    return build_step_graph(StepWeights(zeros, [zeros], [layer], zeros[:, 0]))


def reshaped(shape: list[int]) -> Callable[[bytes], bytes]:
    """Weights whose first tensor is said to have another shape."""

    def change(data: bytes) -> bytes:
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        header[next(name for name in header if name != "__metadata__")]["shape"] = shape
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return change


def weights_with(value: float) -> dict[str, bytes]:
    from safetensors.numpy import save

    weights = tiny_weights()
    weights["embedding.weight"][3, 3] = value
    return {**FILES, "weights.safetensors": save(weights)}


def archive(**arrays: np.ndarray) -> Callable[[bytes], bytes]:
    """An n-gram index with these arrays in place of its own."""

    def change(data: bytes) -> bytes:
        with np.load(io.BytesIO(data)) as old:
            whole = {**{name: old[name] for name in old.files}, **arrays}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **whole)
        return buffer.getvalue()

    return change


def lying_header(data: bytes) -> bytes:
    """An index whose array of hashes claims to have a billion of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(
                name, content.replace(b"(0,), }" + b" " * 9, b"(1000000000,), }") if name == "hashes.npy" else content
            )
    return buffer.getvalue()


def fifo(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def folder_in_place(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def device(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")


def overwrite(data: bytes) -> Callable[[Path, str], None]:
    return lambda folder, name: (folder / name).write_bytes(data) and None


MODEL = {"name": "residual_lstm", "hidden_size": 16, "layers": 1, "attention": None}
HASH = "0" * 64
HASHES = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
INDEX = ("hashes", "piece", "voice", "bar", "pitch")
BOMB = {name: np.zeros(2**22, t) for name, t in zip(INDEX, ("u4", "u4", "u1", "u2", "u1"), strict=True)}


class Attack(NamedTuple):
    """What is done to the tiny bundle, and the file and the reason that the message must name."""

    part: str
    reason: str
    files: Mapping[str, bytes] = FILES
    settings: Mapping[str, Any] = {}
    spoil: Callable[[Path, str], Any] | None = None  # of the part, after the hashes were taken


def of_settings(reason: str, **changes: Any) -> Attack:
    return Attack("bundle.json", reason, settings=changes)


def of_json(reason: str, data: bytes) -> Attack:
    return Attack("bundle.json", reason, spoil=overwrite(data))


def of_graph(reason: str, change: Callable[[Any], Any]) -> Attack:
    return Attack("step.onnx", reason, graph(change))


def of_part(part: str, reason: str, change: Callable[[bytes], bytes]) -> Attack:
    return Attack(part, reason, changed(part, change))


def of_index(reason: str, **arrays: np.ndarray) -> Attack:
    return of_part("originality.npz", reason, archive(**arrays))


ATTACKS = {
    "path traversal": of_settings("files is", files={"../../evil": HASH}),
    "absolute path": of_settings("files is", files={"/etc/passwd": HASH}),
    "windows path": of_settings("files is", files={"..\\evil": HASH}),
    "no tracks": of_settings("lacks tracks", tracks=...),
    "huge model": of_settings("model is", model=MODEL | {"hidden_size": 10**9}),
    "deep model": of_settings("model is", model=MODEL | {"layers": 10**6}),
    "huge attention": of_settings("model is", model=MODEL | {"attention": {"heads": 1, "memory": 10**12}}),
    "NaN for a number": of_settings("tempo_qpm is nan", tempo_qpm=float("nan")),
    "terminal escapes": of_settings("description is", description="\x1b[2J"),
    "a thousand tracks": of_settings("tracks is", tracks=[{}] * 1000),
    "wrong hash": Attack("step.onnx", "not the file", settings={"files": HASHES | {"step.onnx": HASH}}),
    "swapped after export": Attack("step.onnx", "not the file", spoil=overwrite(b"x")),
    "no weights at all": Attack("", "no weights", {n: FILES[n] for n in ("vocabulary.json", "originality.npz")}),
    "lost step graph": Attack("", "no step.onnx", spoil=lambda folder, _: (folder / "step.onnx").unlink()),
    "other vocabulary": Attack("", "another vocabulary", settings={"vocabulary_hash": HASH}),
    "other tokens": of_part("vocabulary.json", "another vocabulary", lambda _: b'{"tokens": ["a"], "counts": [1]}'),
    "graph of other tokens": of_part("step.onnx", "other tokens", other_vocabulary),
    "huge json": of_json("16,777,216 bytes", b" " * 2**24),
    "many values": of_json("50,000 values", b"[" + b"[]," * 300_000),
    "deep json": of_json("nested too deeply", b"[" * 49_000),
    "json is a pickle": of_json("not JSON", PICKLE),
    "json is a folder": Attack("bundle.json", "is a folder", spoil=folder_in_place),
    "json is a pipe": Attack("bundle.json", "regular file", spoil=fifo),
    "json is a device": Attack("bundle.json", "regular file", spoil=device),
    "graph is a pipe": Attack("step.onnx", "regular file", spoil=fifo),
    "graph is a device": Attack("step.onnx", "regular file", spoil=device),
    "graph is a pickle": of_part("step.onnx", "not a step graph", lambda _: PICKLE),
    "graph cut short": of_part("step.onnx", "in the midst", lambda data: data[:5000]),
    "weights outside the folder": of_graph("in another file", external("../../secret")),
    "weights inside the folder": of_graph("in another file", external("weights.safetensors")),
    "custom operators": of_graph("evil.ops", custom_domain),
    "subgraph": of_graph("'If'", subgraph),
    "function": of_graph("field 25", function),
    "maker of arrays": of_graph("'ConstantOfShape'", constant_of_shape),
    "huge constant": of_graph("has only", huge_constant),
    "broadcast bomb": of_graph("larger than melody allows", broadcast_bomb),
    "huge carry": of_graph("larger than melody allows", huge_carry),
    "many nodes": of_graph("10,000 parts", lambda model: model.graph.node.extend([onnx.NodeProto()] * 20_000)),
    "NaN in the graph": of_graph("NaN or infinity", poisoned),
    "NaN in the weights": Attack("weights.safetensors", "NaN or infinity", weights_with(np.nan)),
    "infinite weights": Attack("weights.safetensors", "NaN or infinity", weights_with(np.inf)),
    "huge weights": of_part("weights.safetensors", "does not fit the bytes", reshaped([2**31, 2**31])),
    "negative shape": of_part("weights.safetensors", "impossible", reshaped([-1])),
    "weights are a pickle": of_part("weights.safetensors", "not a safetensors file", lambda _: PICKLE),
    "model beyond its weights": Attack(
        "weights.safetensors", "holds .* weights", settings={"model": MODEL | {"hidden_size": 8192, "layers": 64}}
    ),
    "zip bomb": of_index("times its size", **BOMB),
    "pickled arrays": of_index("not the array", pieces=np.array([Marker()], object)),
    "unequal columns": of_index("different lengths", bar=np.zeros(3, "u2")),
    "lying array": of_part("originality.npz", "not the array", lying_header),
    "index is a pickle": of_part("originality.npz", "n-gram index", lambda _: PICKLE),
}


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


def small_graph() -> bytes:
    """A step graph of eight tokens: little but structure, for a fuzzer to find."""
    generator = np.random.default_rng(0)
    floats = [generator.normal(size=shape).astype(np.float32) for shape in ((8, 16), (3, 16), (64, 32), (64,), (8,))]
    view = IntervalView(np.array([[2, 3, 4]]), np.array([0]), np.array([0]), np.arange(9).reshape(3, 3) % 8, 7)
    intervals = Intervals((generator.normal(size=(7, 16)).astype(np.float32), np.zeros(7, np.float32)), view)
    layers = [(floats[2], floats[3])]
    return build_step_graph(StepWeights(floats[0], [floats[1]], layers, floats[4], intervals=intervals))


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


def test_the_shipped_bundle_passes(tmp_path: Path):
    bundle = open_bundle("chorale")
    for name in bundle.settings["files"]:
        assert hashlib.sha256(bundle.read(name)).hexdigest() == bundle.settings["files"][name]
    with pytest.raises(UnreadableFile, match="has no secret"):
        bundle.read("secret")


def test_json_of_any_depth_ends_in_a_value_or_a_reason():
    assert parse_json(b"[[1]]") == [[1]]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 40_000 + b"]" * 40_000)
