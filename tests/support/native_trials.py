"""Trials of the native core against Python, from a random generator: readers state by state, takes token by token."""

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any

import numpy as np

from melody.errors import MelodyError, UsageError
from melody.generation import Composer
from melody.generation.decoders import sampling
from melody.generation.decoders.contract import Continuation
from melody.generation.decoders.native_loop import CoreRules, native_loop
from melody.generation.prefix import Prefix
from melody.generation.rules.contract import Rule, narrowed
from melody.generation.rules.native_form import FORMS, form_of
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.score import Score
from melody.native.library import core
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import UNUSUAL, Layout, forming, layout_of, names_of
from melody.tokens.conditions import Conditions
from melody.tokens.harmony import SIZES as HARMONY
from melody.tokens.harmony import DrawChords, Told
from melody.tokens.native_reader import NativeReader, reader_for
from melody.tokens.plan import LAGS, LIKES, FormPlan, Symbol
from melody.tokens.vocabulary import KEYS, MAX_TRACKS

VOCABULARY = EventTokenizer.vocabulary
MODELS = ("chorale", "folk", "pop", "drums", "band")
Random = np.random.Generator


def layout(random: Random) -> Layout:
    """Some groups of channels, of so many voices, or a few of their channels alone."""
    planned = [group for group in UNUSUAL if random.random() < 0.5]
    groups = ["read", "foreseen", "repetition", *planned]
    names = names_of(groups, int(random.choice([1, 2, 4, 8, 16])))
    kept = [name for name in names if random.random() < 0.7]
    return layout_of(names if random.random() < 0.7 or not kept else tuple(kept))


def plan(random: Random, of: Layout) -> Plan:
    """Some knowledge of a piece."""
    foreseen = None
    if random.random() < 0.5:
        foreseen = Conditions(int(random.integers(1, 3000)), of.voices)
        foreseen.values[:] = random.integers(0, 4, foreseen.values.shape)
    return Plan(
        bars=int(random.integers(1, 40)) if random.random() < 0.8 else None,
        key=KEYS[random.integers(len(KEYS))] if random.random() < 0.5 else None,
        stop=int(random.integers(1, 20)) if random.random() < 0.3 else None,
        foreseen=foreseen,
        form=form(random) if forming(of) and random.random() < 0.7 else None,
        harmony=chords(random) if random.random() < 0.3 else None,
        harmonist=harmonist(random) if random.random() < 0.3 else None,
        whole=bool(random.random() < 0.3),
    )


def chords(random: Random) -> Told:
    """Chords that change now and then, and stop somewhere."""
    steps = random.integers(0, list(HARMONY.values()), (40, len(HARMONY))).astype(np.int16)
    return np.repeat(steps, random.choice([1, 12, 24, 48]), axis=0)[: int(random.integers(1, 1500))]


def harmonist(random: Random) -> DrawChords:
    """Chords that depend on the moment at which they are asked for."""
    own = int(random.integers(2**30))
    return lambda moment: chords(np.random.default_rng([own, *(number + 1 for number in moment)]))


def form(random: Random) -> FormPlan:
    """A plan of bars, of a piece or of each of its tracks, with bars that stand behind a gap."""

    def line() -> tuple[Symbol, ...]:
        lags = random.choice([0, 0, 1, 2, 4, 8, -2, -4, *LAGS], size=random.integers(1, 40)).tolist()
        return tuple(
            Symbol(lag, int(random.integers(1 if lag else 0, LIKES if not lag else LIKES + 1))) for lag in lags
        )

    ahead = {int(bar): tuple(sorted(map(tuple, events(random)))) for bar in random.integers(0, 40, 3)}
    tracks = tuple(line() for _ in range(random.integers(1, 5))) if random.random() < 0.5 else ()
    return FormPlan(() if tracks else line(), int(random.integers(2)), ahead, tracks)


def events(random: Random) -> list[list[int]]:
    """The events of a bar: place, track, hit, velocity, duration."""
    return random.integers(0, [96, 4, 256, 32, 200], (random.integers(0, 9), 5)).tolist()


def next_token(random: Random, reader: Reader) -> int | None:
    """A token that may follow, of a kind drawn first; None after EOS."""
    (lawful,) = reader.allow().nonzero()
    if not len(lawful):
        return None
    kinds = sorted({VOCABULARY.kind_of[token] for token in lawful} - {"End"}) or ["End"]
    if random.random() < 0.003 and VOCABULARY.ids["End"][0] in lawful:
        kinds = ["End"]
    if reader.kind in ("Pitch", "Drum", "Sustain") and random.random() < 0.9:
        kinds = ["Duration"]
    span = VOCABULARY.ids[kinds[random.integers(len(kinds))]]
    own = lawful[(lawful >= span.start) & (lawful < span.stop)]
    few = own[: 1 + int(random.geometric(0.1))]  # low ones more often, so that bars are full and repeat each other
    return int(few[random.integers(len(few))])


def assert_same(python: Reader, native: NativeReader) -> None:
    """Hold the state of two readers to each other."""
    told, other = python.context, native.context
    differ = np.flatnonzero(told != other)
    names = python.columns.layout.names
    assert not len(differ), [(names[column], told[column], other[column]) for column in differ]
    assert np.array_equal(python.allow(), native.allow())


def reader_trial(random: Random, most: int = 600) -> int:
    """Read a random piece by both readers; return the number of tokens."""
    of = layout(random)
    known = plan(random, of)
    python, native = Reader(VOCABULARY, known, of), reader_for(of, known)
    assert native is not None
    assert_same(python, native)
    for count in range(most):
        token = next_token(random, python)
        if token is None:
            return count
        if random.random() < 0.01:
            native = native.copy()  # the first one goes
        if random.random() < 0.004:
            others = form(random) if forming(of) else None, chords(random), harmonist(random)
            python.replan(*others)
            native.replan(*others)
        python.read(token)
        native.read(token)
        assert_same(python, native)
    return most


def hostile_trial(random: Random, most: int = 2000) -> None:
    """Give the core tokens in any order: it refuses, or reads on, and touches no memory but its own."""
    of = layout(random)
    native = reader_for(of, plan(random, of))
    assert native is not None
    header = [VOCABULARY.ids["Track"][0], VOCABULARY.ids["Program"][0]] * int(random.integers(MAX_TRACKS + 2))
    for token in [*header, *random.integers(-3, len(VOCABULARY) + 3, most).tolist()]:
        try:
            native.read(token)
        except ValueError:
            continue
        native.allow()


# ---- takes -----------------------------------------------------------------------------------------------------------


@cache
def composer(model: str) -> Composer:
    """A shipped model with the native engine."""
    return Composer(model, "native")


def options(random: Random) -> dict[str, Any]:
    """Some options of a composition from nothing."""
    found: dict[str, Any] = {"bars": int(random.integers(1, 7))}
    choices = {
        "key": ("C minor", "D major"),
        "meter": ((3, 4), (6, 8), (5, 4)),
        "temperature": (0.0, 0.7, 1.3),
        "top_k": (1, 5, 40),
        "top_p": (0.5, 0.9, 1.0),
        "min_p": (0.02,),
        "ending": (False,),
        "style_rules": (False,),
        "max_polyphony": (1, 2),
        "no_repeat": (3,),
        "density": ("low", "high"),
        "chords": ("C Am F G",),
        "tempo_qpm": (90.0,),
        "form": ("AABA",),
        "section": (1, 2),
        "strict_chords": (False,),
    }
    for name, values in choices.items():
        if random.random() < 0.25:
            found[name] = values[random.integers(len(values))]
    return found


@cache
def primer(model: str) -> Score:
    """A take of six bars."""
    return composer(model).compose(bars=6, seed=11)[0].score


def around(random: Random, model: str) -> tuple[Score, dict[str, Any]]:
    """A primer, and options that compose a gap of it, in all tracks or one, or around one of its tracks, or go on."""
    score = primer(model).copy()
    names = [info.name for info, track in zip(composer(model).bundle.tracks, score.tracks, strict=True) if track.notes]
    name = names[random.integers(len(names))]
    kind = random.integers(4)
    if kind == 0:
        return score, {"bars": int(random.integers(1, 5))}
    if kind == 1:
        return score, {"with_tracks": (name,)}
    gap = sorted(random.integers(1, 7, 2).tolist())
    return score, {"fill": tuple(gap)} | ({"tracks": (name,)} if kind == 2 else {})


def loop_trial(random: Random) -> int:
    """Draw takes by the loop in C and by the loop in Python; return the number of tokens; 0 for options that clash."""
    model = MODELS[random.integers(len(MODELS))]
    own = composer(model)
    score, asked = around(random, model) if random.random() < 0.5 else (None, options(random))
    try:
        prepared = own._prepare(score, settings_of(asked, None))
    except UsageError:
        return 0
    seeds = [Seed(int(random.integers(1000)), number) for number in range(1, 1 + int(random.integers(1, 6)))]
    start, draws = prepared.start(seeds), prepared.settings.sampling
    loop = native_loop(own.engine, start, prepared.rules, draws, [seed.generator() for seed in seeds])
    assert loop is not None
    if random.random() < 0.5:
        native = list(loop.drawn())
    else:
        native = by_rows(loop.continuations())
    kept, sampling.native_loop = sampling.native_loop, lambda *_: None
    try:
        python = list(sampling.stream(own.engine, start, prepared.rules, draws, [seed.generator() for seed in seeds]))
    finally:
        sampling.native_loop = kept
    native, python = sorted(native, key=itemgetter(0)), sorted(python, key=itemgetter(0))
    assert [pair[:2] for pair in native] == [pair[:2] for pair in python], (model, prepared.settings)
    assert np.allclose([nats for *_, nats in native], [nats for *_, nats in python], atol=1e-3)
    check_masks(start[0], prepared.rules, [token for row, token, _ in native if row == 0])
    return len(native)


def by_rows(continuations: Sequence[Continuation]) -> list[tuple[int, int, float]]:
    """Continuations as (row, token, nats)."""
    rows = enumerate(continuations)
    return [(row, token, nats) for row, one in rows for token, nats in zip(one.ids, one.nats, strict=True)]


def check_masks(prefix: Prefix, rules: Sequence[Rule], drawn: Sequence[int]) -> None:
    """Hold each rule that the core knows, and all of these together, to Python's, along a take."""
    library, known = core(), [rule for rule in rules if form_of(rule).name != FORMS[0]]
    assert library is not None
    assert prefix.native is not None
    sets = [*([rule] for rule in known), known]
    forms = [CoreRules(rules) for rules in sets]
    python, native, mask = prefix.reader.copy(), prefix.native.copy(), np.empty(len(VOCABULARY), bool)
    for token in drawn:
        lawful = python.allow()
        for rules, own in zip(sets, forms, strict=True):
            library.rules_narrow(own.items, len(rules), native.pointer, mask.ctypes.data)
            differ = np.flatnonzero(mask != narrowed(lawful, python, rules))
            assert not len(differ), ([form_of(rule).name for rule in rules], [VOCABULARY.tokens[t] for t in differ])
        python.read(token)
        native.read(token)


def trial(seed: int) -> None:
    """One trial of some kind. A `MelodyError` is a failure, too."""
    random = np.random.default_rng(seed)
    kind = random.integers(16)
    try:
        if kind == 0:
            loop_trial(random)
        elif kind < 4:
            hostile_trial(random)
        else:
            reader_trial(random, 300)
    except MelodyError as error:
        raise AssertionError(str(error)) from error
