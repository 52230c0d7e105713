"""Files from strangers, looked at before anything is allocated for them: JSON, safetensors, npz, bundle.json.

A bundle may come from anywhere. Each function takes the bytes of a file and raises `ValueError` with the reason where
they are not what they should be: what a header claims must be there byte by byte, so that no allocation is larger than
the file; nothing is unpickled; weights are numbers. What is read may be twice as large as the file at most.

Formats: huggingface/safetensors (an 8-byte length, a JSON header, the data); PKWARE APPNOTE (ZIP); numpy.lib.format.
"""

import io
import json
import math
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_VALUES = 50_000  # in one JSON file: a value may take a hundred bytes, its text three
MOST_TEXT = 2**20  # bytes of a JSON header
MOST_DIRECTORY = 4096  # bytes of an archive's directory: a handful of arrays
MOST_INFLATION = 16  # times the archive's size; hashes, most of an index, do not compress
WEIGHT_TYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
EIGHT_BIT = WEIGHT_TYPES | {"I8": np.dtype("i1")}  # with scales beside them
BLOCK = 2**18  # weights looked at in one go

# The arrays of an n-gram index (`melody.music.index_file`): dtype kind and bytes an item, or several of them; names are
# text of any length. Those of `VOICE_BY_VOICE` have an item a voice, all others one a row, parts two more a voice.
# Files of earlier versions have pitches, and hashes in place of parts, and still earlier ones no length.
INDEX_TYPES = {"pieces": "U", "piece": "u4", "voice": "u1", "bar": "u1 u2"}
VOICE_BY_VOICE = {"piece", "voice", "length"}


def parse_json(data: bytes) -> Any:
    """Return the JSON value in `data`, of a bounded number of values and depth, its texts whole Unicode."""
    if sum(map(data.count, (b"[", b"{", b","))) > MOST_VALUES:
        raise ValueError(f"holds more than {MOST_VALUES:,} values")
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text)
        if r"\ud" in text.lower():  # an escape of half a character, if its other half is missing
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeError:
        raise ValueError("is not JSON: holds text that is not Unicode") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from error


def check_weights(data: bytes, types: Mapping[str, np.dtype[Any]] = WEIGHT_TYPES) -> int:
    """Return the number of weights in a safetensors file, all of them finite numbers, of 16 or 32 bits if not said."""
    size = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= size <= min(MOST_TEXT, len(data) - 8):
        raise ValueError("is not a safetensors file")
    header = parse_json(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("is not a safetensors file")
    header.pop("__metadata__", None)
    end = weights = 0
    for name, entry in sorted(header.items(), key=lambda item: _described(item[0], item[1], types)[2][0]):
        dtype, shape, (first, last) = _described(name, entry, types)
        count = math.prod(shape)
        if first != end or last - first != count * dtype.itemsize or last > len(data) - 8 - size:
            raise ValueError(f"tensor {name[:60]!r} of shape {shape} does not fit the bytes that it is said to have")
        check_finite(np.frombuffer(data, dtype, count, 8 + size + first), name)
        end, weights = last, weights + count
    if end != len(data) - 8 - size:
        raise ValueError("has bytes that belong to no tensor")
    return weights


def weight_metadata(data: bytes) -> Mapping[str, str]:
    """Return the texts in the header of a safetensors file that `check_weights` has passed."""
    found = parse_json(data[8 : 8 + struct.unpack("<Q", data[:8])[0]]).get("__metadata__", {})
    whole = isinstance(found, dict) and all(isinstance(text, str) for text in found.values())
    return found if whole else {}


def weight_names(data: bytes) -> list[str]:
    """The names of the tensors in a safetensors file that has been checked."""
    header = parse_json(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    return [name for name in header if name != "__metadata__"]


def check_finite(values: NDArray[Any], name: str) -> None:
    """Refuse NaN and infinity in an array."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        if not np.isfinite(flat[start : start + BLOCK]).all():
            raise ValueError(f"tensor {name[:60]!r} holds NaN or infinity")


def check_index(data: bytes) -> None:
    """Refuse an npz file that is not an n-gram index: other arrays, or arrays larger than what is there."""
    # the last 22 bytes: there is no comment, and the directory is small
    if len(data) < 22 or data[-22:-18] != b"PK\5\6" or struct.unpack("<I", data[-10:-6])[0] > MOST_DIRECTORY:
        raise ValueError("is not an n-gram index")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {part.filename: part for part in archive.infolist()}
            packed, chained = "length.npy" in parts, "parts.npy" in parts
            types = INDEX_TYPES | ({"length": "u4"} if packed else {"bar": "u2"})
            types |= {"parts": "u2"} if chained else {"hashes": "u4"}
            types |= {"pitch": "u1"} if "pitch.npy" in parts else {}
            if sorted(parts) != sorted(f"{name}.npy" for name in types):
                raise ValueError("is not an n-gram index")
            if sum(part.file_size for part in parts.values()) > MOST_INFLATION * len(data):
                raise ValueError(f"would be more than {MOST_INFLATION} times its size when unpacked")
            if {part.compress_type for part in parts.values()} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError("is packed in a way that melody does not read")
            rows = {name: _rows(archive, name, kinds) for name, kinds in types.items()}
            if packed:
                with archive.open("length.npy") as file:
                    length = np.lib.format.read_array(file, allow_pickle=False)
                if not length.all() or int(length.sum(dtype=np.int64)) != rows["bar"]:
                    raise ValueError("has voices longer or shorter than its columns")
            if chained:
                rows["parts"] -= 2 * rows["voice"]
    except ValueError:
        raise
    except Exception as error:  # what zipfile, zlib and numpy raise shares no narrower base
        raise ValueError(f"is damaged ({error})") from error
    by_voice = VOICE_BY_VOICE if packed else set()
    if any(len({rows[name] for name in part}) > 1 for part in (by_voice, types.keys() - by_voice - {"pieces"})):
        raise ValueError("has columns of different lengths")


def check_settings(settings: Any, format_: int, tokenizer: Mapping[str, Any]) -> None:
    """Refuse the content of a bundle.json of another format or tokenizer, with parts missing or values out of range."""
    if not isinstance(settings, dict) or settings.get("format") != format_:
        raise ValueError(f"is not a bundle of format {format_}")
    if missing := sorted(REQUIRED - settings.keys()):
        raise ValueError(f"lacks {', '.join(missing)}")
    for name, fits in SETTINGS.items():
        if name in settings and not fits(settings[name]):
            raise ValueError(f"{name} is {_shortened(settings[name])}, which melody cannot take")
    if (style := settings.get("default_style")) is not None and style not in settings.get("styles", []):
        raise ValueError(f"default_style is {_shortened(style)}, which is none of its styles")
    if any(len(one["programs"]) != len(settings["tracks"]) for one in settings.get("by_style", {}).values()):
        raise ValueError("by_style has another number of tracks")
    if settings["tokenizer"] != tokenizer:
        raise ValueError(f"its tokenizer is {_shortened(settings['tokenizer'])}, not melody's own")


def _described(
    name: str, entry: Any, types: Mapping[str, np.dtype[Any]]
) -> tuple[np.dtype[Any], list[int], tuple[int, int]]:
    """The type, shape and place of a tensor as the header has them."""
    dtype: Any
    shape: Any
    try:
        dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"tensor {name[:60]!r} lacks its type, shape or place") from None
    if not isinstance(dtype, str) or dtype not in types:
        raise ValueError(f"tensor {name[:60]!r} is of type {str(dtype)[:20]}; weights are {' or '.join(types)}")
    if not isinstance(shape, list) or len(shape) > 8 or not all(_is_size(n) for n in [*shape, first, last]):
        raise ValueError(f"tensor {name[:60]!r} has an impossible shape or place")
    return types[dtype], shape, (first, last)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40


def _rows(archive: zipfile.ZipFile, name: str, kinds: str) -> int:
    """The length of an array in an archive, one of these kinds, whose header tells no more than there is."""
    part = archive.getinfo(f"{name}.npy")
    with archive.open(part) as file:
        start = np.lib.format.read_magic(file)
        if start != (1, 0):
            raise ValueError(f"{name}: is of an unknown format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=10_000)
        left = part.file_size - file.tell()
    kind = dtype.kind if dtype.kind == "U" else f"{dtype.kind}{dtype.itemsize}"
    if kind not in kinds.split() or len(shape) != 1 or not dtype.itemsize or shape[0] * dtype.itemsize != left:
        raise ValueError(f"{name}: is not the array it should be")
    return int(shape[0])


def _is_count(value: Any, most: int, least: int = 0) -> bool:
    return type(value) is int and least <= value <= most


def _is_number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most


def _is_text(value: Any, pattern: str = r"[^\x00-\x08\x0e-\x1f\x7f-\x9f]{0,10000}") -> bool:
    """Return True for text, by default without characters on which a terminal acts."""
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_list(values: Any, fits: Callable[[Any], bool], most: int) -> bool:
    return isinstance(values, list) and len(values) <= most and all(map(fits, values))


def _are_files(files: Any) -> bool:
    """Plain names in the bundle's own folder, each with a SHA-256."""
    return isinstance(files, dict) and all(_is_text(n, NAME) and _is_text(h, HASH) for n, h in files.items())


def _is_model(model: Any) -> bool:
    """Options of which none is absurd; `melody.models` knows their names."""
    return isinstance(model, dict) and all(_is_option(key, value) for key, value in model.items())


def _is_option(key: str, value: Any) -> bool:
    if key in MOST_OF:
        return _is_count(value, MOST_OF[key], 1) or (value is None and key == "intervals")
    if isinstance(value, dict):
        return all(not isinstance(v, dict) and _is_option(k, v) for k, v in value.items())
    return value is None or isinstance(value, bool) or _is_text(value) or _is_number(value, 0, MOST_OF_ANY)


def _is_track(track: Any) -> bool:
    return (
        isinstance(track, dict)
        and track.keys() - {"role"} == TRACK.keys()
        and all(fits(track[name]) for name, fits in TRACK.items())
        and _is_text(track.get("role", ""), r"[a-z]{0,20}")
        and track["lowest"] <= track["highest"]
    )


def _is_by_style(value: Any) -> bool:
    """Return True for the programs of all tracks, and perhaps a tempo, a meter and rules, of each style."""
    return isinstance(value, dict) and all(
        _is_text(style)
        and isinstance(told, dict)
        and _is_list(told.get("programs"), TRACK["program"], 32)
        and SETTINGS["tempo_qpm"](told.get("tempo_qpm", 120))
        and _is_list(told.get("meter", [4, 4]), lambda number: _is_count(number, 64, 1), 2)
        and SETTINGS["style_rules"](told.get("style_rules", []))
        for style, told in value.items()
    )


def _is_originality(value: Any) -> bool:
    rows = value.get("held_out", []) if isinstance(value, dict) else None
    return _is_list(rows, lambda row: _is_text(row, r"(\d{1,9}/\d{1,9}( |$))*"), MOST_VALUES)


MOST_OF = {"hidden_size": 8192, "layers": 64, "intervals": 127}
MOST_OF_ANY = 65_536  # of whatever else a model counts: heads, states of memory
MOST_CHANNELS, MOST_STATISTICS = 200, 1000
NAME, HASH = r"[A-Za-z0-9][\w.-]{0,99}", r"[0-9a-f]{64}"
TRACK: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "program": lambda value: _is_count(value, 127),
    "drums": lambda value: isinstance(value, bool),
    "lowest": lambda value: _is_count(value, 127),
    "highest": lambda value: _is_count(value, 127),
    "mean": lambda value: _is_number(value, 0, 127),
    "polyphony": lambda value: _is_count(value, 128, 1),
}
SETTINGS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: _is_text(value, NAME),
    "model": _is_model,
    "tokenizer": lambda value: isinstance(value, dict),
    "channels": lambda value: _is_list(value, lambda name: _is_text(name, NAME), MOST_CHANNELS),
    "tracks": lambda value: _is_list(value, _is_track, 32) and bool(value),
    "files": _are_files,
    "vocabulary_hash": lambda value: _is_text(value, HASH),
    "tempo_qpm": lambda value: _is_number(value, 4, 1000),
    "range_beyond": lambda value: _is_count(value, 127),
    "top_p": lambda value: _is_number(value, 0.01, 1),
    "harmony_temperature": lambda value: _is_number(value, 0.01, 10),
    "harmony_fit": lambda value: _is_number(value, 0.01, 100),
    "chord_plans": lambda value: _is_count(value, 64, 1),
    "layer_bits": lambda value: _is_list(value, lambda bits: bits in (4, 8), 16),
    "style_rules": lambda value: _is_list(value, _is_text, 100),
    "styles": lambda value: _is_list(value, _is_text, 15),
    "by_style": _is_by_style,
    "default_style": lambda value: value is None or _is_text(value),
    "density_limits": lambda value: _is_list(value, lambda limit: _is_number(limit, 0, 1e9), 2) and len(value) == 2,
    "originality": _is_originality,
    "description": _is_text,
    "licence": _is_text,
    "corpus": _is_text,
    **dict.fromkeys(
        ("planner", "harmonist", "feel"),
        lambda value: isinstance(value, dict) and all(isinstance(v, int | float) for v in value.values()),
    ),
    "harmoniser": lambda value: _is_text(value, r"[a-z]{1,20}"),  # a shipped model
    "harmony": lambda value: value in ("beats", "halves"),
    "taste": lambda value: isinstance(value, dict) and _is_list(value.get("statistics"), _is_text, MOST_STATISTICS),
    "scores": lambda value: isinstance(value, dict) and all(isinstance(v, int | float) for v in value.values()),
}
REQUIRED = {"name", "model", "tokenizer", "tracks", "files", "vocabulary_hash", "tempo_qpm"}


def _shortened(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
