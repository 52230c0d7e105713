"""The composer: Score in, takes out.

What the musician gave goes to the output as it came; new music begins on the bar line after it and has exactly the
bars asked for. A take depends on the seed and its own number alone, not on how many are drawn together: so do the
candidates of which it is the best, and the first of them is the take that would have been drawn without others.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from symusic import KeySignature, Tempo, TextMeta, TimeSignature, Track

from melody.bundle import Bundle, TrackInfo, open_bundle
from melody.engine import open_engine
from melody.errors import UsageError
from melody.generation import rules as rule
from melody.generation.beam import beam_search
from melody.generation.copying import CopyReader, NoLongCopy
from melody.generation.decode import Continuation, Prefix, read_prefix, sample, stream
from melody.generation.ranges import allowed_pitches, named, ranges_by_track
from melody.generation.ranking import Breaches, cost, count_breaches
from melody.generation.rules import Room, Rule
from melody.generation.settings import Settings, settings_from, settings_of
from melody.generation.stochastic_beam import stochastic_beam_search
from melody.generation.styles import style_rules
from melody.generation.view import Seen, View, empty_start, keys_of, new_notes, view_of
from melody.key import Key, estimate_key, parse_key
from melody.originality import piece_share
from melody.score import (
    GRID,
    TICKS_PER_QUARTER,
    Notes,
    Score,
    bars,
    clip,
    end_tick,
    notes_of,
    resample,
    set_notes,
    tempo_bin,
    without_overlaps,
)
from melody.tokens import Plan, Reader
from melody.tokens.vocabulary import KEYS

BATCH = 16  # takes drawn side by side
SCALE = TICKS_PER_QUARTER // GRID


@dataclass(frozen=True)
class Take:
    """One composition: the whole score at 480 ticks a quarter, and what is known of it."""

    score: Score
    first_new_tick: int  # where new music begins
    seed: int
    number: int  # from 1
    notes: int  # new ones
    nats_per_note: float  # of the new music, under the model within the grammar
    key: str  # estimated from the new music
    settings: dict[str, Any]
    messages: tuple[str, ...] = ()
    candidate: int = 1  # of best-of-N, from 1
    in_training: float | None = None  # share of the new music's 8-note n-grams; None: too short, or no index
    breaches: Breaches | None = None  # of the rules, by the new music; counted where candidates were compared


class NewNote(NamedTuple):
    """A note as it is composed; ticks at 480 a quarter from the start of the piece."""

    track: int
    onset: int
    duration: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Task:
    """A composition made ready: what the model has read, the rules, and what is needed to put the result together."""

    settings: Settings
    primer: Score | None  # at 480
    view: View | None
    prefix: Prefix
    ids: list[int]  # of the prefix
    rules: list[Rule]
    rooms: Mapping[int, Room]  # of the model's tracks that get new notes
    key: Key | None  # of the new music, where one is asked for or the primer has one

    @property
    def track_of(self) -> Mapping[int, int]:
        """The musician's track of each of the model's that gets new notes."""
        return self.view.tracks if self.view else {place: place for place in self.rooms}

    @property
    def veto(self) -> NoLongCopy | None:
        """The rule that a row tries to keep by drawing again."""
        return next((rule for rule in self.rules if isinstance(rule, NoLongCopy)), None)

    @property
    def messages(self) -> tuple[str, ...]:
        """What the musician should know."""
        unasked = self.settings.strict_key and not self.settings.key
        scale = (f"new pitches from the scale of {self.key.name}",) if self.key and unasked else ()
        return (*(self.view.messages if self.view else ()), *scale)


class Composer:
    """A bundle with an engine. `melody.load("chorale")` makes one."""

    engine_name = "onnx"

    def __init__(self, bundle: Bundle | str | Path, engine: str = "onnx", threads: int = 1) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.engine = open_engine(self.bundle, engine, threads)
        self.engine_name = engine
        self._vocabulary = self.bundle.tokenizer.vocabulary

    def compose(
        self, primer: Score | None = None, *, takes: int = 1, seed: int | None = None, **options: Any
    ) -> list[Take]:
        """Continue `primer`, or start from nothing: `takes` different compositions.

        Options are the fields of `Settings` and of `Sampling`; ``greedy=True`` is temperature 0. Without a seed one is
        drawn and stands in the takes. Raises `UsageError` for options that make no sense.
        """
        if not 1 <= takes <= 1000:
            raise UsageError(f"takes must lie in [1, 1000], got {takes}")
        seed = secrets.randbelow(2**31) if seed is None else seed
        task = self._prepare(primer, settings_of(options))
        return self._compose(task, seed, range(1, takes + 1))

    def recompose(self, settings: Mapping[str, Any], primer: Score | None = None) -> Take:
        """The take whose `Take.settings` these are, again; they may have gone through JSON."""
        task = self._prepare(primer, settings_from(settings))
        number = int(settings["take"])
        numbers = range(1, number + 1) if task.settings.beam_width else range(number, number + 1)
        return self._compose(task, int(settings["seed"]), numbers)[-1]

    def stream(self, primer: Score | None = None, *, seed: int | None = None, **options: Any) -> Iterator[NewNote]:
        """The notes of take 1, as they are composed."""
        seed = secrets.randbelow(2**31) if seed is None else seed
        task = self._prepare(primer, settings_of(options))
        if task.settings.best_of > 1 or task.settings.beam_width:
            raise UsageError("a stream gives notes as they are drawn, a search compares whole takes; use compose")
        ids = list(task.ids)
        written = 0
        sampling, generators = task.settings.sampling, [_generator(seed, 1)]
        for _, token, _ in stream(self.engine, task.prefix, task.rules, sampling, generators, task.veto):
            ids.append(token)
            if self._vocabulary.kind_of[token] == "Duration":
                notes = sorted(self._placed_notes(task, ids), key=lambda note: (note.onset, note.track, note.pitch))
                yield from notes[written:]
                written = len(notes)

    # ---- making ready ------------------------------------------------------------------------------------------------

    def _prepare(self, primer: Score | None, settings: Settings) -> Task:
        view = None
        if primer is not None:
            primer = resample(primer, TICKS_PER_QUARTER)
            view = view_of(primer, self.bundle)
            settings = _meter_at_end(primer, view, settings)
        asked = parse_key(settings.key) if settings.key else None
        key = asked or (view.key if view else None)
        done = view.bars if view else 0
        total = done + settings.bars
        plan = Plan(bars=total if settings.ending else total + 1000, key=_key_token(key) if key else None)
        ids = [*(view.ids if view else empty_start(self.bundle)), self._vocabulary.ids["Bar"][0]]
        key_of_new = asked or (view.last_key if view else None)
        rooms = self._rooms(settings, primer, view, key_of_new)
        reader = Reader(self._vocabulary, plan)
        prefix = read_prefix(self.engine, reader, ids)
        if settings.max_copy_bars is not None:
            prefix.reader = CopyReader(prefix.reader, self.bundle.originality, settings.max_copy_bars)
        rules = self._rules(settings, view, asked, done, total, rooms)
        return Task(settings, primer, view, prefix, ids, rules, rooms, key_of_new)

    def _rooms(self, settings: Settings, primer: Score | None, view: View | None, key: Key | None) -> dict[int, Room]:
        """What each of the model's tracks in use may take. Raises `UsageError` for options that leave one nothing."""
        infos = self.bundle.tracks
        if settings.strict_key and key is None:
            raise UsageError("strict key: in which? give a key too, as --key 'E minor', or a primer")
        names = [track.name for track in primer.tracks] if primer else [info.name for info in infos]
        spans = ranges_by_track(settings.ranges, names)
        places = view.tracks if view else {place: place for place in range(len(infos))}
        for track in spans.keys() - places.values():
            raise UsageError(f"range of {named(names, track)}: no new notes go to this track; leave its range out")
        rooms: dict[int, Room] = {}
        for place, track in places.items():
            if settings.max_polyphony == sum(places[other] == track for other in rooms):
                continue  # the track has as many voices as it may have notes at once
            scale = key if settings.strict_key and not infos[place].drums else None
            pitches = allowed_pitches(named(names, track), spans.get(track), scale)
            rooms[place] = Room(_polyphony(infos[place], settings.max_polyphony), pitches)
        return rooms

    def _rules(
        self,
        settings: Settings,
        view: View | None,
        key: Key | None,
        done: int,
        total: int,
        rooms: Mapping[int, Room],
    ) -> list[Rule]:
        vocabulary = self._vocabulary
        rules = [rule.exact_bars(vocabulary, total), rule.no_long_silence(vocabulary), rule.playable(vocabulary, rooms)]
        if settings.max_copy_bars is not None:
            rules.append(NoLongCopy(vocabulary))
        if settings.meter:
            rules.append(rule.keep_meter(vocabulary, settings.meter, first_bar=done))
        if view:
            rules.append(rule.no_change_of(vocabulary, "Tempo", "Key"))
        else:
            tempo = Seen(self.bundle).nearest("Tempo", tempo_bin(settings.tempo_qpm or self.bundle.tempo_qpm))
            rules.append(rule.state_at_start(vocabulary, vocabulary.ids["Tempo"][tempo]))
            if key:
                rules.append(rule.state_at_start(vocabulary, vocabulary.ids["Key"][KEYS.index(_key_token(key))]))
        rules.append(rule.only_seen(self.bundle.seen))
        return rules + (style_rules(self.bundle.style_rules, vocabulary, list(rooms)) if settings.style_rules else [])

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def _compose(self, task: Task, seed: int, numbers: range) -> list[Take]:
        """The takes of these numbers, each the best of its candidates."""
        count = task.settings.best_of
        drawn = self._draw(task, seed, [(number, candidate) for number in numbers for candidate in range(1, count + 1)])
        takes = []
        for place, number in enumerate(numbers):
            mine = enumerate(drawn[place * count : (place + 1) * count], 1)
            takes.append(_best([self._finish(task, seed, number, candidate, one) for candidate, one in mine]))
        return takes

    def _draw(self, task: Task, seed: int, candidates: Sequence[tuple[int, int]]) -> list[Continuation]:
        """One continuation for each (take, candidate)."""
        settings = task.settings
        count = len(candidates)
        if settings.stochastic:
            return stochastic_beam_search(
                self.engine,
                task.prefix,
                task.rules,
                settings.beam_width,
                settings.sampling,
                _generator(seed, 0),
                count,
            )
        if settings.beam_width:
            return beam_search(
                self.engine, task.prefix, task.rules, settings.beam_width, settings.length_penalty, count=count
            )
        generators = [_generator(seed, number, candidate) for number, candidate in candidates]
        batches = (generators[start : start + BATCH] for start in range(0, len(generators), BATCH))
        drawn = (sample(self.engine, task.prefix, task.rules, settings.sampling, batch, task.veto) for batch in batches)
        return [continuation for batch in drawn for continuation in batch]

    # ---- putting together --------------------------------------------------------------------------------------------

    def _finish(self, task: Task, seed: int, number: int, candidate: int, drawn: Continuation) -> Take:
        ids = task.ids + drawn.ids
        notes = self._placed_notes(task, ids)
        score = task.primer.copy() if task.primer is not None else self._blank()
        junction = _junction(task)
        _add_notes(score, notes)
        self._add_maps(score, task, ids, junction)
        score.markers.append(TextMeta(junction, f"melody: {self.bundle.name}, seed {seed}, take {number}"))
        if task.settings.only_new:
            count = task.view.bars if task.view else 0
            score, junction = clip(score, count, count + task.settings.bars), 0
        fresh = _only_from(score, junction)
        return Take(
            score=score,
            first_new_tick=junction,
            seed=seed,
            number=number,
            notes=len(notes),
            nats_per_note=sum(drawn.nats) / max(1, len(notes)),
            key=estimate_key(fresh).name,
            settings=self._provenance(task) | {"seed": seed, "take": number} | task.settings.to_dict(),
            messages=task.messages,
            candidate=candidate,
            in_training=self._in_training(fresh),
            breaches=self._breaches(task, fresh) if task.settings.best_of > 1 else None,
        )

    def _provenance(self, task: Task) -> dict[str, Any]:
        """What beside the settings a take depends on; whoever knows the primer's file adds its name and hash."""
        return {
            "model": self.bundle.name,
            "step_graph": self.bundle.settings["files"].get("step.onnx", ""),
            "engine": self.engine_name,
            "primer": None if task.primer is None else {"name": "", "sha256": ""},
        }

    def _in_training(self, new: Score) -> float | None:
        share = piece_share(new, self.bundle.originality) if self.bundle.knows_its_training else float("nan")
        return share if share == share else None

    def _breaches(self, task: Task, new: Score) -> Breaches:
        infos, track_of = self.bundle.tracks, task.track_of

        def alone(place: int) -> bool:
            return list(track_of.values()).count(track_of[place]) == 1

        pitched = sorted((p for p in task.rooms if not infos[p].drums), key=lambda place: -infos[place].mean)
        return count_breaches(
            new,
            lines=[track_of[place] for place in pitched if task.rooms[place].polyphony == 1 and alone(place)],
            ranges={track_of[place]: (infos[place].lowest, infos[place].highest) for place in pitched},
            key=task.key or keys_of(new)[-1],
            ending=task.settings.ending,
        )

    def _placed_notes(self, task: Task, ids: Sequence[int]) -> list[NewNote]:
        """The new notes in the musician's tracks, at 480 ticks a quarter."""
        first = _first_new_grid_tick(task)
        offset = _junction(task) - first * SCALE
        by_track: dict[int, list[Notes]] = {}
        for place, notes in new_notes(ids, self.bundle, first).items():
            track = task.track_of.get(place, place)
            louder = task.view.loudness.get(place, 0) if task.view else 0
            velocity = np.clip(notes.velocity + louder, 1, 127)
            columns = (notes.onset * SCALE + offset, notes.duration * SCALE, notes.pitch, velocity)
            by_track.setdefault(track, []).append(Notes(*columns))
        result = []
        for track, voices in by_track.items():  # voices that meet on one note are one note
            merged = without_overlaps(Notes(*map(np.concatenate, zip(*voices, strict=True))))
            result += [NewNote(track, *map(int, row)) for row in zip(*merged, strict=True)]
        return result

    def _blank(self) -> Score:
        score = Score(TICKS_PER_QUARTER)
        score.tracks = [Track(info.name, 0 if info.drums else info.program, info.drums) for info in self.bundle.tracks]
        return score

    def _add_maps(self, score: Score, task: Task, ids: Sequence[int], junction: int) -> None:
        """Meters, tempo and key of the new part: what the model wrote, and what was asked for."""
        settings, model = task.settings, self.bundle.tokenizer.decode(np.array(ids, np.int32))
        first = _first_new_grid_tick(task)
        for meter in model.time_signatures:
            if meter.time >= first:
                tick = (meter.time - first) * SCALE + junction
                score.time_signatures.append(TimeSignature(tick, meter.numerator, meter.denominator))
        if task.primer is None:
            score.tempos = [Tempo(0, qpm=settings.tempo_qpm or self.bundle.tempo_qpm)]
            score.key_signatures = [KeySignature(k.time * SCALE, k.key, k.tonality) for k in model.key_signatures]
            return
        if settings.tempo_qpm:
            score.tempos.append(Tempo(junction, qpm=settings.tempo_qpm))
        if settings.key:
            score.key_signatures.append(KeySignature(junction, *_key_token(parse_key(settings.key))))


def _generator(seed: int, number: int, candidate: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, number + (candidate - 1 << 32)]))


def _best(candidates: Sequence[Take]) -> Take:
    """The best candidate by the settings they share, the first among equals."""
    if len(candidates) == 1:
        return candidates[0]
    by = candidates[0].settings["by"]
    costs = [cost(c.nats_per_note, c.breaches, c.notes, by) for c in candidates if c.breaches]
    return candidates[costs.index(min(costs))]


def _polyphony(info: TrackInfo, asked: int | None) -> int:
    """The most notes at once in a track: as in the corpus, and as asked for where it is pitched."""
    return info.polyphony if asked is None or info.drums else min(info.polyphony, asked)


def _key_token(key: Key) -> tuple[int, int]:
    return key.signature, int(key.mode == "minor")


def _first_new_grid_tick(task: Task) -> int:
    return task.prefix.reader.bar_start if task.view else 0


def _junction(task: Task) -> int:
    """The primer's final bar line, in its own ticks (which the grid only approximates)."""
    if task.primer is None or task.view is None:
        return 0
    lines = bars(task.primer, max(end_tick(task.primer), _first_new_grid_tick(task) * SCALE))
    return int(lines[task.view.bars])


def _meter_at_end(primer: Score, view: View, settings: Settings) -> Settings:
    """A meter that the primer states on its final bar line holds for the new part, unless another is asked for."""
    line = int(bars(primer)[-1])
    after = [m for m in primer.time_signatures if m.time >= line > 0]
    if not after:
        return settings
    primer.time_signatures = [m for m in primer.time_signatures if m.time < line]
    return settings if settings.meter else replace(settings, meter=(after[0].numerator, after[0].denominator))


def _add_notes(score: Score, notes: Sequence[NewNote]) -> None:
    for index, track in enumerate(score.tracks):
        mine = np.array([note[1:] for note in notes if note.track == index], np.int64).reshape(-1, 4)
        if len(mine):
            old = notes_of(track)
            set_notes(track, Notes(*(np.concatenate(pair) for pair in zip(old, mine.T, strict=True))))


def _only_from(score: Score, tick: int) -> Score:
    result = score.copy()
    for track in result.tracks:
        notes = notes_of(track)
        set_notes(track, notes.take(notes.onset >= tick))
    return result
