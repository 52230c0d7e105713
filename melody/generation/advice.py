"""Advice for a primer that is unlike a model's training music. Nothing is advised that was not tried.

No model is forced on a primer by the number of its tracks: where that one finds the music strange and another one that
has places for all of it does not, the other one is chosen.

Composing around the tracks is tried for some bars; other shipped models read the primer too. Both take a fraction of a
second, which only such a primer costs.
"""

from collections.abc import Sequence
from shlex import quote
from typing import Any

from melody.bundle import Bundle
from melody.engine import Engine
from melody.errors import MelodyError
from melody.generation.decoders import DECODERS
from melody.generation.engines import engine_of
from melody.generation.model_choice import Choice, shipped, suitable
from melody.generation.prefix import read_prefix
from melody.generation.prepared import Prepared, prepare
from melody.generation.primer.assignment import Asked
from melody.generation.primer.primer_fit import STRANGE, Fit, fit_of
from melody.generation.primer.primer_view import Primer, view_primer
from melody.generation.ranges import listed
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.music.score import TICKS_PER_QUARTER, Score, resample
from melody.tokens import Plan

TRIAL_BARS = 4
TRIAL_TOKENS = 400  # of a primer: enough to tell kinds of music apart
STRANGE_TRIAL = STRANGE  # times the typical cost, at which a trial did not go well
BETTER = 0.6  # of the model's own surprise, from which on another one is advised


def at_home(
    score: Score | None,
    with_tracks: Sequence[str] = (),
    mapping: Asked | None = None,
    add: Sequence[str] = (),
    contour: Sequence[float] | None = None,
) -> Choice | None:
    """Return the shipped model that suits a primer by its tracks, or one that knows such music much better.

    A primer that lacks some of the model's tracks is strange for that: these can be composed around it.
    """
    choice = suitable(score, with_tracks, mapping, add, contour)
    if choice is None or score is None or with_tracks or mapping or add or contour:
        return choice
    try:
        score = resample(score, TICKS_PER_QUARTER)
        primer = Primer(score, view_primer(score, choice.bundle))
    except MelodyError:  # composing will say so
        return choice
    if _silent(primer, choice.bundle):
        return choice
    own = _fit(primer, choice.bundle)
    better = _better(primer, choice.bundle, own) if own and own.is_strange else None
    if own is None or better is None:
        return choice
    other, fit = better
    times = f"{fit.times:.1f} times what is typical, {choice.bundle.name}, which has such tracks, {own.times:.1f} times"
    return Choice(other, f"it finds the music less strange: {times}")


def with_advice(prepared: Prepared, bundle: Bundle, engine: Engine) -> str:
    """Return the line about a primer that is unlike the training music, with what helps; empty where it is like it."""
    if prepared.unlike is None or prepared.primer is None:
        return ""
    found = [
        _around(prepared, bundle, engine),
        _other_model(prepared.primer, bundle, prepared.unlike),
        _kept(prepared, bundle, engine),
    ]
    return "; ".join([prepared.strange, *filter(None, found)])


def _around(prepared: Prepared, bundle: Bundle, engine: Engine) -> str:
    """Advice to compose the tracks that the model misses around those there are, where that goes well."""
    assert prepared.primer is not None
    view, names = prepared.primer.view, prepared.primer.names
    silent = _silent(prepared.primer, bundle)
    if prepared.settings.with_tracks or prepared.settings.add or not silent or prepared.unlike is None:
        return ""
    tracks = sorted(set(view.tracks.values()))
    mine = tuple(name if names.count(name := names[track]) == 1 and name else str(track + 1) for track in tracks)
    if not _goes_well(prepared.primer, bundle, engine, with_tracks=mine):
        return ""
    return f"{' '.join(f'`with_tracks` {quote(name)}' for name in mine)} composes {listed(silent)} around it"


def _silent(primer: Primer, bundle: Bundle) -> list[str]:
    """The names of the model's pitched tracks that the primer lacks."""
    return [i.name for place, i in enumerate(bundle.tracks) if not i.drums and place not in primer.view.tracks]


def _kept(prepared: Prepared, bundle: Bundle, engine: Engine) -> str:
    """Advice to keep the rhythm, where the model finds likely pitches for it, or the bars: those are the primer's."""
    assert prepared.primer is not None
    settings = prepared.settings
    if settings.with_tracks or settings.fill or settings.keep or settings.add:
        return ""
    rhythm = "`keep` rhythm holds its rhythm, " if _goes_well(prepared.primer, bundle, engine, keep="rhythm") else ""
    bars = _trial(prepared.primer, bundle, engine, keep="bars") is not None
    return f"{rhythm}`keep` bars repeats it with changes" if bars else rhythm.removesuffix(", ")


def _goes_well(primer: Primer, bundle: Bundle, engine: Engine, **asked: Any) -> bool:
    """Return True where a short trial of these settings is likely music to the model."""
    fit = _trial(primer, bundle, engine, **asked)
    return fit is not None and fit.times < STRANGE_TRIAL


def _trial(primer: Primer, bundle: Bundle, engine: Engine, **asked: Any) -> Fit | None:
    """The fit of a short trial of these settings; None where they cannot be had."""
    try:
        settings = Settings(bars=min(TRIAL_BARS, primer.view.bars), **asked)
        trial = prepare(bundle, engine, primer.score, settings)
        (drawn,) = DECODERS["sampling"].decode(trial, engine, [Seed(0, 1)])
    except MelodyError:
        return None
    return fit_of(sum(drawn.nats), drawn.ids, bundle)


def _other_model(primer: Primer, bundle: Bundle, unlike: Fit) -> str:
    """Advice to take another shipped model, where one continues as many tracks and knows such music much better."""
    better = _better(primer, bundle, unlike)
    return f"`model` {better[0].name} suits it better: {better[1].times:.1f} times what is typical" if better else ""


def _better(primer: Primer, bundle: Bundle, unlike: Fit) -> tuple[Bundle, Fit] | None:
    """The other shipped model that knows such music best, and much better than this one; None where there is none."""
    others = [(other, _fit(primer, other)) for other in shipped() if other.name != bundle.name]
    fits = [(other, fit) for other, fit in others if fit]
    best = min(fits, key=lambda found: found[1].times, default=None)
    return best if best and best[1].times <= BETTER * unlike.times else None


def _fit(primer: Primer, other: Bundle) -> Fit | None:
    """Fit of a primer to another model; None where it has no place for its tracks."""
    try:
        view = view_primer(primer.score, other)
        engine = engine_of(other)
    except MelodyError:
        return None
    if len(set(view.tracks.values())) < len(set(primer.view.tracks.values())):
        return None
    ids = view.ids[:TRIAL_TOKENS]
    prefix = read_prefix(engine, other.tokenizer.reader(Plan()), ids)
    return fit_of(prefix.nats, ids, other)
