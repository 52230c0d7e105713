"""Rules of a composition, and the limits of each track.

The order of the rules is their order of importance, see `melody.generation.rules.contract`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from melody.bundle import Bundle, TrackInfo
from melody.errors import UsageError
from melody.generation.model_choice import is_band
from melody.generation.primer.primer_view import Primer, PrimerView, Seen
from melody.generation.ranges import allowed_pitches, named, ranges_by_track
from melody.generation.region import Region
from melody.generation.rules.bars import each_sounds, exact_bars, keep_meters, no_long_silence, no_long_silence_of
from melody.generation.rules.compound import KeepBeat, has_beats_of_three, is_fast, step_beside
from melody.generation.rules.contract import Mask, Rule, without
from melody.generation.rules.copying import NoLongCopy
from melody.generation.rules.density import HoldDensity
from melody.generation.rules.entries import ComeIn
from melody.generation.rules.fixed_notes import KeepFixed
from melody.generation.rules.harmony import chord_tones
from melody.generation.rules.playable import Free, InOrder, Room, playable
from melody.generation.rules.repetition import no_repeat
from melody.generation.rules.stated import no_change_of, only_seen, state_at_start
from melody.generation.rules.styles import style_rules
from melody.generation.rules.voices import Voices
from melody.generation.settings import Settings
from melody.generation.told import key_token
from melody.music.chords import OCTAVE, Span
from melody.music.key import Key
from melody.music.quantize import tempo_bin
from melody.music.roles import ROLES
from melody.music.score import GRID, Notes, most_at_once
from melody.tokens import Vocabulary
from melody.tokens.vocabulary import KEYS

LED_BY = ("bass", "lead", "drums")  # roles whose first track rules of a style ask for
BEYOND = 5  # semitones, where a bundle does not say how far its parts go
FEW = 4  # notes: a track that has had fewer has shown no range yet
LINE = 8  # notes: a track of a band that has played so many, one at a time, goes on so (people: .95 of them)
LATELY = 4  # bars: a track of a band that sounded in them goes on at once
MOST_EMPTY = 3  # bars in a row of a track of a band that goes on, or is added
MIDDLE = 2  # quarters of a bar
MANY = 0.05  # share of the notes
REACH = 16  # semitones on either side of the mean of a part: nine in ten notes of an added part's kind lie within


def given_lines(settings: Settings, region: Region) -> frozenset[int]:
    """The tracks whose new notes are the musician's."""
    if settings.keep == "pitches":
        return frozenset(region.tracks)
    return region.fixed.tracks if region.fixed and not settings.keep else frozenset()


def rooms_for(
    settings: Settings, primer: Primer | None, region: Region, key: Key | None, bundle: Bundle
) -> dict[int, Room]:
    """Return the limits of the model's tracks in use. Raises `UsageError` for options that leave one nothing."""
    infos = bundle.tracks
    if settings.strict_key and key is None:
        raise UsageError("`strict_key`: in which? give `key` too, as 'E minor', or a primer")
    names = primer.names if primer else [info.name for info in infos]
    names += region.added
    spans = ranges_by_track(settings.ranges, names)
    for track in spans.keys() - region.tracks.values():
        raise UsageError(f"range of {named(names, track)}: no new notes go to this track; leave its range out")
    if settings.keep and primer:
        _check_kept(settings, primer.view, region, names, bundle)
    usual = _usual_ranges(primer, region, bundle) if primer else {}
    rooms: dict[int, Room] = {}
    for place, track in region.tracks.items():
        if not settings.keep and settings.max_polyphony == sum(region.tracks[other] == track for other in rooms):
            continue  # the track has as many voices as it may have notes at once
        if settings.keep == "pitches" and primer:
            rooms[place] = _in_order(primer.view.notes[place])
            continue
        scale = key if settings.strict_key and not infos[place].drums else None
        span = None if infos[place].drums else usual.get(track)
        pitches = allowed_pitches(named(names, track), spans.get(track, span), scale)
        at_once = 1 if _is_line(primer, place, infos[place]) else _polyphony(infos[place], settings.max_polyphony)
        rooms[place] = Free(at_once, pitches)
        needed = region.fixed.most_at_once(place) if settings.keep and region.fixed else 0
        if needed > pitches.sum():
            raise UsageError(
                f"keep {settings.keep}: {named(names, track)} has {needed} notes at once, its range and key leave "
                f"{pitches.sum()} pitches; widen them"
            )
    return rooms


def _is_line(primer: Primer | None, place: int, info: TrackInfo) -> bool:
    """Return True for a pitched track of a band that has played one note at a time, and enough of them to show it."""
    notes = primer.view.notes.get(place) if primer and info.role in ROLES and not info.drums else None
    return notes is not None and len(notes.onset) >= LINE and most_at_once(notes) == 1


def _usual_ranges(primer: Primer, region: Region, bundle: Bundle) -> dict[int, tuple[int, int]]:
    """The range of each track that goes on: what it has played, and the bundle's `range_beyond` on either side.

    That of a part that is added: `REACH` semitones around its mean in the training music; chords for a tune alone lie
    below the tune's mean. Who has played a note or two, as a tune that has just begun, has both.
    """
    infos, beyond = bundle.tracks, int(bundle.settings.get("range_beyond", BEYOND))
    played: dict[int, list[int]] = {}
    usual: dict[int, tuple[int, int]] = {}
    for place, track in region.tracks.items():
        if place in primer.view.notes and place in primer.view.tracks:
            pitch = primer.view.notes[place].pitch
            played.setdefault(track, []).extend(pitch.tolist())
            usual[track] = max(0, min(played[track]) - beyond), min(127, max(played[track]) + beyond)
            if len(played[track]) < FEW:
                lowest, highest = _reach(infos[place], round(infos[place].mean))
                usual[track] = min(usual[track][0], lowest), max(usual[track][1], highest)
    tune = region.tune(infos)
    for place in primer.view.added:
        middle = round(infos[place].mean)
        if infos[place].role == "chords" and tune is not None:
            middle = min(middle, round(float(tune.pitch.mean())) - REACH)
        usual[region.tracks[place]] = _reach(infos[place], middle)
    return usual


def _reach(info: TrackInfo, middle: int) -> tuple[int, int]:
    """The pitches within `REACH` of a middle that a track of the model has."""
    return max(info.lowest, middle - REACH), min(info.highest, middle + REACH)


def _check_kept(settings: Settings, view: PrimerView, region: Region, names: Sequence[str], bundle: Bundle) -> None:
    """Raise `UsageError` where what is kept has more notes at once than it may have."""
    for track in sorted(set(region.tracks.values())):
        places = [place for place, of in region.tracks.items() if of == track and not bundle.tracks[place].drums]
        parts = [view.notes[place] for place in places]
        most = most_at_once(Notes(*map(np.concatenate, zip(*parts, strict=True)))) if parts else 0
        if settings.max_polyphony and most > settings.max_polyphony:
            raise UsageError(
                f"keep {settings.keep}: {named(names, track)} has {most} notes at once, the maximal polyphony allows "
                f"{settings.max_polyphony}; raise it, or leave it out"
            )


def _in_order(notes: Notes) -> InOrder:
    onsets = np.unique(notes.onset)
    chords = tuple(tuple(sorted(notes.pitch[notes.onset == onset].tolist())) for onset in onsets)
    return InOrder(chords, start=len(notes.onset))


def _polyphony(info: TrackInfo, asked: int | None) -> int:
    """The most notes at once in a track: as in the corpus, and as asked for where it is pitched."""
    return info.polyphony if asked is None or info.drums else min(info.polyphony, asked)


def rules_for(
    settings: Settings,
    view: PrimerView | None,
    region: Region,
    key: Key | None,
    rooms: Mapping[int, Room],
    chords: list[Span],
    bundle: Bundle,
) -> list[Rule]:
    vocabulary = bundle.tokenizer.vocabulary
    fixed = region.fixed
    free = rooms.keys() - (fixed.tracks if fixed else set())
    end = int(region.lines[region.stop]) if region.meters else None
    rules: list[Rule] = []
    if fixed:
        rules.append(
            KeepFixed(vocabulary, fixed, {place: r.pitches for place, r in rooms.items() if isinstance(r, Free)})
        )
    rules.append(exact_bars(vocabulary, region.stop, region.closes, end, sounds=not fixed))
    if free and fixed:
        rules.append(no_long_silence_of(vocabulary, free, int(region.lines[region.first])))
    elif free:
        rules.append(no_long_silence(vocabulary))
    if view and region.meters and is_band(bundle) and not settings.keep and (entries := _entries(view, region)):
        rules.append(each_sounds(vocabulary, entries, region.lines, region.first, region.stop, MOST_EMPTY))
    if is_band(bundle) and not settings.keep:
        latest = {place: 0 if bundle.tracks[place].drums else MIDDLE for place in free}
        kick = next((place for place in free if settings.add and bundle.tracks[place].drums), -1)
        rules.append(ComeIn(vocabulary, latest, region.first, kick))
        if view and fixed and kick >= 0 and any(map(has_beats_of_three, region.meters)):
            rules.append(KeepBeat(vocabulary, kick, fixed, step_beside(fixed), is_fast(view.score.tempos)))
    rules.append(playable(vocabulary, rooms, fixed))
    if settings.density:
        unfixed = {place: rooms[place] for place in free}
        span = (region.first, region.stop, region.closes)
        rules.append(HoldDensity(vocabulary, settings.density, bundle.density_limits, unfixed, fixed, *span))
    if settings.max_copy_bars is not None:
        rules.append(NoLongCopy(vocabulary))
    if region.meters:
        rules.append(keep_meters(vocabulary, region.meters, region.first))
    rules += _states(view, settings, key, vocabulary, bundle)
    if settings.strict_chords and chords:
        rules.append(chord_tones(vocabulary, chords, int(region.lines[region.first])))
    if settings.no_repeat:
        rules.append(no_repeat(vocabulary, settings.no_repeat, int(region.lines[region.first])))
    pitches = ~without(vocabulary, "Pitch", "Drum")  # a range may leave none that was seen; all else was
    seen = bundle.seen | _positions(region, vocabulary)
    rules += [only_seen(seen | pitches), only_seen(seen)]
    if settings.style_rules:
        set_tracks = fixed.tracks if fixed else frozenset[int]()
        last = fixed.notes[-1].onset if fixed and fixed.notes else 0
        voices = voices_of(bundle, sorted(rooms.keys() | set_tracks), set_tracks, last, chords)
        if view:
            given = any(bundle.tracks[place].drums and len(notes.onset) for place, notes in view.notes.items())
            thirds = _falls_into_thirds(view)
            voices = replace(voices, heard=_classes(view, bundle), in_thirds=thirds, drums_given=given)
        rules += style_rules(bundle.style_rules, vocabulary, voices)
    return rules


def voices_of(
    bundle: Bundle,
    places: Sequence[int],
    fixed: frozenset[int] = frozenset(),
    last_fixed: int = 0,
    chords: Sequence[Span] = (),
) -> Voices:
    """Return what the rules of a style are about, for the model's tracks at these places; see `Voices`."""
    bass, lead, drums = (next((p for p in places if bundle.tracks[p].role == role), None) for role in LED_BY)
    return Voices(places, fixed, last_fixed, chords, bass, lead, drums)


def _classes(view: PrimerView, bundle: Bundle) -> frozenset[int]:
    """The pitch classes that a primer sounds."""
    pitched = [notes.pitch for place, notes in view.notes.items() if not bundle.tracks[place].drums]
    return frozenset(pitch % OCTAVE for pitches in pitched for pitch in pitches.tolist())


def _falls_into_thirds(view: PrimerView) -> bool:
    """Return True where notes begin on thirds of beats much more often than on their halves."""
    onsets = np.concatenate([notes.onset for notes in view.notes.values()] or [np.zeros(0, np.int64)])
    places = (onsets - view.lines[np.searchsorted(view.lines, onsets, side="right") - 1]) % GRID
    thirds, halves = np.isin(places, (GRID // 3, 2 * GRID // 3)).sum(), (places == GRID // 2).sum()
    return bool(thirds > MANY * len(onsets) and thirds > 2 * halves)


def _entries(view: PrimerView, region: Region) -> dict[int, int]:
    """Ticks in the bar at which tracks of a band come in: those added, and those heard lately as they last did."""
    lines, before = region.lines, region.lines[: region.first + 1]
    entries = dict.fromkeys(view.added, 0)
    for place in region.tracks.keys() & view.notes.keys():
        onset, duration = view.notes[place].onset, view.notes[place].duration
        heard = onset[(onset + duration > lines[max(0, region.first - LATELY)]) & (onset < before[-1])]
        if len(heard):
            bar = int(np.searchsorted(before, heard.max(), side="right")) - 1
            entries[place] = int(heard[heard >= before[bar]].min() - before[bar])
    return entries


def _positions(region: Region, vocabulary: Vocabulary) -> Mask:
    """The positions (V,) at which notes are fixed, whether or not the training music has them."""
    mask = np.zeros(len(vocabulary), bool)
    onsets = np.array([note.onset for note in region.fixed.notes] if region.fixed else [], np.int64)
    bar_of = np.searchsorted(region.lines, onsets, side="right") - 1
    mask[vocabulary.ids["Position"].start + onsets - region.lines[bar_of]] = True
    return mask


def _states(
    view: PrimerView | None, settings: Settings, key: Key | None, vocabulary: Vocabulary, bundle: Bundle
) -> list[Rule]:
    """Tempo and key are stated at the start, and do not change."""
    if view:
        return [no_change_of(vocabulary, "Tempo", "Key")]
    tempo = Seen(bundle).nearest("Tempo", tempo_bin(settings.tempo_qpm or bundle.tempo_qpm))
    rules = [state_at_start(vocabulary, vocabulary.ids["Tempo"][tempo])]
    if key:
        rules.append(state_at_start(vocabulary, vocabulary.ids["Key"][KEYS.index(key_token(key))]))
    return rules
