"""Choice of the model that suits a primer best: by how well its tracks fit the model's, and how many are left over.

One melodic line suits a model of tunes, four single lines one of chorales, a melody with chords one of songs, drums
alone one of drums; with pitched tracks drums count for nothing but a band, which goes on with any number of tracks and
whose rhythm section the tracks must have: voices over a bass are a choir. Only what a bundle says of its tracks (drums,
range, polyphony, program, number) counts, in semitones as `melody.generation.primer.assignment` has them; no engine is
opened.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from symusic import Track

from melody.bundle import Bundle
from melody.bundle import bundle as bundles
from melody.errors import MelodyError, UsageError
from melody.generation.primer.added import parts_of, places_of
from melody.generation.primer.assignment import (
    CHORDS_FROM,
    Asked,
    PlacedLine,
    is_keyboard,
    misfit,
    name_likeness,
    place_lines,
    places_asked,
    role_misfit,
    shape_of,
    voices_of,
    with_drums_asked,
)
from melody.generation.primer.kit import as_one_track, kit_of
from melody.generation.primer.primer_view import sounding
from melody.generation.ranges import find_track, listed
from melody.music.general_midi import KEYBOARDS, family
from melody.music.quantize import quantize
from melody.music.roles import ROLES
from melody.music.score import Score, notes_of
from melody.tokens.channels import CONTOUR

# In semitones of misfit:
NOT_CONTINUED = 90.0  # for each track that has no place
FURTHER = 12.0  # for each such track of a band, which goes on in a further pass
EMPTY = 32.0  # for all of the model's tracks empty, for half of them half
ADDED = 20.0  # less for each track that is to be composed around the others
SPLIT = 12.0  # for each further voice as which a track of chords is read
OTHER_FAMILY = 10.0  # for each track of another family of instruments
UNKNOWN_ROLE = 16.0  # at most, for each track whose few notes show no role
OTHER_KIND = 1e6  # for pitched tracks to a model of drums, and drums to one of pitched tracks
NO_KEYBOARD = 60.0  # for two hands where not all is played on one keyboard, or a line has the name of a tune
NO_RHYTHM = 60.0  # for a band without drums and bass: lines and chords alone suit other models better
POOR = 30.0  # from here on a track fits badly

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Choice(NamedTuple):
    """The bundle that suits a primer, and why in a few words."""

    bundle: Bundle
    reason: str


class _Counted(NamedTuple):
    """Tracks of a primer that count for a model, on the grid, by their index."""

    tracks: dict[int, Track]
    adds: bool  # others are to be composed around them
    left: int  # tracks that sound and do not count
    further: bool  # tracks without a place go on in further passes


class _Fit(NamedTuple):
    """Fit of a bundle to the primer; tracks by their index among those that count."""

    cost: float
    placed: dict[int, PlacedLine]
    kept: int  # tracks that are not continued
    poor: bool


def shipped() -> list[Bundle]:
    """The models that come with melody, by name."""
    return [bundles.open_bundle(path.parent) for path in sorted(bundles.SHIPPED.glob("*/bundle.json"))]


def follows(model: Bundle) -> bool:
    """A model that is told contours, so that a tune of its own follows one."""
    return CONTOUR.name in model.channels


def suitable(
    score: Score | None,
    with_tracks: Sequence[str] = (),
    mapping: Asked | None = None,
    add: Sequence[str] = (),
    contour: Sequence[float] | None = None,
) -> Choice | None:
    """The shipped model that suits a primer and follows a contour; None where neither is there to choose by."""
    known = [model for model in shipped() if not contour or follows(model)]
    if score is not None:
        return choose(score, known, with_tracks, mapping, add)
    return Choice(known[0], "it follows a contour") if contour else None


def choose(
    score: Score,
    models: Sequence[Bundle],
    with_tracks: Sequence[str] = (),
    mapping: Asked | None = None,
    add: Sequence[str] = (),
) -> Choice:
    """The one of `models` (one or more) that suits a primer best, the first among equals.

    Where all that sounds is in `with_tracks`, others are to be composed around it: the more, the better, but a band's
    only where a rhythm section is there. `mapping` says of some tracks where they go, and so names tracks that the
    model must have; `add` names parts that it must have. Raises `MelodyError` for a primer without notes, or of a kind
    that no model writes, `UsageError` for tracks that it, or every model, does not have.
    """
    if add:
        return _adding(score, models, add)
    mapping = mapping or {}
    places = [place for asked in mapping.values() for place in asked]
    named_alone = places and not any(place.isdecimal() for place in places)  # a number is another track in each model
    if named_alone and (knows := next((model for model in models if _has(model, places)), None)):
        score = with_drums_asked(score, mapping, knows)
    heard = [_what_counts(score, with_tracks, mapping, is_band(model)) for model in models]
    asked = [_asked(score, list(counts.tracks), model, mapping) for counts, model in zip(heard, models, strict=True)]
    if all(places is None for places in asked):
        raise _nowhere(mapping, score, models)
    fits = [_fit(*each) for each in zip(heard, models, asked, strict=True)]
    best = min(range(len(fits)), key=lambda number: fits[number].cost)
    tracks, adds = list(heard[best].tracks.values()), heard[best].adds
    if not fits[best].placed:
        raise (UsageError if adds else MelodyError)(
            f"{_described(tracks)}, which no model here {'adds to' if adds else 'writes'}"
        )
    return Choice(models[best], _reason(tracks, models[best], fits[best], adds))


def _adding(score: Score, models: Sequence[Bundle], parts: Sequence[str]) -> Choice:
    """The first model that knows these parts by their roles, or else one that has tracks of these names.

    A tune over chords alone is sung: there a band's lead plays about without a rhythm section.
    """
    there = [score.tracks[index] for index in sounding(score)]
    sings = list(parts) == ["lead"] and bool(there) and all(map(_is_chords, there))
    for model in sorted(models, key=lambda one: is_band(one) == sings):
        if all(places_of(part, model) for part in parts):
            return Choice(model, f"it adds {listed(list(parts))} to what is there")
    known = listed(list(dict.fromkeys(part for model in filter(is_band, models) for part in parts_of(model))))
    raise UsageError(f"add {','.join(parts)}: no model here has these parts together; there are {known}")


def is_band(model: Bundle) -> bool:
    """Return True for a model whose places are roles, so that drums count beside pitched tracks."""
    return any(info.role in ROLES for info in model.tracks)


def _asked(score: Score, heard: Sequence[int], model: Bundle, mapping: Asked) -> dict[int, tuple[int, ...]] | None:
    """The model's places of the tracks heard, by number, that are asked for; None where it does not have them all."""
    try:
        found = places_asked(mapping, score, model)
    except UsageError:
        return None
    return {heard.index(track): places for track, places in found.items() if track in heard}


def _nowhere(mapping: Asked, score: Score, models: Sequence[Bundle]) -> UsageError:
    """The mistake in a mapping that no model takes: by the model that has the tracks, where there is one."""
    places = [place for asked in mapping.values() for place in asked]
    for model in models:
        if _has(model, places):
            try:
                places_asked(mapping, score, model)
            except UsageError as error:
                return error
    there = "; ".join(dict.fromkeys(listed([info.name for info in model.tracks]) for model in models))
    return UsageError(f"map to {listed(list(dict.fromkeys(places)))}: no model here has that; there are {there}")


def _has(model: Bundle, places: Sequence[str]) -> bool:
    """Return True where all of these are tracks of a model."""
    names = [info.name for info in model.tracks]
    try:
        return all(find_track(names, place) >= 0 for place in places)
    except UsageError:
        return False


def _what_counts(score: Score, with_tracks: Sequence[str], mapping: Asked, band: bool) -> _Counted:
    """Find the tracks to be continued.

    Pitched ones count; drums where all that sounds, or all that `mapping` names, is drums, and for a band.
    """
    sources = sounding(score)
    names = [track.name for track in score.tracks]
    deciding = [find_track(names, name, "map") for name in mapping] or sources
    drums = all(score.tracks[index].is_drum for index in deciding)
    if drums and not mapping:  # several tracks are one kit
        score = as_one_track(score, kit_of(score))
    tracks = dict(zip(sounding(score), quantize(score).tracks, strict=True))
    for index, track in tracks.items():
        track.name = names[index]  # by which roles are known
    counting = {index: track for index, track in tracks.items() if bool(track.is_drum) == drums or band}
    around = {find_track(names, name, "with") for name in with_tracks}
    adds = bool(around) and counting.keys() <= around
    return _Counted(counting, adds, len(tracks) - len(counting), band and not around)


def _fit(counted: _Counted, model: Bundle, asked: Mapping[int, Sequence[int]] | None) -> _Fit:
    tracks, infos, adds = list(counted.tracks.values()), model.tracks, counted.adds
    band = is_band(model)
    names = [track.name for track in tracks] if band else ()
    placed = place_lines(tracks, infos, names, asked=asked)
    if asked is None or not placed or (adds and len(placed) == len(infos)):
        return _Fit(OTHER_KIND, {}, len(tracks), True)
    used = {line.track for line in placed.values()}
    misfits = [
        _role_cost(line.role, infos[place].role) if band else misfit(shape_of(line.notes), infos[place])
        for place, line in placed.items()
    ]
    foreign = sum(family(tracks[line.track].program) != family(infos[p].program) for p, line in placed.items())
    foreign = 0 if band else foreign  # a role has no instrument
    places = sum(info.drums == bool(tracks[0].is_drum) or band for info in infos)
    empty = places - len(placed)
    rhythm = not band or _has_rhythm({line.role for line in placed.values()})
    left = -ADDED * empty if adds and rhythm else EMPTY * empty / places  # many places alone do not draw a tune
    kept = len(tracks) - len(used)
    left += counted.left * NOT_CONTINUED + kept * (FURTHER if counted.further else NOT_CONTINUED)
    left += 0.0 if rhythm else NO_RHYTHM
    keyboard = is_keyboard(infos)
    left += NO_KEYBOARD if keyboard and not _on_keyboard(tracks) else 0.0
    split = 0 if keyboard else len(placed) - len(used)
    cost = sum(misfits) + OTHER_FAMILY * foreign + left + SPLIT * split
    return _Fit(cost, placed, kept, max(misfits) >= POOR)


def _role_cost(role: str, wanted: str) -> float:
    """Misfit of a line's role on a place of a band."""
    return min(role_misfit(role, wanted), UNKNOWN_ROLE if role == "other" else math.inf)


def _is_chords(track: Track) -> bool:
    """Return True for a pitched track of chords."""
    return not track.is_drum and voices_of(notes_of(track)) >= CHORDS_FROM


def _on_keyboard(tracks: Sequence[Track]) -> bool:
    """Return True for chords alone, or two tracks, that are played on a keyboard and not called a tune."""
    chords = any(map(_is_chords, tracks))
    keys = all(not track.is_drum and track.program in KEYBOARDS for track in tracks)
    return chords and keys and not any(name_likeness(track.name, "Melody") for track in tracks)


def _has_rhythm(roles: set[str]) -> bool:
    """Return True for drums, for a bass alone, and for a bass with chords: two voices with a bass may be a chorale."""
    return "drums" in roles or roles == {"bass"} or ("bass" in roles and not roles <= {"bass", "lead", "other"})


def _reason(tracks: Sequence[Track], model: Bundle, fit: _Fit, adds: bool) -> str:
    used, others = ([i.name for n, i in enumerate(model.tracks) if (n in fit.placed) == here] for here in (True, False))
    reason = f"{_described(tracks)}, for its {listed(used)}" + (f"; it adds {listed(others)}" if adds else "")
    if fit.kept:
        kept = NUMBERS[fit.kept] if fit.kept < len(NUMBERS) else str(fit.kept)
        reason += f"; {kept} more than it writes" + (" at once" if is_band(model) and not adds else "")
    return reason + ("; none here fits well" if fit.poor else "")


def _described(tracks: Sequence[Track]) -> str:
    """Tracks in words: "four single lines", "a melody with chords"."""
    if all(track.is_drum for track in tracks):
        return "drums alone"
    if any(track.is_drum for track in tracks):
        return f"drums with {_described([track for track in tracks if not track.is_drum])}"
    single = sum(voices_of(notes_of(track)) < CHORDS_FROM for track in tracks)
    chords = len(tracks) - single
    if (single, chords) == (1, 1):
        return "a melody with chords"
    lines = _counted(single, "melodic line" if single == 1 and not chords else "single line")
    return " and ".join(filter(None, (lines, _counted(chords, "track", " of chords"))))


def _counted(count: int, what: str, of: str = "") -> str:
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {what}{'s' if count > 1 else ''}{of}" if count else ""
