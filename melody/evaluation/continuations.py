"""Continuations beside what really followed: held-out pieces are cut, and composed on.

Of pieces of valid and test, four to eight bars are given and sixteen are composed, with the default settings and none
left out; the last one, which closes, is not counted. Two simple rivals stand beside: the primer's last bars over and
over, and the back-off n-grams of `melody.evaluation.ngram`, drawn under the same grammar and rules.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.corpus import Split, TokenStore
from melody.corpus.pieces import quantize_on_places
from melody.engine import Carry
from melody.evaluation.critic import FOLDS, judge
from melody.evaluation.form import GROOVES, TUNES, WHOLE, Excerpt, Statistic, curve_error
from melody.evaluation.harmony import Changes, harmonies
from melody.evaluation.ngram import ORDERS, CountModel
from melody.evaluation.players import FEW, FEW_IN, hardly_plays, statistics_of
from melody.generation import Composer
from melody.music.score import GRID, Score, bar_length, bars, clip, notes_of, set_notes
from melody.tokens.plan import Bar, bars_of, meter_of

GIVEN = (4, 8)  # bars, least and most
NEW = 16  # bars
LEAST_NEW = 8  # that follow in the shorter pieces, which stand in where there are too few long ones
COUNT = 60
LEAST_ONSETS = 8  # of a primer
WHOLE_BARS = 32
SE = "SE: distance of the curves of likeness"  # `melody.evaluation.form.curve_error`; of people, half against half
OF_CHORDS = ("nats of a chord change", "roots that fall a fifth", "chord as 4 bars ago")


Judge = Callable[[Sequence[Sequence[Bar]], Sequence[Sequence[Bar]]], float]  # AUC of ours beside theirs


@dataclass(frozen=True)
class Cut:
    """A held-out piece, cut: the primer, its bars, and those that really followed."""

    name: str
    primer: Score
    given: Sequence[Bar]
    followed: Sequence[Bar]  # up to NEW - 1 of them
    pickup: int
    bar_ticks: int
    score: Score  # the whole piece

    @property
    def bars(self) -> int:
        """The bars to be composed: those that are counted, and one that closes."""
        return len(self.followed) + 1


@dataclass(frozen=True)
class Figures:
    """Statistics of continuations, next to what followed and next to the rivals, and how well they are told apart."""

    cuts: int
    rows: list[dict[str, Any]]  # statistic, model, followed, repeated, n-grams
    tracks: list[dict[str, Any]]  # of each track, where they are planned apart: statistic, model, followed
    around: list[dict[str, Any]]  # of the first track given and the others composed: statistic, model, followed
    whole: list[dict[str, Any]]  # of pieces from nothing: statistic, model, corpus
    critic: dict[str, Any]  # by side; empty without scikit-learn
    plan: dict[str, float]  # nats a note with the plan untold and told, and what the plan itself costs

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def cuts(store: TokenStore, bundle: Bundle, count: int = COUNT, splits: Sequence[str] = ("valid", "test")) -> list[Cut]:
    """Up to so many cut pieces of some splits, always the same ones."""
    found: list[Cut] = []
    generator = np.random.default_rng(0)
    for name in splits:
        split = store.split(name)
        found += [cut for index in range(len(split)) if (cut := _cut(split, index, bundle, generator)) is not None]
    long = [place for place, cut in enumerate(found) if cut.bars == NEW]
    order = [long[place] for place in generator.permutation(len(long)).tolist()]
    order += sorted(set(range(len(found))) - set(long), key=lambda place: -found[place].bars)
    return [found[place] for place in sorted(order[:count])]


def _cut(split: Split, index: int, bundle: Bundle, generator: np.random.Generator) -> Cut | None:
    """A piece cut somewhere; None where it is too short."""
    ids = split.piece(index)[0]
    all_bars, pickup = bars_of(ids.tolist())
    given = int(generator.integers(GIVEN[0], GIVEN[1] + 1)) + pickup
    if len(all_bars) < given + NEW:
        given = GIVEN[0] + pickup
    new = min(NEW, len(all_bars) - given)
    if new < LEAST_NEW or sum(map(len, all_bars[:given])) < LEAST_ONSETS:
        return None
    score = bundle.tokenizer.decode(ids)
    for track, info in zip(score.tracks, bundle.tracks, strict=False):
        # as a musician's tracks have names: each goes on in its own place, and who is silent throughout is not there
        track.name = info.name if len(track.notes) else ""
    lines = bars(score)
    ticks = int(lines[pickup + 1] - lines[pickup])
    followed = all_bars[given : given + new - 1]
    return Cut(split.names[index], clip(score, 0, given), all_bars[:given], followed, pickup, ticks, score)


def figures(
    composer: Composer,
    store: TokenStore,
    counted: CountModel,
    count: int,
    from_nothing: int,
    options: Mapping[str, Any],
    judges: Mapping[str, Judge] = MappingProxyType({}),
) -> Figures:
    """So many cut pieces composed on, and pieces from nothing; nothing is left out. `options` hold for the model's.

    `judges` are further critics of the model's, by name.
    """
    bundle, by_ngrams = composer.bundle, Composer(composer.bundle)
    by_ngrams.engine = NgramEngine(counted, ORDERS)
    cut = cuts(store, bundle, count)
    sides = {
        "model": [continued(composer, one, seed, **options) for seed, one in enumerate(cut)],
        "followed": [list(one.followed) for one in cut],
        "repeated": [repeated(one) for one in cut],
        "n-grams": [continued(by_ngrams, one, seed) for seed, one in enumerate(cut)],
    }
    drums = bundle.tracks[0].drums
    harmony = harmonies(Changes.of(_whole_excerpts(store, "train"))) if _has_harmony(bundle) else {}
    if drums:  # a band's tune and bass have no places of their own
        harmony = {name: found for name, found in harmony.items() if name in OF_CHORDS}
    rows = [*_rows((GROOVES if drums else TUNES) | harmony, cut, sides), _curves(cut, sides)]
    played = {side: sides[side] for side in ("model", "followed")}
    tracks = _rows(statistics_of(bundle.tracks), cut, played) if bundle.tokenizer.parts else []
    around = []
    if harmony and not drums:
        led = [one for one in cut if any(event[1] == 0 for bar in one.followed for event in bar)]  # there is a tune
        new = [continued_around(composer, one, seed) for seed, one in enumerate(led)]
        around = _rows(harmony, led, {"model": new, "followed": [list(one.followed) for one in led]})
    rules = bool(options.get("style_rules", True))
    critic = _criticised(cut, sides)
    if critic:
        critic["model"] |= {name: one(sides["model"], sides["followed"]) for name, one in judges.items()}
    return Figures(len(cut), rows, tracks, around, _whole(composer, store, from_nothing, rules), critic, {})


def _has_harmony(bundle: Bundle) -> bool:
    """Return True for a model of several pitched tracks, or of one that holds chords."""
    return sum(track.polyphony for track in bundle.tracks if not track.drums) > 1


def _rows(
    statistics: Mapping[str, Statistic], cut: Sequence[Cut], sides: Mapping[str, Sequence[Sequence[Bar]]]
) -> list[dict[str, Any]]:
    """Return each statistic of each side."""
    excerpts = {side: list(map(_excerpt, cut, new)) for side, new in sides.items()}
    return [
        {"statistic": name, **{side: statistic(those) for side, those in excerpts.items()}}
        for name, statistic in statistics.items()
    ]


def _curves(cut: Sequence[Cut], sides: Mapping[str, Sequence[Sequence[Bar]]]) -> dict[str, Any]:
    """Return how far the curve of likeness of each side is from that of what followed."""
    excerpts = {side: list(map(_excerpt, cut, new)) for side, new in sides.items()}
    theirs = excerpts.pop("followed")
    found = {side: curve_error(ours, theirs) for side, ours in excerpts.items()}
    return {"statistic": SE, **found, "followed": curve_error(theirs[::2], theirs[1::2])}


def _excerpt(cut: Cut, new: Sequence[Bar]) -> Excerpt:
    return Excerpt([*cut.given, *new], len(cut.given), cut.pickup, cut.bar_ticks)


def _criticised(cut: Sequence[Cut], sides: Mapping[str, Sequence[Sequence[Bar]]]) -> dict[str, Any]:
    """Return how well the critic tells each side from what followed; nothing without scikit-learn."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return {}
    if len(cut) <= FOLDS:
        return {}
    given = [one.given for one in cut]
    others = {side: new for side, new in sides.items() if side != "followed"}
    return {side: asdict(judge(given, new, sides["followed"])) for side, new in others.items()}


def _whole(composer: Composer, store: TokenStore, count: int, style_rules: bool) -> list[dict[str, Any]]:
    """Pieces of 32 bars from nothing, beside the held-out pieces of as many bars or more."""
    tokenizer, default = composer.bundle.tokenizer, composer.bundle.style_value(None)
    takes = composer.compose(bars=WHOLE_BARS, takes=count, seed=0, style_rules=style_rules) if count else []
    ours = [_whole_excerpt(tokenizer.spell(quantize_on_places(take.notation)).tolist()) for take in takes]
    theirs = [one for name in ("valid", "test") for one in _whole_excerpts(store, name, default)]
    if not ours or not theirs:
        return []
    long = [one for one in theirs if len(one.bars) >= WHOLE_BARS]
    statistics: Mapping[str, Statistic] = {} if composer.bundle.tracks[0].drums else WHOLE
    if composer.bundle.tokenizer.parts and not composer.bundle.tracks[0].drums:
        name = f"fewer than {FEW} notes of {composer.bundle.tracks[0].name} in {FEW_IN} bars"
        statistics = {**statistics, name: partial(hardly_plays, track=0)}
    rows = [{"statistic": name, "model": found(ours), "corpus": found(long)} for name, found in statistics.items()]
    error, floor = curve_error(ours, theirs), curve_error(theirs[::2], theirs[1::2])
    return [*rows, {"statistic": SE, "model": error, "corpus": floor}]


def _whole_excerpts(store: TokenStore, name: str, style: int = 0) -> list[Excerpt]:
    """The first bars of the pieces of a split, of a style or of all (0)."""
    split = store.split(name)
    kept = [index for index in range(len(split)) if not style or split.styles[index] == style]
    return [_whole_excerpt(split.piece(index)[0].tolist()) for index in kept]


def _whole_excerpt(ids: Sequence[int]) -> Excerpt:
    found, pickup = bars_of(ids)
    ticks = int(bar_length(*meter_of(ids, pickup), GRID))
    return Excerpt(found[: WHOLE_BARS + pickup], 0, pickup, ticks)


def continued(composer: Composer, cut: Cut, seed: int, **options: Any) -> list[Bar]:
    """The bars that a model composes after the primer, the closing one not counted."""
    take = composer.compose(cut.primer, seed=seed, **{"bars": cut.bars} | options)[0]
    ids = composer.bundle.tokenizer.spell(quantize_on_places(take.notation))
    found, _ = bars_of(ids.tolist())
    new = found[len(cut.given) : len(cut.given) + cut.bars - 1]
    return [*new, *[()] * (cut.bars - 1 - len(new))]


def continued_around(composer: Composer, cut: Cut, seed: int) -> list[Bar]:
    """The bars that a model composes around the first track of what really followed."""
    lines = bars(cut.score)
    start, stop = (int(lines[len(cut.given) + more]) for more in (0, cut.bars))
    primer = cut.score.copy()
    for place, track in enumerate(primer.tracks):
        notes, end = notes_of(track), stop if place == 0 else start
        notes = notes.take(notes.onset < end)
        set_notes(track, notes._replace(duration=np.minimum(notes.duration, end - notes.onset)))
    return continued(composer, replace(cut, primer=primer), seed, with_tracks=("1",), bars=None)


def repeated(cut: Cut, length: int = 4) -> list[Bar]:
    """The last bars of the primer over and over."""
    last = list(cut.given[-length:])
    return [last[bar % len(last)] for bar in range(cut.bars - 1)]


@dataclass
class NgramEngine:
    """A count model as an engine: its carry is the last tokens."""

    model: CountModel
    context: int  # tokens before
    known: dict[tuple[int, ...], NDArray[np.float32]] = field(default_factory=dict)

    def start(self, batch: int) -> Carry:
        """No tokens yet."""
        return (np.full((batch, self.context), -1, np.float32),)

    def step(
        self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry
    ) -> tuple[NDArray[np.float32], Carry]:
        """Logits (B, V) after the tokens."""
        last = np.concatenate([carry[0][:, 1:], np.asarray(ids, np.float32)[:, None]], axis=1)
        return np.stack([self._logits(tuple(int(t) for t in row if t >= 0)) for row in last]), (last,)

    def _logits(self, before: tuple[int, ...]) -> NDArray[np.float32]:
        if before not in self.known:
            self.known[before] = np.log(self.model.following(before)).astype(np.float32)
        return self.known[before]
