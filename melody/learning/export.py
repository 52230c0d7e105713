"""Export of a run as a bundle: step graph, weights, vocabulary, index of the training music, figures and card."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import FORMAT, LOCAL, Bundle, TrackInfo, open_bundle
from melody.bundle.bundle import FEEL, HARMONISER, HARMONIST, PLANNER, SHIPPED
from melody.config import TrainConfig, changed, check_config
from melody.corpus import Split, TokenStore, open_store, shift_tables
from melody.corpus.draw_conditions import density_limits
from melody.errors import MelodyError
from melody.learning.added import keep_rewriter
from melody.learning.model_files import model_files, step_graph_of
from melody.learning.tokenizers import check_style, store_kind, tokenizer_of
from melody.music.originality import Index, build, counts
from melody.music.score import Score, end_tick, meters, most_at_once, notes_of
from melody.music.tensors import SMALL, shortened
from melody.storage.files import fresh_folder, refuse_overwrite
from melody.tokens.channels import layout_of, names_of
from melody.tokens.contract import Tokenizer


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
    refuse_bundle(target, force)
    with fresh_folder(target) as fresh:
        _fill(fresh, config, {name: t.float().numpy() for name, t in tensors.items()}, info, fp32, samples)
    return target


def refuse_bundle(folder: Path, force: bool = False) -> None:
    """Raise `MelodyError` where a bundle is there and `force` is not set, or something that is no bundle."""
    if not (folder / "bundle.json").is_file():
        refuse_overwrite(folder, force=False)
    elif not force:
        raise MelodyError(f"{folder}: a bundle is there; choose another folder, or pass `force`")


def _fill(
    folder: Path, config: TrainConfig, weights: dict[str, Any], info: dict[str, Any], fp32: bool, samples: int
) -> None:
    """Write all files of a bundle."""
    from omegaconf import OmegaConf
    from safetensors.numpy import save

    from melody.generation.rules.styles import style_rules
    from melody.generation.rules.voices import Voices
    from melody.learning.short_weights import rows_met, shorten_layers

    store = open_store(config.corpus)
    names = names_of(config.data.channels, config.data.voices)
    tokenizer = tokenizer_of(store, names)
    if not store_kind(store).composes:
        raise MelodyError(
            f"{tokenizer.name}: its grammar is not melody's; such a model is for comparison, not a bundle"
        )
    style_rules(config.style_rules, tokenizer.vocabulary, Voices([0]))  # refuses unknown ones
    check_style(config.default_style, store)
    met = rows_met(config, open_bundle(config.base) if config.base else None)
    for name, data in model_files(weights, config, names, met).items():
        (folder / name).write_bytes(data)
    if fp32 and (graph := step_graph_of(weights, config, names, eight_bit=False)) is not None:
        (folder / "step-fp32.onnx").write_bytes(graph)
    figures = {}
    if any(name.startswith("form_") for name in names):
        figures = _add_planner(folder, store, config.base, layout_of(names).parts)
    feel = add_feel(folder, store, config.base)
    chords = _add_harmonist(folder, store, config) if config.data.harmony else {}
    rewriter = keep_rewriter(folder, store, config)
    harmoniser = open_bundle(config.harmoniser) if config.harmoniser else None
    if harmoniser and harmoniser.harmonist and harmoniser.folder.parent != SHIPPED:
        (folder / HARMONISER).write_bytes(save(shortened(harmoniser.harmonist.weights, SMALL)))
    seen = token_counts(store.split("train"), tokenizer)
    vocabulary = {"tokens": list(tokenizer.vocabulary.tokens), "counts": seen.tolist()}
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "config.yaml").write_text(
        OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))), encoding="utf-8"
    )
    known = named_pieces(store.split("train"), tokenizer)
    index = build(known)
    (folder / "originality.npz").write_bytes(index.to_bytes())
    settings = {
        "format": FORMAT,
        "name": config.name,
        "description": config.description,
        "licence": config.licence,
        "corpus": config.corpus,
        "tempo_qpm": config.tempo_qpm,
        "top_p": config.top_p,
        "range_beyond": config.range_beyond,
        "default_style": config.default_style,
        "style_rules": list(config.style_rules),
        "density_limits": density_limits(store.split("train")),
        "styles": store.styles,
        "by_style": with_rules(by_style(known, store.split("train").styles.tolist(), store.styles), config),
        "model": config.model.model_dump(mode="json"),
        "parameters": int(sum(w.size for w in weights.values())),
        "passes": info["pass"],
        "tokenizer": tokenizer.config,
        "channels": list(names),
        "vocabulary_hash": tokenizer.vocabulary.hash,
        "tracks": [asdict(track) for track in _tracks_of(known, config)],
        "originality": {"ngrams": len(index), "held_out": held_out_counts(store, tokenizer, index)},
        "scores": {"valid_nats_per_note_fp32": info["valid"]["nats_per_note"]},
        "valid_temperature": config.evaluation.temperature,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())},
    }
    if figures:
        settings["planner"] = figures
    if feel:
        settings["feel"] = feel
    if chords:
        settings |= {"harmony": config.data.harmony, "harmonist": chords}
        settings |= {name: getattr(config, name) for name in ("harmony_temperature", "harmony_fit", "chord_plans")}
    settings |= rewriter
    if harmoniser and harmoniser.folder.parent == SHIPPED:
        settings["harmoniser"] = harmoniser.name
    if config.base:
        settings["base"] = _base(open_bundle(config.base), store, info)
    _write_settings(folder, settings)
    _write_settings(folder, settings := shorten_layers(open_bundle(folder), store))
    _evaluate_and_describe(folder, settings, store, samples)


def _add_planner(folder: Path, store: TokenStore, base: str | None, parts: int = 0) -> dict[str, float]:
    """Train the planner of a corpus and write it; return what the plans of valid cost it, and n-grams.

    It plans pieces, or so many `parts` of them apart. A model that was made from another one keeps that one's if it
    plans as many: few pieces teach no form.
    """
    from safetensors.numpy import save

    from melody.learning.plan_model import learn_planner, nats_per_bar, ngram_nats_per_bar, planned

    train, valid = (planned(store.split(name), store.styles, parts > 0) for name in ("train", "valid"))
    found = open_bundle(base) if base else None
    if found is not None and found.planner is not None and layout_of(found.channels).parts == parts:
        planner = found.planner
        (folder / PLANNER).write_bytes(found.read(PLANNER))
    elif train:
        planner = learn_planner(train, valid)
        (folder / PLANNER).write_bytes(save(shortened(planner.weights, SMALL)))
    else:
        return {}
    nats, bars = nats_per_bar(planner, valid), sum(piece.plan.bars for piece in valid)
    return {
        "valid_nats_per_bar": nats,
        "valid_nats_per_note": nats * bars / max(1, int(store.split("valid").notes.sum())),
        "ngram": ngram_nats_per_bar(train, valid) if train and valid else nats,
    }


def add_feel(folder: Path, store: TokenStore, base: str | None = None) -> dict[str, float]:
    """Train the feel of a corpus that was played and write it; return what hits of valid cost it.

    A model that was made from another one keeps that one's. Of music that was written, or whose store was made before
    there was feel, there is none.
    """
    from safetensors.numpy import save

    from melody.corpus.played import read_played
    from melody.learning.feel_model import figures_of, learn_feel

    found = open_bundle(base) if base else None
    if found is not None and found.feel is not None:
        (folder / FEEL).write_bytes(found.read(FEEL))
        return dict(found.settings["feel"])
    played = {split: list(read_played(store, split).values()) for split in ("train", "valid")}
    if not played["train"]:
        return {}
    feel = learn_feel(played["train"], played["valid"])
    (folder / FEEL).write_bytes(save(shortened(feel.weights)))
    return figures_of(feel, played)


def _add_harmonist(folder: Path, store: TokenStore, config: TrainConfig) -> dict[str, float]:
    """Train the harmonist of a corpus and write it; return what the chords of valid cost it, and n-grams.

    Of a model that was made from another one it may be that one's: the one to which valid costs least.
    """
    from safetensors.numpy import save

    from melody.learning.harmony_model import harmonised, learn_harmonist, nats_per_step, ngram_nats_per_step

    assert config.data.harmony
    train, valid = (harmonised(store.split(name), config.data.harmony) for name in ("train", "valid"))
    base = open_bundle(config.base).harmonist if config.base else None
    if not valid or not (train or base):
        return {}
    style = 1 + store.styles.index(config.default_style) if config.default_style else 0
    known = [learn_harmonist(train, valid, style)] if train else []
    known += [base] if base else []
    costs = [nats_per_step(one, valid) for one in known]
    best = min(range(len(known)), key=lambda place: sum(costs[place].values()))
    (folder / HARMONIST).write_bytes(save(shortened(known[best].weights, SMALL)))
    return costs[best] | {"ngram": ngram_nats_per_step(train, valid) if train else costs[best]["chord"]}


def _base(base: Bundle, store: TokenStore, info: dict[str, Any]) -> dict[str, Any]:
    """Return the model that this one was made from, and what the held-out pieces cost it."""
    from melody.engine import open_engine
    from melody.evaluation.likelihood import likelihood_of

    if base.settings["files"][base.weights_file] != info["run"]["base"]:
        raise MelodyError(f"{base.folder}: is another model now than the run started from; put that one back")
    engine, found = open_engine(base), {}
    for name in ("valid", "test"):
        split = store.split(name)
        pieces = [split.piece(index)[0] for index in range(len(split))]
        found[f"{name}_nats_per_note"] = likelihood_of(pieces, int(split.notes.sum()), base, engine).nats_per_note
    fp32 = {"valid_nats_per_note_fp32": info["base_nats_per_note"]}
    return {"name": base.name, "sha256": info["run"]["base"], **found, **fp32}


def _write_settings(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _evaluate_and_describe(folder: Path, settings: dict[str, Any], store: TokenStore, samples: int) -> None:
    """Evaluate the bundle as it stands, and write its figures and the card."""
    from melody.evaluation.continuations import COUNT
    from melody.evaluation.evaluate import evaluate_model, learn_counts
    from melody.learning.card import add_figures, write_card

    counted = learn_counts(store)
    cut = COUNT if {PLANNER, HARMONIST} & settings["files"].keys() else 0
    for s, n in (("valid", 0), ("test", samples)):
        found = evaluate_model(folder, split=s, samples=n, counted=counted, continuations=cut if n >= COUNT else 0)
        add_figures(settings, found)
    settings["samples"] = samples
    write_card(folder, settings, store)


def named_pieces(split: Split, tokenizer: Tokenizer) -> list[tuple[str, Score]]:
    """The pieces of a split as scores, each with its name."""
    return [(name, tokenizer.decode(split.piece(index)[0])) for index, name in enumerate(split.names)]


def held_out_counts(store: TokenStore, tokenizer: Tokenizer, index: Index) -> list[str]:
    """Count what of each held-out piece stands in the training music: a line a piece, "known/n-grams" a track."""
    pieces = [score for split in ("valid", "test") for _, score in named_pieces(store.split(split), tokenizer)]
    return [" ".join(f"{known}/{ngrams}" for known, ngrams in counts(score, index)) for score in pieces]


def token_counts(split: Split, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Count each token (V,) in a split, over all transpositions that training may draw.

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


def by_style(known: Sequence[tuple[str, Score]], styles: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """The programs of each track, and the tempo and meter, of most pieces in each style; empty where all are the same.

    The default tempo of scores, 120, is none that a piece states.
    """
    result: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        scores = [score for (_, score), style in zip(known, styles, strict=True) if style == number]
        if not scores:
            continue
        stated: dict[str, Any] = {}
        tempos = [score.tempos[0].qpm for score in scores if len(score.tempos) and round(score.tempos[0].qpm) != 120]
        if 2 * len(tempos) > len(scores):
            stated["tempo_qpm"] = round(float(np.median(tempos)), 1)
        mains = [_main_meter(score) for score in scores]
        if 2 * mains.count(common := max(sorted(set(mains)), key=mains.count)) > len(mains):
            stated["meter"] = list(common)
        result[name] = {"programs": _programs(scores), **stated}
    told = list(result.values())
    return result if any(one != told[0] for one in told) else {}


def with_rules(styles: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    """Settings of each style, with the rules that it has of its own."""
    for name, rules in config.rules_by_style.items():
        if name not in styles:
            raise MelodyError(f"`rules_by_style`: {name!r} is no style of {config.corpus} that has settings of its own")
        styles[name]["style_rules"] = list(rules)
    return styles


def _main_meter(score: Score) -> tuple[int, int]:
    """Return the meter of most of a piece's time."""
    changes = meters(score)
    ends = [tick for tick, _, _ in changes[1:]] + [max(end_tick(score), changes[-1][0])]
    return max(((end - tick, (n, d)) for (tick, n, d), end in zip(changes, ends, strict=True)))[1]


def _programs(scores: Sequence[Score]) -> list[int]:
    """The commonest program of each track where it has notes, or else where it has none."""
    result = []
    for number in range(max(len(score.tracks) for score in scores)):
        tracks = [score.tracks[number] for score in scores if number < len(score.tracks)]
        programs = [int(track.program) for track in tracks if len(track.notes)] or [int(t.program) for t in tracks]
        result.append(max(sorted(set(programs)), key=programs.count))
    return result


def _tracks_of(known: Sequence[tuple[str, Score]], config: TrainConfig) -> list[TrackInfo]:
    return tracks_of([score for _, score in known], config.track_names, config.track_roles)


def tracks_of(scores: Sequence[Score], names: Sequence[str], roles: Sequence[str] = ()) -> list[TrackInfo]:
    """The tracks of pieces by number: name, program, the pitches they hold, and their role."""
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
                role=roles[number] if number < len(roles) else "",
            )
        )
    return result
