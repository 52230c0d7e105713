"""Pieces that a model draws while it learns from rewards, what they earn, and how they are judged.

The model composes with the bundle that it started from (its planner, its harmonist, its ranges), by the weights that
it has just learned, without the rules of its style, and from all of the probability (top-p 1). Some groups begin from
nothing, others go on from the first bars of training pieces; the members of a group have their beginning in common.
What a token earns is what is earned at its tick and later, less by a factor of e with each `reach` bars between, times
the reward's own (`melody.evaluation.rewards.REACH`).

Held-out pieces are not seen: primers, n-grams and the pieces that the critic compares with are of the train split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.config import AdversarialConfig, PolicyConfig, TrainConfig
from melody.corpus import TokenStore
from melody.engine import Engine, engine_of
from melody.engine.told import told_by
from melody.errors import MelodyError
from melody.evaluation.continuations import NEW, Cut, cuts
from melody.evaluation.critic import FOLDS, told_apart
from melody.evaluation.rewards import REACH, REWARDS, Composed, Earned
from melody.generation.decoders import DECODERS
from melody.generation.held import voices_of
from melody.generation.prefix import TakePlan
from melody.generation.prepared import Prepared, prepare
from melody.generation.rules.contract import Rule, ruling_of
from melody.generation.rules.styles import style_rules
from melody.generation.sampling import Sampling
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.learning.model_files import encoder_of, step_graph_of
from melody.music.originality import distinct, piece_share
from melody.music.score import GRID, clip
from melody.tokens.harmony import Moment, Told
from melody.tokens.plan import bars_of, key_of

if TYPE_CHECKING:
    from torch import nn

    from melody.training.objectives.policy import DrawnPieces

MOST_PRIMERS = 200
TREES = 60  # of the critic
JUDGED = ("reward", "distinct", "in_training", "critic", "notes_a_bar")
BAR = 4 * GRID  # ticks
OF_JUDGES = 2**32  # seeds from here on are those of pieces that are judged


class Read(NamedTuple):
    """A piece as training reads it."""

    ids: list[int]
    context: NDArray[np.int16]  # (T, C), of every token but the last
    drawn: NDArray[np.bool_]  # (T,): the token that follows was drawn
    tick: NDArray[np.int64]  # (T,), of the token that follows
    bar: NDArray[np.int64]  # likewise
    forbidden: NDArray[np.bool_]  # (T, V), of the token that follows; (T, 0) without rules
    way_on: NDArray[np.int64]  # (T,): the token by which rules lead on, -1 for none
    stakes: NDArray[np.float32]  # (T,): what the rules count that speak there


@dataclass(frozen=True)
class Drawing:
    """Draws and judges pieces for a configuration; see the module."""

    bundle: Bundle
    store: TokenStore
    config: TrainConfig
    section: PolicyConfig | AdversarialConfig

    @cached_property
    def primers(self) -> list[Cut]:
        """Training pieces, cut."""
        return cuts(self.store, self.bundle, MOST_PRIMERS, ("train",))

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of what `judge` finds."""
        return (*JUDGED, *self.section.rewards)

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def draw(self, model: "nn.Module", number: int) -> "DrawnPieces":
        """Draw pieces for the n-th time, and say what they earn."""
        generator = np.random.default_rng([self.config.data.seed, number])
        engine, section = self._engine(model), self.section
        read: list[Read] = []
        earned: list[NDArray[np.float32]] = []
        sums = np.zeros(2)
        groups = max(1, section.pieces // section.group)
        for group in range(groups):
            bars = int(generator.integers(section.bars[0], section.bars[1] + 1))
            primed = len(self.primers) > 0 and group < primed_of(groups, section.primed, number)
            cut = self.primers[int(generator.integers(len(self.primers)))] if primed else None
            prepared = self._prepared(engine, cut, bars, top_p=1.0)
            seeds = [Seed(number, group * section.group + place) for place in range(1, section.group + 1)]
            for seed, one in zip(seeds, self._decoded(prepared, engine, seeds), strict=True):
                piece = self._composed(prepared, seed, [*prepared.ids, *one])
                found = self._earned(piece)
                read.append(_read(prepared, seed, one, self._rules(prepared)))
                parts = [_returns(read[-1], pairs, section.reach * REACH.get(name, 1.0)) for name, pairs in found]
                earned.append(np.sum(parts, axis=0, dtype=np.float32) + np.zeros(len(read[-1].tick), np.float32))
                sums += sum(value for _, pairs in found for _, value in pairs), 1
        return _as_tensors(read, earned, section.group, sums[0] / sums[1])

    def _engine(self, model: "nn.Module") -> Engine:
        weights = {name: weight.float().cpu().numpy() for name, weight in model.state_dict().items()}
        graph = step_graph_of(weights, self.config, self.bundle.channels)
        if graph is None:
            raise MelodyError(
                f"model {self.config.model.name}: has no step graph to draw with; it cannot learn rewards"
            )
        return engine_of(graph, self.config.name, told_by(self.bundle, encoder_of(weights, self.config)))

    def _prepared(self, engine: Engine, cut: Cut | None, bars: int, top_p: float) -> Prepared:
        settings = Settings(bars=bars, style_rules=False, sampling=Sampling(top_p=top_p))
        return prepare(self.bundle, engine, cut.primer if cut else None, settings)

    def _rules(self, prepared: Prepared) -> "list[tuple[Rule, float]]":
        """The rules that are learned, of the voices that sound, and what they count."""
        vocabulary, voices = self.bundle.tokenizer.vocabulary, voices_of(self.bundle, sorted(prepared.rooms))
        rules = style_rules(list(self.section.rules), vocabulary, voices)
        return list(zip(rules, self.section.rules.values(), strict=True))

    def _decoded(self, prepared: Prepared, engine: Engine, seeds: Sequence[Seed]) -> list[list[int]]:
        drawn = DECODERS["sampling"].decode(prepared, engine, seeds)
        return [one.ids for one in drawn]

    def _composed(self, prepared: Prepared, seed: Seed, ids: list[int]) -> Composed:
        score = self.bundle.tokenizer.decode(np.array(ids))
        bars, pickup = bars_of(ids)
        first = prepared.region.first
        form = prepared.plan_of(seed)
        index = self.bundle.originality if "originality" in self.section.rewards else None
        return Composed(score, bars, pickup, first, prepared.region.closes, self.bundle.tracks, form, index)

    def _earned(self, piece: Composed) -> list[tuple[str, list[Earned]]]:
        """Return all that a piece earns by each reward, weighed."""
        weighed = self.section.rewards.items()
        return [(name, [(tick, weight * value) for tick, value in REWARDS[name](piece)]) for name, weight in weighed]

    # ---- judging ----------------------------------------------------------------------------------------------------

    def judge(self, model: "nn.Module") -> Mapping[str, float]:
        """Judge continuations of training pieces, always the same, beside what really followed."""
        engine, rewards = self._engine(model), self.section.rewards
        cut = [one for one in self.primers if one.bars == NEW][: self.section.judged]
        pieces: list[Composed] = []
        for number, one in enumerate(cut, 1):
            prepared = self._prepared(engine, one, one.bars, self.bundle.top_p)
            seed = Seed(OF_JUDGES, number)
            (ids,) = self._decoded(prepared, engine, [seed])
            pieces.append(self._composed(prepared, seed, [*prepared.ids, *ids]))
        parts = {
            name: sum(value for piece in pieces for _, value in REWARDS[name](piece)) / max(1, len(pieces))
            for name in rewards
        }
        total = sum(weight * parts[name] for name, weight in rewards.items())
        new = [clip(piece.score, piece.first, len(piece.bars)) for piece in pieces]
        ours = [_filled(piece.bars[piece.first :], len(one.followed)) for piece, one in zip(pieces, cut, strict=True)]
        shares = [share for score in new if (share := piece_share(score, self.bundle.originality)) == share]
        found = {
            "reward": total,
            "distinct": float(_distinct(pieces, new)),
            "in_training": float(np.mean(shares)) if shares else 0.0,
            "critic": _critic(cut, ours),
            "notes_a_bar": sum(len(bar) for bars in ours for bar in bars) / max(1, sum(map(len, ours))),
        }
        return {name: float((found | parts)[name]) for name in self.judged}


def primed_of(groups: int, share: float, number: int) -> int:
    """The number of groups that begin from music in the n-th draw: over many draws exactly their share."""
    return floor(groups * share * (number + 1)) - floor(groups * share * number)


def _distinct(pieces: Sequence[Composed], new: Sequence[Any]) -> int:
    """Count the distinct n-grams of the new bars of pieces, those of each track apart; of drums distinct bars."""
    if all(info.drums for info in pieces[0].tracks):
        return len({key_of(bar) for piece in pieces for bar in piece.bars[piece.first :]})
    return distinct(new)


def _filled(bars: Sequence[Any], count: int) -> list[Any]:
    return [*bars[:count], *[()] * (count - len(bars))]


def _critic(cut: Sequence[Cut], ours: Sequence[Any]) -> float:
    """Return how well a forest tells continuations from what followed; a half, where there are too few."""
    if len(cut) <= 2 * FOLDS:
        return 0.5
    return told_apart([one.given for one in cut], ours, [one.followed for one in cut], TREES)


# ---- as training reads them -----------------------------------------------------------------------------------------


def _read(prepared: Prepared, seed: Seed, drawn: Sequence[int], rules: Sequence[tuple[Rule, float]] = ()) -> Read:
    """Read a piece as its model did, by the plans of its take, and see what rules ask for, each with its weight."""
    ids = [*prepared.ids, *drawn]
    plan = prepared.prefix.reader.plan if prepared.opening is None else prepared.opening.before.reader.plan
    reader = prepared.bundle.tokenizer.reader(plan)
    bar = reader.ids["Bar"][0]
    last = max(place for place, token in enumerate(prepared.ids) if token == bar)
    context = np.zeros((len(ids) - 1, len(reader.context)), np.int16)
    tick, number = np.zeros((2, len(ids)), np.int64)
    forbidden = np.zeros((len(ids) - 1, len(reader.vocabulary) if rules else 0), np.bool_)
    way_on, stakes = np.full(len(ids) - 1, -1, np.int64), np.zeros(len(ids) - 1, np.float32)
    for place, token in enumerate(ids):
        if place == last and prepared.opening is not None:
            reader.replan(*_as_drawn(prepared, seed))
        reader.read(token)
        tick[place], number[place] = reader.tick, max(0, reader.bar)
        if place < len(context):
            context[place] = reader.context
            if rules and place + 1 >= len(prepared.ids):
                ruling = ruling_of([rule for rule, _ in rules], reader)
                forbidden[place], way_on[place] = ruling.forbidden, -1 if ruling.way_on is None else ruling.way_on
                stakes[place] = max((rules[number][1] for number in ruling.spoken), default=0.0)
    follows = np.arange(1, len(ids)) >= len(prepared.ids)
    return Read(ids, context, follows, tick[1:], number[1:], forbidden, way_on, stakes)


def _as_drawn(prepared: Prepared, seed: Seed) -> TakePlan:
    """The plans of a take whose chords have been drawn."""
    plan = prepared.plans_of(seed)
    if plan.harmonist is None:
        return plan
    table = prepared.harmonies[seed].table()

    def known(moment: Moment) -> Told:
        return table

    return plan._replace(harmonist=known)


def _returns(read: Read, pairs: Sequence[Earned], reach: float) -> NDArray[np.float32]:
    """Return what each token (T,) earns: less with the distance of what is earned later."""
    whole = sum(value for tick, value in pairs if tick is None)
    at = np.array([tick for tick, _ in pairs if tick is not None], np.float64)
    values = np.array([value for tick, value in pairs if tick is not None], np.float64)
    distance = at[None] - read.tick[:, None]  # (T, events)
    shares = np.where(distance >= 0, np.exp(-np.maximum(distance, 0) / (reach * BAR)), 0.0)
    return (shares @ values + whole).astype(np.float32)


def _as_tensors(
    read: Sequence[Read], earned: Sequence[NDArray[np.float32]], group: int, reward: float
) -> "DrawnPieces":
    import torch

    from melody.training.objectives.policy import DrawnPieces

    longest = max(len(one.ids) for one in read)

    def padded(rows: Sequence[NDArray[Any]], length: int) -> torch.Tensor:
        result = np.zeros((len(rows), length, *rows[0].shape[1:]), rows[0].dtype)
        for place, row in enumerate(rows):
            result[place, : len(row)] = row
        return torch.from_numpy(result)

    return DrawnPieces(
        tokens=padded([np.array(one.ids, np.int64) for one in read], longest),
        context=padded([one.context for one in read], longest - 1),
        mask=padded([one.drawn for one in read], longest - 1),
        group=torch.arange(len(read)) // group,
        bar=padded([one.bar for one in read], longest - 1),
        earned=padded(earned, longest - 1),
        reward=torch.tensor(reward, dtype=torch.float32),
        forbidden=padded([one.forbidden for one in read], longest - 1),
        way_on=padded([one.way_on for one in read], longest - 1),  # behind the end nothing is read
        stakes=padded([one.stakes for one in read], longest - 1),
    )
