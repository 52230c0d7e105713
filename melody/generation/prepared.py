"""A composition made ready: what the model reads first, what it is told of the music to come, and the rules.

`Task` is all that search needs. The order of the rules is their order of importance, see
`melody.generation.rules.rules`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from symusic import Note, TimeSignature, Track

from melody.bundle import Bundle, TrackInfo
from melody.engine import Engine
from melody.errors import UsageError
from melody.generation.decoders.decode_loop import Prefix, read_prefix
from melody.generation.primer.primer_fit import strangeness
from melody.generation.primer.primer_view import Seen, View, empty_start, own_line, view_of
from melody.generation.ranges import allowed_pitches, listed, named, ranges_by_track
from melody.generation.region import Frame, frame_of
from melody.generation.rules import rules as rule
from melody.generation.rules.copying import CopyReader, NoLongCopy
from melody.generation.rules.density import HoldDensity
from melody.generation.rules.fixed_notes import keep_fixed
from melody.generation.rules.rules import Free, InOrder, Room, Rule
from melody.generation.rules.steering import chord_tones, no_repeat
from melody.generation.rules.styles import style_rules
from melody.generation.settings import Settings
from melody.music.chords import Span, laid_out, markers_as_chords, parse_progression
from melody.music.key import Key, estimate_key, parse_key
from melody.music.score import GRID, TICKS_PER_QUARTER, Notes, Score, most_at_once, resample, tempo_bin
from melody.tokens import Plan, Reader, Vocabulary
from melody.tokens.channels import DENSITIES
from melody.tokens.conditions import Table, foresee, foresee_notes, nothing_foreseen
from melody.tokens.vocabulary import KEYS

OF_PITCH = {"key": "--key", "strict_key": "--strict-key", "chords": "--chords"}  # what says nothing to drums
OPEN = 1000  # bars that a piece is said to have left that does not end


@dataclass(frozen=True)
class Task:
    """A composition made ready."""

    settings: Settings
    primer: Score | None  # at 480
    view: View | None
    frame: Frame
    prefix: Prefix
    ids: list[int]  # of the prefix
    rules: list[Rule]
    rooms: Mapping[int, Room]  # of the model's tracks that get new notes
    key: Key | None  # of the new music, where one is asked for or the primer has one
    chords: list[Span]  # asked for, in ticks of the grid
    idle: tuple[str, ...] = ()  # options that say nothing to drums
    strange: str = ""  # what to say where the model does not know such music

    @property
    def track_of(self) -> Mapping[int, int]:
        """The musician's track of each of the model's that sounds in the new bars."""
        return {**(self.view.tracks if self.view and self.frame.given else {}), **self.frame.tracks}

    @property
    def veto(self) -> NoLongCopy | None:
        """The rule that a row tries to keep by drawing again."""
        return next((rule for rule in self.rules if isinstance(rule, NoLongCopy)), None)

    @property
    def messages(self) -> tuple[str, ...]:
        """What the musician should know."""
        unasked = self.settings.strict_key and not self.settings.key
        scale = (f"new pitches from the scale of {self.key.name}",) if self.key and unasked else ()
        marked = ("chords from the markers of the primer",) if self.chords and not self.settings.chords else ()
        idle = (f"without effect on drums: {listed(self.idle)}",) if self.idle else ()
        strange = (self.strange,) if self.strange else ()
        return (*(self.view.messages if self.view else ()), *scale, *marked, *idle, *strange)


def make_ready(bundle: Bundle, engine: Engine, primer: Score | None, settings: Settings, told: bool = True) -> Task:
    """The task that settings and a primer make; the model may be `told` of what is foreseen, or left to the rules.

    Raises `MelodyError` where it is none.
    """
    view = None
    if primer is not None:
        primer = resample(primer, TICKS_PER_QUARTER)
        view = view_of(primer, bundle, settings.mapping, own_drums=settings.keep == "pitches")
        settings = _meter_at_end(primer, view, settings)
    drums = _drums_alone(settings, view, bundle)
    idle = tuple(name for option, name in OF_PITCH.items() if drums and getattr(settings, option))
    if idle:
        settings = replace(settings, key=None, strict_key=False, chords=None)
    marked = markers_as_chords(primer) if primer is not None and not settings.chords and not drums else []
    frame = frame_of(settings, primer, view, bundle, bars_known=bool(settings.chords or marked))
    chords = _chords(settings, marked, frame)
    asked = parse_key(settings.key) if settings.key else None
    if asked is None and view is None and any(span.chord for span in chords):
        asked = _key_of(chords, int(frame.lines[-1]))
    key = asked or (view.last_key if view else None)
    plan = Plan(
        bars=frame.stop if frame.closes else _bars_of(frame, view),
        key=key_token(key) if key else None,
        stop=None if frame.closes else frame.stop,
        foreseen=_foreseen(settings, frame, chords, bundle) if told else None,
    )
    ids = _ids_before(frame, view, bundle)
    prefix = read_prefix(engine, Reader(bundle.tokenizer.vocabulary, plan), ids)
    rooms = _rooms(settings, primer, view, frame, key, bundle)
    if settings.max_copy_bars is not None:
        given = _given_lines(settings, frame)
        prefix.reader = CopyReader(prefix.reader, bundle.originality, settings.max_copy_bars, given)
    rules = _rules(settings, view, frame, asked, rooms, chords, bundle)
    names = [track.name for track in primer.tracks] if primer is not None else []
    strange = strangeness(prefix.nats, ids, view, bundle, names) if view else ""
    return Task(settings, primer, view, frame, prefix, ids, rules, rooms, key, chords, idle, strange)


def _drums_alone(settings: Settings, view: View | None, bundle: Bundle) -> bool:
    """Whether no pitched track gets new notes, whichever of those that may are free."""
    places = view.tracks if view and not settings.with_tracks else range(len(bundle.tracks))
    return all(bundle.tracks[place].drums for place in places)


def _given_lines(settings: Settings, frame: Frame) -> frozenset[int]:
    """The tracks whose new notes are the musician's."""
    if settings.keep == "pitches":
        return frozenset(frame.tracks)
    return frame.fixed.tracks if frame.fixed and settings.keep != "rhythm" else frozenset()


def key_token(key: Key) -> tuple[int, int]:
    """A key as tokens and signatures have it."""
    return key.signature, int(key.mode == "minor")


def _meter_at_end(primer: Score, view: View, settings: Settings) -> Settings:
    """A meter that the primer states on its final bar line holds for the new part, unless another is asked for."""
    line = own_line(primer, view, view.bars)
    after = [m for m in primer.time_signatures if m.time >= line > 0]
    if not after or settings.fill or settings.with_tracks:
        return settings
    primer.time_signatures = [m for m in primer.time_signatures if m.time < line]
    return settings if settings.meter else replace(settings, meter=_last_at(after))


def _last_at(meters: Sequence[TimeSignature]) -> tuple[int, int]:
    """The meter that holds from the tick of the first of these on."""
    first = min(meter.time for meter in meters)
    last = [meter for meter in meters if meter.time == first][-1]
    return last.numerator, last.denominator


# ---- what the model is told -----------------------------------------------------------------------------------------


def _bars_of(frame: Frame, view: View | None) -> int:
    """How many bars the piece has as the model is told, where composing does not close it."""
    inside = view is not None and frame.stop < view.bars
    return view.bars if view and inside else frame.stop + OPEN


def _ids_before(frame: Frame, view: View | None, bundle: Bundle) -> list[int]:
    """What the model reads before it composes: up to the bar line, at the start of a primer up to its tempo."""
    vocabulary = bundle.tokenizer.vocabulary
    bar = vocabulary.ids["Bar"][0]
    if view is None:
        return [*empty_start(bundle), bar]
    if frame.first == view.bars:
        return [*view.ids, bar]
    line = [place for place, token in enumerate(view.ids) if token == bar][frame.first]
    if frame.first:
        return view.ids[: line + 1]
    tempo = next(place for place, token in enumerate(view.ids) if vocabulary.kind_of[token] == "Tempo")
    return view.ids[: tempo + 1]  # what a piece states at once: meter, key and tempo


def _chords(settings: Settings, marked: list[Span], frame: Frame) -> list[Span]:
    """The chords asked for, or those `marked` in the primer (at 480) in the bars to be composed."""
    if settings.chords:
        lines = frame.lines[frame.first : frame.stop + 1]
        beats = [GRID * 4 // denominator for _, denominator in frame.meters[frame.first : frame.stop]]
        return laid_out(parse_progression(settings.chords), lines, np.array(beats))
    if not marked:
        return []
    start, stop = int(frame.lines[frame.first]), int(frame.lines[frame.stop])
    spans = [Span(round(s.start * GRID / TICKS_PER_QUARTER), s.chord) for s in marked]
    inside = [span for span in spans if start <= span.start < stop]
    within_primer = [span for span in spans if span.start <= start and (frame.given or span.start == start)]
    return [Span(start, span.chord) for span in within_primer[-1:]] + [s for s in inside if s.start > start]


def _key_of(chords: Sequence[Span], end: int) -> Key:
    """The key that chords suggest, each by its length."""
    score, track = Score(GRID), Track("", 0, False)
    stops = [span.start for span in chords[1:]] + [end]
    for span, stop in zip(chords, stops, strict=True):
        classes = sorted(span.chord.classes) if span.chord else []
        track.notes.extend([Note(span.start, stop - span.start, 60 + one, 80) for one in classes])
    score.tracks.append(track)
    return estimate_key(score)


def _foreseen(settings: Settings, frame: Frame, chords: list[Span], bundle: Bundle) -> Table | None:
    """What is told of the music to come; None where nothing is."""
    style = bundle.style_value(settings.style)
    if not (chords or settings.density or frame.given or style):
        return None
    table = nothing_foreseen(int(frame.lines[-1]) + 1 if frame.meters else 1)
    if style:
        foresee(table, "style", style)
    if not frame.meters:
        return table
    start, stop = (int(frame.lines[bar]) for bar in (frame.first, frame.stop))
    if settings.density:
        foresee(table, "density", 1 + DENSITIES.index(settings.density), start, stop)
    for span in chords:  # each until the next
        foresee(table, "chord", span.chord.value if span.chord else 0, span.start, stop)
        bass = span.chord is not None and span.chord.bass != span.chord.root
        foresee(table, "chord_bass", 1 + span.chord.bass if bass and span.chord else 0, span.start, stop)
    for place, (notes, first_tick) in frame.given.items():
        foresee_notes(table, place, notes, np.arange(len(table)) >= first_tick)
    return table


# ---- the rules ------------------------------------------------------------------------------------------------------


def _rooms(
    settings: Settings, primer: Score | None, view: View | None, frame: Frame, key: Key | None, bundle: Bundle
) -> dict[int, Room]:
    """What each of the model's tracks in use may take. Raises `UsageError` for options that leave one nothing."""
    infos = bundle.tracks
    if settings.strict_key and key is None:
        raise UsageError("strict key: in which? give a key too, as --key 'E minor', or a primer")
    names = [track.name for track in primer.tracks] if primer else [info.name for info in infos]
    names += frame.added
    spans = ranges_by_track(settings.ranges, names)
    for track in spans.keys() - frame.tracks.values():
        raise UsageError(f"range of {named(names, track)}: no new notes go to this track; leave its range out")
    if settings.keep and view:
        _check_kept(settings, view, frame, names, bundle)
    rooms: dict[int, Room] = {}
    for place, track in frame.tracks.items():
        if not settings.keep and settings.max_polyphony == sum(frame.tracks[other] == track for other in rooms):
            continue  # the track has as many voices as it may have notes at once
        if settings.keep == "pitches" and view:
            rooms[place] = _in_order(view.notes[place])
            continue
        scale = key if settings.strict_key and not infos[place].drums else None
        pitches = allowed_pitches(named(names, track), spans.get(track), scale)
        rooms[place] = Free(_polyphony(infos[place], settings.max_polyphony), pitches)
        needed = frame.fixed.most_at_once(place) if settings.keep == "rhythm" and frame.fixed else 0
        if needed > pitches.sum():
            raise UsageError(
                f"keep rhythm: {named(names, track)} has {needed} notes at once, its range and key leave "
                f"{pitches.sum()} pitches; widen them"
            )
    return rooms


def _check_kept(settings: Settings, view: View, frame: Frame, names: Sequence[str], bundle: Bundle) -> None:
    """Raise `UsageError` where what is kept has more notes at once than it may have."""
    for track in sorted(set(frame.tracks.values())):
        places = [place for place, of in frame.tracks.items() if of == track and not bundle.tracks[place].drums]
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


def _rules(
    settings: Settings,
    view: View | None,
    frame: Frame,
    key: Key | None,
    rooms: Mapping[int, Room],
    chords: list[Span],
    bundle: Bundle,
) -> list[Rule]:
    vocabulary = bundle.tokenizer.vocabulary
    fixed = frame.fixed
    free = rooms.keys() - (fixed.tracks if fixed else set())
    end = int(frame.lines[frame.stop]) if frame.meters else None
    rules: list[Rule] = []
    if fixed:
        rules.append(
            keep_fixed(vocabulary, fixed, {place: r.pitches for place, r in rooms.items() if isinstance(r, Free)})
        )
    rules.append(rule.exact_bars(vocabulary, frame.stop, frame.closes, end, sounds=not fixed))
    if free:
        rules.append(rule.no_long_silence(vocabulary))
    rules.append(rule.playable(vocabulary, rooms, fixed))
    if settings.density:
        unfixed = {place: rooms[place] for place in free}
        span = (frame.first, frame.stop, frame.closes)
        rules.append(HoldDensity(vocabulary, settings.density, bundle.density_limits, unfixed, fixed, *span))
    if settings.max_copy_bars is not None:
        rules.append(NoLongCopy(vocabulary))
    if frame.meters:
        rules.append(rule.keep_meters(vocabulary, frame.meters.__getitem__, frame.first))
    rules += _states(view, settings, key, vocabulary, bundle)
    if settings.strict_chords and chords:
        rules.append(chord_tones(vocabulary, chords, int(frame.lines[frame.first])))
    if settings.no_repeat:
        rules.append(no_repeat(vocabulary, settings.no_repeat, int(frame.lines[frame.first])))
    pitches = ~rule.without(vocabulary, "Pitch", "Drum")  # a range may leave none that was seen; all else was
    rules += [rule.only_seen(bundle.seen | pitches), rule.only_seen(bundle.seen)]
    if settings.style_rules:
        rules += style_rules(bundle.style_rules, vocabulary, sorted(rooms.keys() | (fixed.tracks if fixed else set())))
    return rules


def _states(
    view: View | None, settings: Settings, key: Key | None, vocabulary: Vocabulary, bundle: Bundle
) -> list[Rule]:
    """Tempo and key are stated at the start, and do not change."""
    if view:
        return [rule.no_change_of(vocabulary, "Tempo", "Key")]
    tempo = Seen(bundle).nearest("Tempo", tempo_bin(settings.tempo_qpm or bundle.tempo_qpm))
    rules = [rule.state_at_start(vocabulary, vocabulary.ids["Tempo"][tempo])]
    if key:
        rules.append(rule.state_at_start(vocabulary, vocabulary.ids["Key"][KEYS.index(key_token(key))]))
    return rules
