"""A model in numbers: nats per note on held-out pieces, and what it composes beside what the corpus holds.

The samples are unfiltered: seeds 0, 1, 2 ... of the default settings, none left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle, open_bundle
from melody.corpus import TokenStore, open_store
from melody.engine import AUTO, open_engine
from melody.errors import UsageError
from melody.evaluation.compare import overlap
from melody.evaluation.continuations import Figures, Judge, figures
from melody.evaluation.feel import FeelFigures, feel_figures
from melody.evaluation.likelihood import Likelihood, likelihood_of, with_chords, with_form
from melody.evaluation.measured import RATES, SHARES, Measured
from melody.evaluation.ngram import CountModel, learn
from melody.evaluation.statistics import STATISTICS
from melody.generation import Composer
from melody.music.originality import build
from melody.music.score import Score
from melody.tokens.harmony import harmony_of
from melody.tokens.plan import meter_of
from melody.tokens.plan_finding import plan_of_piece
from melody.tokens.planner import Outline, Planner

DISTINCT = "distinct 8-note n-grams a piece"  # of all pieces together
IN_TRAINING = "8-note n-grams in training"  # as `melody.bundle.model_card` finds them


class CountFigure(NamedTuple):
    """Figure of a count model of the same training pieces (`melody.evaluation.ngram`)."""

    nats_per_note: float
    context: int  # tokens before, at most: the number that is best on valid


@dataclass(frozen=True)
class Music:
    """Music that is measured. `alone` is what the model composes without the rules of its style."""

    samples: Measured
    held_out: Measured
    alone: Measured | None  # where it was asked for, and `samples` were held to rules

    def overlap(self, name: str) -> float:
        """The overlapped area of samples and held-out pieces in a statistic; NaN where pieces have no value of it."""
        ours, theirs = (one.values.get(name, np.zeros(0)) for one in (self.samples, self.held_out))
        return overlap(*(side[np.isfinite(side)][:, None] for side in (ours, theirs)))


@dataclass(frozen=True)
class Evaluation:
    """Result of `melody evaluate`. `rules` are those of the style that the samples were held to."""

    model: str
    split: str
    samples: int
    bars: int  # of each sample
    seed: int
    likelihood: Likelihood
    count_model: CountFigure  # what any network has to beat
    rules: list[str]
    statistics: list[dict[str, Any]]
    music: Music | None  # None where no samples were asked for
    form: Figures | None = None  # None where no continuations were asked for
    feel: FeelFigures | None = None  # None for music that was written, not played
    chords: dict[str, float] | None = None  # nats a note with its chords untold and told; None where it knows of none

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        figures = {"nats_per_note": self.likelihood.nats_per_note, "nats_per_token": self.likelihood.nats_per_token}
        return {
            "model": self.model,
            "split": self.split,
            "samples": self.samples,
            "bars": self.bars,
            "seed": self.seed,
            "likelihood": asdict(self.likelihood) | figures,
            "count_model": self.count_model._asdict(),
            "chords": self.chords,
            "rules": self.rules,
            "statistics": self.statistics,
            "feel": self.feel.to_dict() if self.feel else None,
            "continuations": self.form.to_dict() if self.form else None,
        }


def evaluate_model(
    model: str | Path,
    *,
    split: str = "test",
    samples: int = 100,
    bars: int = 16,
    seed: int = 0,
    style_rules: bool = True,
    alone: bool = False,
    engine: str = AUTO,
    counted: CountModel | None = None,
    continuations: int = 0,
    options: Mapping[str, Any] = MappingProxyType({}),
    judges: Mapping[str, Judge] = MappingProxyType({}),
) -> Evaluation:
    """Evaluate a bundle on its own corpus's held-out pieces; `alone` composes once more without the style's rules.

    `counted` is the count model of its training pieces, where that is at hand. So many `continuations` of pieces of
    valid and test, composed with `options` of `Composer.compose`, stand beside what really followed; `judges` are
    critics of them besides the forest. Raises `UsageError` for another split.
    """
    if split not in ("valid", "test"):
        raise UsageError(f"split must be valid or test, got {split}")
    bundle = open_bundle(model)
    store = open_store(bundle.settings.get("corpus", ""))
    held_out = store.split(split)
    pieces = [held_out.piece(index)[0] for index in range(len(held_out))]
    likelihood = likelihood_of(pieces, int(held_out.notes.sum()), bundle, open_engine(bundle, engine))
    chords = _worth_of_chords(likelihood, pieces, bundle, engine) if bundle.harmonist is not None else None
    rules = list(bundle.style_rules) if style_rules else []
    music = None
    if samples:
        training = store.split("train")
        known = [(name, bundle.tokenizer.decode(training.piece(i)[0])) for i, name in enumerate(training.names)]
        index = build(known)

        def composed(style_rules: bool) -> Measured:
            return Measured(compose_samples(bundle, engine, samples, bars, seed, style_rules), index)

        reference = Measured([bundle.tokenizer.decode(ids) for ids in pieces], index)
        music = Music(composed(style_rules), reference, composed(False) if alone and rules else None)
    rows = compare_samples(music) if music else []
    counted = counted or learn_counts(store)
    figure = count_figure(store, split, counted)
    form = None
    if continuations:
        asked = dict(options) if style_rules else {"style_rules": False, **options}
        form = figures(Composer(bundle, engine), store, counted, continuations, samples, asked, judges)
        if bundle.planner is not None:
            form = replace(form, plan=_worth_of_plan(likelihood, pieces, bundle, bundle.planner, engine))
    feel = feel_figures(bundle.feel, store, split) if bundle.feel is not None else None
    return Evaluation(
        bundle.name, split, samples, bars, seed, likelihood, figure, rules, rows, music, form, feel, chords
    )


def _worth_of_chords(
    untold: Likelihood, pieces: Sequence[NDArray[np.integer]], bundle: Bundle, engine: str
) -> dict[str, float]:
    """Nats a note without shared harmony, and with it: the model told nothing of chords, and told those of each piece.

    Both are the same weights, which were told nothing of them in some of the pieces that they learned from. `plan` is
    what the chords themselves cost the harmonist, at what a step costs it on valid.
    """
    told = likelihood_of(pieces, untold.notes, bundle, open_engine(bundle, engine), with_chords(bundle))
    steps = sum(len(harmony_of(bundle.tokenizer.decode(ids), bundle.harmony_rate).steps) for ids in pieces)
    a_step = sum(bundle.settings["harmonist"][part] for part in ("chord", "bass", "phrases"))
    plan = a_step * steps / max(1, untold.notes)
    return {"untold": untold.nats_per_note, "told": told.nats_per_note, "plan": plan}


def _worth_of_plan(
    untold: Likelihood, pieces: Sequence[NDArray[np.integer]], bundle: Bundle, planner: Planner, engine: str
) -> dict[str, float]:
    """Nats a note with the plan of each piece untold and told, and what the plan costs its planner."""
    told = likelihood_of(pieces, untold.notes, bundle, open_engine(bundle, engine), with_form(bundle))
    cost, bars = 0.0, 0
    for ids in pieces:
        plan = plan_of_piece(ids.tolist(), apart=planner.is_of_tracks).plan
        outline = Outline(plan.pickup, plan.bars, meter_of(ids.tolist(), plan.pickup))
        cost, bars = cost + sum(planner.nats(plan, outline)), bars + plan.bars
    return {
        "untold": untold.nats_per_note,
        "told": told.nats_per_note,
        "plan": cost / max(1, untold.notes),
        "plan_per_bar": cost / max(1, bars),
    }


def learn_counts(store: TokenStore) -> CountModel:
    """Return the count model of the train split."""
    return learn(_pieces(store, "train"), int(store.info["tokenizer"]["vocabulary_size"]))


def count_figure(store: TokenStore, split: str, model: CountModel) -> CountFigure:
    """Return what the pieces of a split cost a count model of the train split."""
    pieces = {name: _pieces(store, name) for name in {split, "valid"} & set(store.splits)}
    if not pieces.get(split):
        return CountFigure(float("nan"), 0)
    nats = {name: model.nats(part) for name, part in pieces.items() if part}
    context = int(nats.get("valid", nats[split]).argmin())
    return CountFigure(float(nats[split][context]) / int(store.split(split).notes.sum()), context)


def _pieces(store: TokenStore, split: str) -> list[NDArray[np.integer]]:
    part = store.split(split)
    return [part.piece(index)[0] for index in range(len(part))]


def compose_samples(
    bundle: Bundle, engine: str, count: int, bars: int, seed: int, style_rules: bool = True
) -> list[Score]:
    """Takes 1 to `count` of a seed, from nothing, with the default settings."""
    takes = Composer(bundle, engine).compose(bars=bars, takes=count, seed=seed, style_rules=style_rules)
    return [take.notation for take in takes]


def compare_samples(music: Music) -> list[dict[str, Any]]:
    """Rows of (statistic, model, without rules, corpus, overlap): voice leading, statistics, originality.

    The third is there where the model alone was asked too. What has no sense for a corpus is left out: pitch for drums,
    and what stands between voices for a single line, or where a track holds chords.
    """
    sides = {"model": music.samples} | ({"without rules": music.alone} if music.alone else {})
    sides["corpus"] = music.held_out
    rows = [
        {"statistic": name, **{side: one.means[name] for side, one in sides.items()}, "overlap": music.overlap(name)}
        for name in _sensible(music)
    ]
    if music.held_out.distinct_ngrams:
        counts = {side: one.distinct_ngrams for side, one in sides.items()}
        rows.append({"statistic": DISTINCT, **counts, "overlap": float("nan")})
    shares = zip(*(one.in_training for one in sides.values()), strict=False)
    return rows + [
        {"statistic": f"track {number}: {IN_TRAINING}", **dict(zip(sides, row, strict=True)), "overlap": float("nan")}
        for number, row in enumerate(shares, 1)
    ]


def _sensible(music: Music) -> list[str]:
    """Return the names of the statistics that make sense for the corpus."""
    voices, means = music.held_out.voices, music.held_out.means
    between = [*RATES.values(), *SHARES.values()] if voices > 1 else [SHARES["tonic_cadence"]] if voices else []
    lone = {"polyphony"} if voices == 1 and music.samples.means["polyphony"] == 1 else set()
    return between + [name for name in STATISTICS if name not in lone and means[name] == means[name]]
