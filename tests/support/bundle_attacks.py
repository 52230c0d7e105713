"""Attacks by a stranger's bundle: what is done to a good one, and what the refusal must name."""

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from melody.engine.graphs.parts import Intervals
from melody.engine.graphs.residual_lstm import StepWeights, build_step_graph
from melody.tokens.intervals import IntervalView
from support.tiny_bundle import tiny_files, tiny_weights

FILES = tiny_files()


def small_graph() -> bytes:
    """A step graph of eight tokens: little but structure, for a fuzzer to find."""
    generator = np.random.default_rng(0)
    floats = [generator.normal(size=shape).astype(np.float32) for shape in ((8, 16), (3, 16), (64, 32), (64,), (8,))]
    view = IntervalView(np.array([[2, 3, 4]]), np.array([0]), np.array([0]), np.arange(9).reshape(3, 3) % 8, 7)
    intervals = Intervals((generator.normal(size=(7, 16)).astype(np.float32), np.zeros(7, np.float32)), view)
    layers = [(floats[2], floats[3])]
    return build_step_graph(StepWeights(floats[0], [floats[1]], layers, floats[4], intervals=intervals))


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


def many_values(model: Any) -> None:
    """Twenty-four values of 64 million numbers, each of which is allowed."""
    sides = {"row": np.ones((1, 2**13), np.float32), "column": np.ones((2**13, 1), np.float32)}
    insert(model, *(helper.make_node("Add", ["row", "column"], [f"value_{n}"]) for n in range(24)), constants=sides)


def many_products(model: Any) -> None:
    """Fifty products of two large matrices that are made of a row and a column."""
    side = 512
    sides = {"row": np.ones((1, side), np.float32), "column": np.ones((side, 1), np.float32)}
    square = helper.make_node("Add", ["row", "column"], ["square"])
    products = [helper.make_node("MatMul", ["square", "square"], [f"product_{n}"]) for n in range(50)]
    insert(model, square, *products, constants=sides)


def many_carries(model: Any) -> None:
    """A hundred parts of a carry, each of a size that is allowed."""
    for number in range(100):
        shape = ["B", 2**22]
        model.graph.input.append(helper.make_tensor_value_info(f"part_{number}", TensorProto.FLOAT, shape))
        model.graph.output.append(helper.make_tensor_value_info(f"part_{number}_next", TensorProto.FLOAT, shape))
        model.graph.node.append(helper.make_node("Identity", [f"part_{number}"], [f"part_{number}_next"]))


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
                name, content.replace(b"(0,), }" + b" " * 9, b"(1000000000,), }") if name == "parts.npy" else content
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
INDEX = ("parts", "piece", "voice", "bar")
BOMB = {name: np.zeros(2**22, t) for name, t in zip(INDEX, ("u2", "u4", "u1", "u2"), strict=True)}


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
    "half a character": of_settings("not Unicode", description="\ud800"),
    "half a character as bytes": of_json("not Unicode", b'{"name": "\xed\xa0\x80"}'),
    "half a character in a piece's name": of_index("not Unicode", pieces=np.array(["\ud800"])),
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
    "many values in json": of_json("50,000 values", b"[" + b"[]," * 300_000),
    "deep json": of_json("nested too deeply", b"[" * 49_000),
    "json is a pickle": of_json("not JSON", PICKLE),
    "json is a folder": Attack("bundle.json", "is a folder", spoil=folder_in_place),
    "json is a pipe": Attack("bundle.json", "regular file", spoil=fifo),
    "json is a device": Attack("bundle.json", "regular file", spoil=device),
    "graph is a pipe": Attack("step.onnx", "regular file", spoil=fifo),
    "graph is a device": Attack("step.onnx", "regular file", spoil=device),
    "graph of numbers": of_part("step.onnx", "is a number", lambda _: b"\x40\x01"),
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
    "many values": of_graph("more values than melody allows", many_values),
    "many products": of_graph("more products than melody allows", many_products),
    "many carries": of_graph("more values than melody allows", many_carries),
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
    "unequal columns": of_index("longer or shorter than its columns", bar=np.zeros(3, "u2")),
    "voices longer than the columns": of_index(
        "longer or shorter than its columns",
        length=np.full(1, 2**32 - 1, "u4"),
        piece=np.zeros(1, "u4"),
        voice=np.zeros(1, "u1"),
    ),
    "voice of no rows": of_index(
        "longer or shorter than its columns",
        length=np.zeros(1, "u4"),
        piece=np.zeros(1, "u4"),
        voice=np.zeros(1, "u1"),
        parts=np.zeros(2, "u2"),
    ),
    "hashes of one voice too few": of_index(
        "different lengths",
        length=np.ones(1, "u4"),
        piece=np.zeros(1, "u4"),
        voice=np.zeros(1, "u1"),
        bar=np.zeros(1, "u1"),
        parts=np.zeros(1, "u2"),
    ),
    "voices without lengths": of_index("different lengths", piece=np.zeros(3, "u4")),
    "lying array": of_part("originality.npz", "not the array", lying_header),
    "index is a pickle": of_part("originality.npz", "n-gram index", lambda _: PICKLE),
}
