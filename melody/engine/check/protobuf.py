"""ONNX files without onnx: protobuf read field by field, from a stranger, nothing copied.

Only the messages and fields that a step graph has are known; any other is refused by number. A message has at most
`MOST_PARTS` fields, so that reading a file takes no more memory than it has. Raises `ValueError` with the reason.

Source: onnx/onnx.proto (field numbers), protobuf.dev/programming-guides/encoding.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.storage.untrusted import check_finite

Shape = tuple[int, ...]
Message = dict[int, list[Any]]  # the values of each field: integers, or the bytes of whatever else

BATCH = 16  # what an open dimension counts as
MOST_PARTS = 10_000  # fields of one message: operators and constants of a graph
MOST_DIMENSIONS = 8
MOST_LETTERS = 200  # of a name
FLOAT, UINT8, INT8, INT16, INT32, INT64, FLOAT16 = 1, 2, 3, 5, 6, 7, 10
TYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(name)
    for number, name in (
        (FLOAT, "<f4"),
        (UINT8, "u1"),
        (INT8, "i1"),
        (INT16, "<i2"),
        (INT32, "<i4"),
        (INT64, "<i8"),
        (FLOAT16, "<f2"),
    )
}

# field numbers of onnx.proto that a step graph uses, by message
MODEL, OPSET = (1, 2, 7, 8), (1, 2)
GRAPH, NODE, ATTRIBUTE = (1, 2, 5, 11, 12), (1, 2, 4, 5, 7), (1, 3, 8, 20)
TENSOR, EXTERNAL = (1, 2, 8, 9), (13, 14)
VALUE, TYPE, TENSOR_TYPE, SHAPE, DIMENSION = (1, 2), (1,), (1, 2), (1,), (1, 2)


def read_tensor(data: memoryview) -> tuple[str, NDArray[Any]]:
    """A constant's name and values, which lie in `data`."""
    tensor = message(data, (*TENSOR, *EXTERNAL), "tensor")
    name = text(tensor, 8)
    if any(number in tensor for number in EXTERNAL):
        raise ValueError(f"keeps the weights {name[:60]!r} in another file")
    shape = tuple(_integers(tensor.get(1, [])))
    kind = tensor.get(2, [0])[-1]
    if kind not in TYPES:
        raise ValueError(f"constant {name[:60]!r} is of type {kind}, which no step graph has")
    raw = one(tensor, 9)
    if min(shape, default=1) < 0 or len(raw) != math.prod(shape) * TYPES[kind].itemsize:
        raise ValueError(f"constant {name[:60]!r} of shape {shape[:MOST_DIMENSIONS]} has only {len(raw):,} bytes")
    values = np.frombuffer(raw, TYPES[kind]).reshape(shape)
    if kind in (FLOAT, FLOAT16):
        check_finite(values, name)
    return name, values


def read_value(data: memoryview, batch: int = BATCH) -> tuple[str, int, Shape]:
    """Return the name, type and shape of an input or output; an open dimension counts as the batch."""
    value = message(data, VALUE, "value")
    kind = message(one(message(one(value, 2), TYPE, "type"), 1), TENSOR_TYPE, "tensor type")
    dimensions = message(one(kind, 2), SHAPE, "shape").get(1, [])
    sizes = tuple(_size(message(part, DIMENSION, "dimension"), batch) for part in dimensions[: MOST_DIMENSIONS + 1])
    return text(value, 1), kind.get(1, [0])[-1], sizes


def _size(dimension: Message, batch: int) -> int:
    text(dimension, 2)  # its name
    size = dimension.get(1, [batch])[-1]
    if not isinstance(size, int) or len(dimension) != 1:
        raise ValueError("has a dimension that is no number")
    return size


def read_attribute(data: memoryview) -> tuple[str, Any]:
    """The name and value of a whole number or a list of them; others are of no account here."""
    attribute = message(data, ATTRIBUTE, "attribute")
    value = attribute[3][-1] if 3 in attribute else _integers(attribute.get(8, []))
    return text(attribute, 1), value


def message(data: Any, allowed: tuple[int, ...], kind: str) -> Message:
    """Return the fields of a message by number. Raises `ValueError` for any that is not allowed, or for a number."""
    if not isinstance(data, memoryview):
        raise ValueError(f"its {kind} is a number")
    result: Message = {}
    for count, (number, value) in enumerate(_fields(data)):
        if count == MOST_PARTS:
            raise ValueError(f"its {kind} has more than {MOST_PARTS:,} parts")
        if number not in allowed:
            raise ValueError(f"its {kind} has field {number}, which no step graph has")
        result.setdefault(number, []).append(value)
    return result


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field: an integer, or the bytes of whatever else."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        wire, size = key & 7, 0
        if wire == 0:
            value, place = _varint(data, place)
            yield key >> 3, value - 2**64 if value >= 2**63 else value
            continue
        if wire == 2:
            size, place = _varint(data, place)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("is not protobuf")
        if place + size > len(data):
            raise ValueError("ends in the midst of a field")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 2**64 - 1, place
    raise ValueError("is not protobuf")


def _integers(values: list[Any]) -> list[int]:
    """A repeated integer field, packed or not."""
    result: list[int] = []
    for value in values[: MOST_DIMENSIONS + 1]:
        if isinstance(value, int):
            result.append(value)
            continue
        place = 0
        while place < len(value) and len(result) <= MOST_DIMENSIONS:
            number, place = _varint(value, place)
            result.append(number - 2**64 if number >= 2**63 else number)
    return result


def one(message: Message, number: int) -> memoryview:
    values = message.get(number, [])
    if len(values) != 1 or not isinstance(values[0], memoryview):
        raise ValueError("lacks a part, or has it twice")
    return values[0]


def text(message: Message, number: int) -> str:
    return decoded(one(message, number)) if number in message else ""


def decoded(data: Any) -> str:
    """A name, in plain letters: ONNX Runtime would put it into its messages as it is."""
    name = bytes(data[:MOST_LETTERS]).decode("latin-1") if isinstance(data, memoryview) else "\n"
    if not (name.isascii() and name.isprintable()) or len(name) == MOST_LETTERS:
        raise ValueError("has a name that is no plain text")
    return name
