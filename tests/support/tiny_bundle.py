"""A whole bundle of a few kilobytes with random weights: real files for tests of what may come in and of load."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from melody.bundle import Bundle, TrackInfo
from melody.engine.graphs.residual_lstm import build_step_graph, step_weights
from melody.music.originality import build
from melody.tokens import EventTokenizer
from melody.tokens.cells import VALUES
from melody.tokens.channels import Channel, names_of
from melody.tokens.harmonist import SHAPES as OF_HARMONIST
from melody.tokens.hits import HITS, KIT
from melody.tokens.planner import CASTS, MOST_TRACKS, OF_TRACKS, SHAPES
from melody.tokens.rewriter import Rewriter

WIDTH, LAYERS = 16, 1
VOICES = [("High", 0, False, 60, 84, 72.0, 1), ("Low", 0, False, 36, 59, 48.0, 1)]
# The tracks of the shipped models as their corpora have them: name, program, drums, lowest, highest, mean, polyphony.
STYLES = {
    "band": [
        ("Drums", 0, True, 35, 57, 41.0, 5, "drums"),
        ("Bass", 33, False, 24, 55, 36.5, 2, "bass"),
        ("Chords", 4, False, 36, 96, 62.0, 8, "chords"),
        ("Guitar", 30, False, 36, 88, 56.0, 6, "guitar"),
        ("Lead", 80, False, 48, 96, 71.0, 3, "lead"),
        ("Second", 73, False, 48, 96, 70.0, 3, "lead"),
        ("Pad", 50, False, 36, 96, 62.0, 8, "pad"),
        ("Arpeggio", 81, False, 40, 96, 68.0, 4, "arpeggio"),
    ],
    "chorale": [
        ("Soprano", 52, False, 57, 81, 70.58, 1),
        ("Alto", 52, False, 53, 74, 65.05, 1),
        ("Tenor", 52, False, 48, 69, 59.47, 1),
        ("Bass", 52, False, 36, 64, 50.92, 1),
    ],
    "drums": [("Drums", 0, True, 36, 57, 41.01, 5)],
    "folk": [("Melody", 73, False, 57, 88, 72.26, 1)],
    "lied": [("Voice", 52, False, 55, 81, 69.82, 2), ("Piano", 0, False, 24, 105, 60.65, 11)],
    "piano": [
        ("Right hand", 0, False, 44, 103, 73.0, 9, "hand"),
        ("Left hand", 0, False, 24, 84, 52.5, 9, "hand"),
    ],
    "pop": [
        ("Melody", 0, False, 53, 96, 72.97, 3),
        ("Bridge", 0, False, 42, 106, 74.17, 11),
        ("Piano", 0, False, 29, 99, 57.08, 10),
    ],
    "quartet": [
        ("Violin 1", 40, False, 55, 103, 74.4, 4),
        ("Violin 2", 40, False, 55, 100, 67.7, 4),
        ("Viola", 41, False, 48, 88, 60.9, 4),
        ("Violoncello", 42, False, 36, 88, 50.8, 4),
    ],
}


def tiny_weights(seed: int = 0, channels: Sequence[Channel] = EventTokenizer().channels) -> dict[str, np.ndarray]:
    """The state dict of a `ResidualLSTM` of one layer, drawn at random; longer notes likelier, so bars end soon."""
    generator = np.random.default_rng(seed)
    vocabulary = EventTokenizer.vocabulary
    shapes = {"embedding.weight": (len(vocabulary), WIDTH), "head_bias": (len(vocabulary),)}
    shapes |= {f"channels.{n}.weight": (c.size, WIDTH) for n, c in enumerate(channels)}
    for part in ("ih", "hh"):
        shapes |= {f"lstms.0.weight_{part}_l0": (4 * WIDTH, WIDTH), f"lstms.0.bias_{part}_l0": (4 * WIDTH,)}
    weights = {name: generator.normal(0, 0.3, shape).astype(np.float16) for name, shape in shapes.items()}
    durations = vocabulary.ids["Duration"]
    weights["head_bias"][durations.start + len(durations) // 3 :] += 2
    return weights


def tiny_files(weights: Mapping[str, np.ndarray] | None = None) -> dict[str, bytes]:
    """The files of a bundle but for bundle.json, by name."""
    weights = weights or tiny_weights()
    tokens = list(EventTokenizer.vocabulary.tokens)
    return {
        "step.onnx": build_step_graph(step_weights(weights)),
        "weights.safetensors": save(dict(weights)),
        "vocabulary.json": json.dumps({"tokens": tokens, "counts": [1] * len(tokens)}).encode(),
        "originality.npz": build([]).to_bytes(),
    }


def write_planning_bundle(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write a bundle of one line whose model is told a plan, with a planner of random weights."""
    tokenizer = EventTokenizer(names_of(("read", "foreseen", "repetition", "form")))
    generator = np.random.default_rng(5)
    planner = {name: generator.normal(0, 0.4, shape).astype(np.float16) for name, shape in SHAPES.items()}
    planner["pickup"] = np.array([0.5], np.float16)
    files = tiny_files(tiny_weights(0, tokenizer.channels)) | {"planner.safetensors": save(planner)}
    tracks = [asdict(track) for track in style_tracks("folk")]
    told = {"channels": list(tokenizer.names), "tracks": tracks, "name": "folk"}
    return write_bundle(folder, files, told | dict(changes or {}))


def write_planning_band(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write a bundle whose model is told a plan for each of its tracks, with a planner of random weights."""
    tracks = [asdict(track) for track in style_tracks("band")]
    tokenizer = EventTokenizer(names_of(("read", "foreseen", "repetition", "form", "parts"), len(tracks)))
    generator = np.random.default_rng(6)
    planner = {n: generator.normal(0, 0.2, shape).astype(np.float16) for n, shape in (SHAPES | OF_TRACKS).items()}
    planner["pickup"] = np.zeros(1, np.float16)
    planner[CASTS] = np.zeros((2, MOST_TRACKS), np.float16)
    planner[CASTS][:, : len(tracks)] = 1
    files = tiny_files(tiny_weights(0, tokenizer.channels)) | {"planner.safetensors": save(planner)}
    told = {"channels": list(tokenizer.names), "tracks": tracks, "name": "band"}
    return write_bundle(folder, files, told | dict(changes or {}))


def write_harmonising_bundle(folder: Path) -> Path:
    """Write a bundle of four voices whose model is told a plan of chords, with a harmonist of random weights."""
    tokenizer = EventTokenizer(names_of(("read", "foreseen", "repetition", "harmony")))
    generator = np.random.default_rng(6)
    harmonist = {name: generator.normal(0, 0.4, shape).astype(np.float16) for name, shape in OF_HARMONIST.items()}
    harmonist["tones"] = np.full(OF_HARMONIST["tones"], 1 / 12, np.float16)
    files = tiny_files(tiny_weights(0, tokenizer.channels)) | {"harmonist.safetensors": save(harmonist)}
    tracks = [asdict(track) for track in style_tracks("chorale")]
    return write_bundle(folder, files, {"channels": list(tokenizer.names), "tracks": tracks, "name": "chorale"})


def tiny_rewriter(voices: int = 4, values: int = VALUES, heads: int = 2, reach: int = 8) -> dict[str, np.ndarray]:
    """The weights of a rewriter of one layer, drawn at random."""
    generator, width = np.random.default_rng(7), 12
    shapes = {"cells": (voices * (values + 2), width), "ground.0": (48, width), "ground.1": (49, width)}
    shapes |= {"ground.2": (3, width), "stem.weight": (width, 5 * width), "stem.bias": (width,)}
    for part, rows, columns in (("mix", 3, 1), ("out", 1, 1), ("up", 4, 1), ("down", 1, 4)):
        shapes[f"layers.0.{part}.weight"] = (rows * width, columns * width)
        shapes[f"layers.0.{part}.bias"] = (rows * width,)
    shapes |= {"layers.0.before.weight": (width,), "layers.0.between.weight": (width,), "norm.weight": (width,)}
    shapes |= {"layers.0.bias": (heads, 2 * reach + 1)}
    shapes |= {"head.weight": (voices * values, width), "head.bias": (voices * values,)}
    return {name: generator.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def write_rewriting_bundle(folder: Path) -> Path:
    """Write a bundle of four voices with a rewriter of random weights."""
    tracks = [asdict(track) for track in style_tracks("chorale")]
    files = tiny_files() | {"rewriter.safetensors": save(Rewriter.of(tiny_rewriter()).arrays())}
    return write_bundle(folder, files, {"tracks": tracks, "style_rules": ["no_parallels", "tonic_ending"]})


def write_drumming_bundle(folder: Path) -> Path:
    """Write a bundle of drums with a rewriter of random weights, to which most cells are silent."""
    weights = tiny_rewriter(len(KIT), HITS.values)
    weights["head.bias"].reshape(len(KIT), -1)[:, 0] += 6
    files = tiny_files() | {"rewriter.safetensors": save(Rewriter.of(weights).arrays())}
    return write_bundle(folder, files, {"tracks": [asdict(track) for track in style_tracks("drums")]})


def style_tracks(style: str) -> list[TrackInfo]:
    """The tracks of a shipped model."""
    return [TrackInfo(*row) for row in STYLES[style]]


def bundle_of(style: str, name: str = "") -> Bundle:
    """A bundle that says what tracks it writes, and has no file."""
    return Bundle(Path(style), {"name": name or style, "tracks": [asdict(track) for track in style_tracks(style)]})


def write_styles(folder: Path, styles: Iterable[str]) -> Path:
    """Write a bundle for each of these, all with the same random weights, as melody's folder of models has them."""
    files = tiny_files()
    for style in styles:
        tracks = [asdict(track) for track in style_tracks(style)]
        write_bundle(folder / style, files, {"name": style, "tracks": tracks, "density_limits": [1.25, 1.75]})
    return folder


def write_bundle(
    folder: Path, files: Mapping[str, bytes] | None = None, changes: Mapping[str, Any] | None = None
) -> Path:
    """Write a bundle of these files, its settings changed; a change to `...` leaves a setting out."""
    files = tiny_files() if files is None else files
    settings = {
        "format": 1,
        "name": "tiny",
        "description": "Random weights",
        "licence": "none",
        "model": {"name": "residual_lstm", "hidden_size": WIDTH, "layers": LAYERS, "dropout": 0.0, "attention": None},
        "tokenizer": EventTokenizer().config,
        "vocabulary_hash": EventTokenizer.vocabulary.hash,
        "tracks": [asdict(TrackInfo(*voice)) for voice in VOICES],
        "tempo_qpm": 96,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    whole = {name: value for name, value in (settings | dict(changes or {})).items() if value is not ...}
    (folder / "bundle.json").write_text(json.dumps(whole))
    return folder
