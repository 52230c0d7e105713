"""From a configuration to a run, and from a run to a bundle: where corpus, training and engine meet."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import FORMAT, LOCAL, TrackInfo
from melody.config import TrainConfig, changed, check_config, load_config
from melody.corpus import AugmentedSource, Split, TokenStore, open_store, shift_tables
from melody.corpus.wishes import Wishes, density_limits
from melody.errors import MelodyError
from melody.files import fresh_folder, refuse_overwrite
from melody.originality import Index, build, counts
from melody.score import Score, most_at_once, notes_of
from melody.tokens import EventTokenizer

if TYPE_CHECKING:
    from melody.tokens.miditok_adapter import MidiTokTokenizer

RUNS = Path("outputs/runs")


def train_from_config(path: Path, overrides: Sequence[str] = (), run: Path | None = None) -> int:
    """Train as a configuration file says, in `run` (default ``outputs/runs/NAME``); return the exit code.

    A run that was stopped goes on. Raises `ConfigError` for a configuration that does not check.
    """
    from melody.training import train

    config = load_config(path, overrides)
    store = open_store(config.corpus)
    tokenizer = tokenizer_of(store)
    train_split, valid_split = store.split("train"), store.split("valid")
    wishes = Wishes(density_limits(train_split)) if isinstance(tokenizer, EventTokenizer) else None
    tables = shift_tables(tokenizer, train_split)
    learnt = AugmentedSource(train_split, tables, config.data.transpose, config.data.plan_dropout, wishes)
    held_out = AugmentedSource(valid_split, shift_tables(tokenizer, valid_split), transpose=False)
    sizes = [channel.size for channel in tokenizer.channels]
    result = train(config, learnt, held_out, len(tokenizer.vocabulary), sizes, run or RUNS / config.name)
    return result.exit_code


def tokenizer_of(store: TokenStore) -> "EventTokenizer | MidiTokTokenizer":
    """The tokenizer with which a store was made. Raises `MelodyError` where its vocabulary has changed since."""
    config = store.info["tokenizer"]["config"]
    tokenizer = EventTokenizer(**config) if config.get("name") == EventTokenizer.name else _miditok(config)
    if store.vocabulary_hash != tokenizer.vocabulary.hash:
        raise MelodyError(f"{store.folder}: made with another vocabulary; run melody prepare {store.name} --force")
    return tokenizer


def _miditok(config: dict[str, Any]) -> "MidiTokTokenizer":
    from melody.tokens.miditok_adapter import MidiTokTokenizer

    return MidiTokTokenizer(**config)


def export_run(
    run: Path,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    fp32: bool = False,
    samples: int = 100,
    force: bool = False,
) -> Path:
    """Make a bundle of a run's best checkpoint; return its folder (default ``outputs/bundles/NAME``).

    `overrides` change what the configuration says of the bundle, as ``licence=CC0`` or ``style_rules=[no_parallels]``.

    The model card holds what `melody evaluate` finds of the very bundle, with `samples` compositions. `fp32` adds the
    step graph with 32-bit weights. Raises `MelodyError` where there is no best checkpoint, or the folder exists.
    """
    from melody.training.checkpoint import load_newest

    found = load_newest(run, "best")
    if found is None:
        raise MelodyError(f"{run}: has no best checkpoint; train it first: melody train CONFIG --run {run}")
    tensors, info = found
    config = check_config(changed(info["config"], overrides, run), run)
    target = out or LOCAL / config.name
    if not (force and (target / "bundle.json").is_file()):  # only a bundle is ever replaced
        refuse_overwrite(target, force=False)
    with fresh_folder(target) as fresh:
        _fill(fresh, config, {name: t.float().numpy() for name, t in tensors.items()}, info, fp32, samples)
    return target


def _fill(
    folder: Path, config: TrainConfig, weights: dict[str, Any], info: dict[str, Any], fp32: bool, samples: int
) -> None:
    """Write all files of a bundle."""
    from omegaconf import OmegaConf
    from safetensors.numpy import save

    from melody.engine.step_graph import build_step_graph, step_weights
    from melody.generation.styles import style_rules

    store = open_store(config.corpus)
    tokenizer = tokenizer_of(store)
    if not isinstance(tokenizer, EventTokenizer):
        raise MelodyError(
            f"{tokenizer.name}: its grammar is not melody's; such a model is for comparison, not a bundle"
        )
    style_rules(config.style_rules, tokenizer.vocabulary, [0])  # refuses unknown ones
    step = step_weights(weights, heads=config.model.attention.heads if config.model.attention else 0)
    (folder / "step.onnx").write_bytes(build_step_graph(step))
    if fp32:
        (folder / "step-fp32.onnx").write_bytes(build_step_graph(step, eight_bit=False))
    halves = {name: np.ascontiguousarray(weight, np.float16) for name, weight in weights.items()}
    (folder / "weights.safetensors").write_bytes(save(halves))
    seen = token_counts(store.split("train"), tokenizer)
    vocabulary = {"tokens": list(tokenizer.vocabulary.tokens), "counts": seen.tolist()}
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "config.yaml").write_text(
        OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))), encoding="utf-8"
    )
    index = build(named_pieces(store.split("train"), tokenizer))
    (folder / "originality.npz").write_bytes(index.to_bytes())
    settings = {
        "format": FORMAT,
        "name": config.name,
        "description": config.description,
        "licence": config.licence,
        "corpus": config.corpus,
        "tempo_qpm": config.tempo_qpm,
        "style_rules": list(config.style_rules),
        "density_limits": density_limits(store.split("train")),
        "styles": store.styles,
        "model": config.model.model_dump(mode="json"),
        "parameters": int(sum(w.size for w in weights.values())),
        "passes": info["pass"],
        "tokenizer": tokenizer.config,
        "vocabulary_hash": tokenizer.vocabulary.hash,
        "tracks": [asdict(track) for track in tracks_of(store.split("train"), tokenizer, config.track_names)],
        "originality": {"ngrams": len(index), "held_out": held_out_counts(store, tokenizer, index)},
        "scores": {"valid_nats_per_note_fp32": info["valid"]["nats_per_note"]},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())},
    }
    _write_settings(folder, settings)
    _evaluate_and_describe(folder, settings, store, samples)


def _write_settings(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _evaluate_and_describe(folder: Path, settings: dict[str, Any], store: TokenStore, samples: int) -> None:
    """Evaluate the bundle as it stands, and write its figures and the card."""
    from melody.card import model_card
    from melody.evaluation.evaluate import evaluate_model

    found = {split: evaluate_model(folder, split=split, samples=n) for split, n in (("valid", 0), ("test", samples))}
    settings["scores"] |= {f"{split}_nats_per_note": one.likelihood.nats_per_note for split, one in found.items()}
    settings["statistics"] = found["test"].statistics
    _write_settings(folder, settings)
    (folder / "README.md").write_text(model_card(settings, store.info), encoding="utf-8")


def named_pieces(split: Split, tokenizer: EventTokenizer) -> list[tuple[str, Score]]:
    """The pieces of a split as scores, each with its name."""
    return [(name, tokenizer.decode(split.piece(index)[0])) for index, name in enumerate(split.names)]


def held_out_counts(store: TokenStore, tokenizer: EventTokenizer, index: Index) -> list[str]:
    """What of each held-out piece stands in the training music: a line a piece, "known/n-grams" a track."""
    pieces = [score for split in ("valid", "test") for _, score in named_pieces(store.split(split), tokenizer)]
    return [" ".join(f"{known}/{ngrams}" for known, ngrams in counts(score, index)) for score in pieces]


def token_counts(split: Split, tokenizer: EventTokenizer) -> NDArray[np.int64]:
    """How often each token (V,) stands in a split, over all transpositions that training may draw.

    Keys count as they were written: a piece from nothing should not choose six sharps as lightly as one.
    """
    keys = tokenizer.vocabulary.ids["Key"]
    tables = shift_tables(tokenizer, split)
    counts = np.zeros(len(tokenizer.vocabulary), np.int64)
    for piece in range(len(split)):
        plain = np.bincount(split.piece(piece)[0], minlength=len(counts))
        least, greatest = split.shifts[piece].tolist()
        for shift in range(least, greatest + 1):
            shifted = np.bincount(tables.ids[shift - tables.lowest], weights=plain, minlength=len(counts)).astype(int)
            if shift:
                shifted[keys.start : keys.stop] = 0
            counts += shifted
    return counts


def tracks_of(split: Split, tokenizer: EventTokenizer, names: Sequence[str]) -> list[TrackInfo]:
    """The tracks of the split's pieces by number: name, program, and the pitches they hold."""
    scores = [score for _, score in named_pieces(split, tokenizer)]
    result = []
    for number in range(max(len(score.tracks) for score in scores)):
        tracks = [score.tracks[number] for score in scores if number < len(score.tracks)]
        pitch = np.concatenate([notes_of(track).pitch for track in tracks])
        programs = [int(track.program) for track in tracks]
        result.append(
            TrackInfo(
                name=names[number] if number < len(names) else f"Track {number + 1}",
                program=max(set(programs), key=programs.count),
                drums=sum(track.is_drum for track in tracks) * 2 > len(tracks),
                lowest=int(pitch.min(initial=127)),
                highest=int(pitch.max(initial=0)),
                mean=round(float(pitch.mean()), 2) if len(pitch) else 60.0,
                polyphony=max(most_at_once(notes_of(track)) for track in tracks),
            )
        )
    return result
