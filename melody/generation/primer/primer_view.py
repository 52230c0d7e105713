"""A primer as the model sees it, and the way back from the model's tracks to the musician's.

The model knows the tracks, programs, tempos and velocities of its training music. So its view of a primer puts the
musician's tracks on its own (see `melody.generation.primer.assignment`), moves what was played to the rhythms that were
meant (`melody.music.quantize.as_written`), as training did, and says the rest in the nearest words that it knows. The
primer itself is never changed by this.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from symusic import KeySignature, Tempo, Track

from melody.bundle import Bundle, TrackInfo
from melody.errors import MelodyError
from melody.generation.meters import with_bars
from melody.generation.primer.added import places_to_add
from melody.generation.primer.assignment import Asked, PlacedLine, is_keyboard, place_lines, places_asked, roles_by_name
from melody.generation.primer.kit import Kit, as_one_track, kit_for
from melody.generation.ranges import listed, named
from melody.music.drumkit import HIT, as_hits, drums_of, sounds_of
from melody.music.key import Key, estimate_key, key_of_signature
from melody.music.quantize import as_written, quantize, tempo_bin, tempo_of_bin
from melody.music.roles import ROLES
from melody.music.score import (
    GRID,
    TICKS_PER_QUARTER,
    Ints,
    Notes,
    Score,
    bars,
    end_tick,
    meters,
    notes_of,
    rescale,
    set_notes,
)
from melody.tokens.vocabulary import METERS, VELOCITIES

SCALE = TICKS_PER_QUARTER // GRID
SHOWN = 8  # notes of a part of a band by which it has shown how loudly it is played


class PlayedLoudness(NamedTuple):
    """Loudness at which a musician plays one of the model's tracks.

    The next eight bars of a part of a band are .93 within the velocities of four to eight before, and mostly as loud in
    the mean (train; apart 1.8). A model goes to the loudness of its kind.
    """

    louder: int  # what to add to a velocity as the model writes it
    softest: int = 1
    loudest: int = 127

    def of(self, velocity: int) -> int:
        """Return the velocity at which the musician would play what the model wrote."""
        return min(max(velocity + self.louder, self.softest), self.loudest)


@dataclass(frozen=True)
class PrimerView:
    """A primer in the model's own tracks and words."""

    ids: list[int]  # from BOS to the end of the last bar, without EOS
    tracks: dict[int, int]  # the musician's track of each of the model's that is in use
    notes: dict[int, Notes]  # on each of these, on the grid
    score: Score  # all of it, with the model's tracks
    loudness: dict[int, PlayedLoudness]  # of each of these
    lines: Ints  # of the primer's bars (bars + 1,), in ticks of the grid
    meters: list[tuple[int, int]]  # of each bar
    key: Key
    last_key: Key  # in force at the end
    messages: list[str]
    written: Score  # the primer on the rhythms that its player meant, track by track and note by note
    kit: Kit | None = None  # where drums of several tracks go to one of the model's
    added: tuple[int, ...] = ()  # places of the parts that are to be added
    sounds: Mapping[int, Mapping[int, int]] = field(default_factory=dict)  # of tracks of drums: those of their drums

    @property
    def bars(self) -> int:
        """Number of bars of the primer."""
        return len(self.meters)


@dataclass(frozen=True)
class Primer:
    """A primer as it came, and the view that the model has of it, which was made at 480 ticks a quarter."""

    score: Score
    view: PrimerView

    def bar_line(self, bar: int) -> int:
        """The primer's own bar line that stands for one of its view's, of which the grid may know fewer."""
        seen = rescale(self.view.lines, GRID, self.score.tpq)
        lines = bars(self.score, max(end_tick(self.score), int(seen[-1])))
        return int(lines[np.abs(lines - seen[bar]).argmin()])

    @property
    def names(self) -> list[str]:
        """Names of its tracks."""
        return [track.name for track in self.score.tracks]


def view_primer(
    primer: Score,
    bundle: Bundle,
    mapping: Asked | None = None,
    own_drums: bool = False,
    add: Sequence[str] = (),
    sure: Collection[int] = (),
) -> PrimerView:
    """Let the model look at a primer. Raises `MelodyError` where there is nothing it could continue.

    `mapping` says of some tracks where they go; `UsageError` where they cannot. The places of the parts to `add` stay
    empty. Tracks that are `sure` get a place before others. A model that knows drums as hits sees them so; with
    `own_drums` each keeps the sound it has.
    """
    written = as_written(primer)
    primer, without_meter = with_bars(written)
    kit = None if mapping else kit_for(primer, bundle.tracks)
    primer = as_one_track(primer, kit)
    quantized = quantize(primer)
    sources = sounding(primer)
    asked = {sources.index(track): places for track, places in places_asked(mapping or {}, primer, bundle).items()}
    names = [primer.tracks[index].name for index in sources]
    called = [named([track.name for track in primer.tracks], index) for index in sources]
    added = places_to_add(add, roles_by_name(quantized.tracks, names), called, bundle) if add else ()
    first = [sources.index(track) for track in sure if track in sources]
    placed = place_lines(quantized.tracks, bundle.tracks, names, asked, added, first)
    if not placed:
        raise MelodyError(f"{bundle.name} writes {_kinds(bundle.tracks)}; the primer has {_kinds_of(quantized)}")
    lines = bars(quantized)
    parts, loudness, sounds = _parts(placed, [primer.tracks[i] for i in sources], bundle, int(lines[-1]), own_drums)
    key = keys_of(quantized)[0]
    last_key = keys_of(primer)[-1] if primer.key_signatures else key  # it may stand on the final bar line
    heard = _heard(quantized, placed, parts, key, bundle)
    bar_meters = _meters_of_bars(quantized, lines)
    ids = _ids_of(heard, bar_meters, bundle)
    tracks = {place: sources[line.track] for place, line in placed.items()}
    messages = [without_meter] if without_meter else []
    lost = "not heard" if add else "not continued"
    messages += _messages(primer, sources, list(tracks.values()), kit, lost, is_keyboard(bundle.tracks))
    return PrimerView(
        ids, tracks, parts, heard, loudness, lines, bar_meters, key, last_key, messages, written, kit, added, sounds
    )


def lines_seen(primer: Score) -> Ints:
    """The bar lines of a primer as a model would see them, in ticks of the grid."""
    return bars(quantize(with_bars(as_written(primer))[0]))


def _parts(
    placed: Mapping[int, PlacedLine], tracks: Sequence[Track], bundle: Bundle, end: int, own_drums: bool
) -> tuple[dict[int, Notes], dict[int, PlayedLoudness], dict[int, dict[int, int]]]:
    """The notes on each place in words that the model knows, how loudly they are played, and the sounds of its drums.

    `tracks` are those of the lines, as they came.
    """
    seen, parts, loudness = Seen(bundle), dict[int, Notes](), dict[int, PlayedLoudness]()
    sounds: dict[int, dict[int, int]] = {}
    known = set(seen.indices("Drum").tolist())
    for place, line in sorted(placed.items()):
        notes, info = line.notes, bundle.tracks[place]
        if info.drums and (seen.hits_alone or info.role):
            if not own_drums:
                drums = drums_of(notes.pitch, known)
                sounds[place] = sounds_of(notes.pitch, drums)
                notes = notes._replace(pitch=np.array([drums[one] for one in notes.pitch.tolist()], np.int64))
            notes = _hits_until(end, notes)
        velocity = seen.velocities(notes.velocity)
        loudness[place] = PlayedLoudness(round(float(np.mean(notes.velocity) - np.mean(velocity))))
        if info.role in ROLES and not info.drums and len(notes.onset) >= SHOWN:
            played = notes_of(tracks[line.track]).velocity
            loudness[place] = loudness[place]._replace(softest=int(played.min()), loudest=int(played.max()))
        parts[place] = notes._replace(velocity=velocity)
    return parts, loudness, sounds


def _heard(
    quantized: Score, placed: Mapping[int, PlacedLine], parts: Mapping[int, Notes], key: Key, bundle: Bundle
) -> Score:
    """The whole primer on the model's tracks."""
    seen, heard = Seen(bundle), Score(GRID)
    heard.time_signatures = quantized.time_signatures
    tempos = [Tempo(t.time, qpm=tempo_of_bin(seen.nearest("Tempo", tempo_bin(t.qpm)))) for t in quantized.tempos]
    heard.tempos = _without_repeats(tempos)
    heard.key_signatures = quantized.key_signatures or [KeySignature(0, key.signature, int(key.mode == "minor"))]
    for place, info in enumerate(bundle.tracks):
        heard.tracks.append(Track("", 0 if info.drums else info.program, info.drums))
        if place not in placed:
            continue
        if info.role and not info.drums:  # a role has no instrument: its track keeps its own
            program = quantized.tracks[placed[place].track].program
            heard.tracks[-1].program = seen.nearest("Program", program)
        set_notes(heard.tracks[-1], parts[place])
    return heard


def _hits_until(end: int, notes: Notes) -> Notes:
    """Drums as hits, none of which makes the primer longer."""
    hits = as_hits(notes)
    return hits._replace(duration=np.minimum(hits.duration, end - hits.onset))


def sounding(primer: Score) -> list[int]:
    """The indices of the tracks that have notes: those that `quantize` leaves. Raises `MelodyError` for none."""
    found = [index for index, track in enumerate(primer.tracks) if len(track.notes)]
    if not found:
        raise MelodyError("the primer has no notes; give one with notes, or none to start from nothing")
    return found


def _ids_of(whole: Score, bar_meters: Sequence[tuple[int, int]], bundle: Bundle) -> list[int]:
    """From BOS to the end of the last bar; in the last ones only tracks may sound that the model does not see."""
    end = int(bars(whole)[-1])
    heard = whole.copy()
    for name in ("time_signatures", "key_signatures", "tempos"):
        setattr(heard, name, [event for event in getattr(whole, name) if event.time < end])
    ids: list[int] = bundle.tokenizer.spell(heard).tolist()[:-1]
    vocabulary = bundle.tokenizer.vocabulary
    bar_id = vocabulary.ids["Bar"][0]
    for bar in range(ids.count(bar_id), len(bar_meters)):
        ids.append(bar_id)
        if bar_meters[bar] != bar_meters[bar - 1]:
            ids.append(vocabulary.ids["TimeSignature"][METERS.index(bar_meters[bar])])
    return ids


def _meters_of_bars(score: Score, lines: Ints) -> list[tuple[int, int]]:
    changes = meters(score)
    at = np.searchsorted([tick for tick, _, _ in changes], lines[:-1], side="right") - 1
    return [changes[place][1:] for place in at.tolist()]


def _messages(
    primer: Score, sources: Sequence[int], used: Sequence[int], kit: Kit | None, lost: str, hands: bool
) -> list[str]:
    """Lines about tracks that are not continued one for one."""
    messages = []
    if kit:
        names = listed([named([track.name for track in primer.tracks], track) for track in kit.tracks])
        messages.append(f"{names}: read and continued as one kit")
    for index in sources:
        name = primer.tracks[index].name or f"track {index + 1}"
        if index not in used:
            messages.append(f"{name}: kept, {lost}")
        elif used.count(index) > 1:
            what = "two hands" if hands else f"{used.count(index)} voices"
            messages.append(f"{name}: read and continued as {what}")
    return messages


def _without_repeats(tempos: Sequence[Tempo]) -> list[Tempo]:
    """Tempos without those that say what already holds: mapped to known ones, several may have become one."""
    return [t for i, t in enumerate(tempos) if i == 0 or t.qpm != tempos[i - 1].qpm]


class Seen:
    """The values that a bundle's training music used."""

    def __init__(self, bundle: Bundle) -> None:
        self._ids = bundle.tokenizer.vocabulary.ids
        self._seen = bundle.seen

    def indices(self, kind: str) -> Ints:
        """The known values of a type, as places in its range of ids."""
        span = self._ids[kind]
        return np.flatnonzero(self._seen[span.start : span.stop])

    @property
    def hits_alone(self) -> bool:
        """True where no note of the training music was longer than a hit on a drum."""
        return bool((self.indices("Duration") < HIT).all())  # the first is of one tick

    def nearest(self, kind: str, index: int) -> int:
        """The known value closest to another."""
        known = self.indices(kind)
        return int(known[np.abs(known - index).argmin()]) if len(known) else index

    def velocities(self, velocity: Ints) -> Ints:
        """The known velocity closest to each."""
        known = np.array(VELOCITIES)[self.indices("Velocity")]
        return known[np.abs(known[None] - velocity[:, None]).argmin(axis=1)] if len(known) else velocity


def keys_of(score: Score) -> tuple[Key, Key]:
    """The keys at the start and at the end: as declared, or one for both as the notes suggest."""
    stated = sorted(score.key_signatures, key=lambda key: key.time)
    declared = [key_of_signature(key.key, int(key.tonality != 0)) for key in stated]
    return (declared[0], declared[-1]) if declared else (estimate_key(score),) * 2


def _kinds(tracks: Sequence[TrackInfo]) -> str:
    return "drums" if all(track.drums for track in tracks) else "pitched tracks"


def _kinds_of(score: Score) -> str:
    return "drums alone" if all(track.is_drum for track in score.tracks) else "pitched tracks alone"


def empty_start(bundle: Bundle) -> list[int]:
    """BOS and the header: where a piece from nothing begins."""
    tracks = [Track("", 0 if info.drums else info.program, info.drums) for info in bundle.tracks]
    return bundle.tokenizer.header(tracks)


def new_notes(model: Score, first_tick: int) -> dict[int, Notes]:
    """The notes of a score on the grid from `first_tick` on, by track."""
    parts = {place: notes_of(track) for place, track in enumerate(model.tracks)}
    return {place: notes.take(notes.onset >= first_tick) for place, notes in parts.items()}
