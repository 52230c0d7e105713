"""The composer: Score in, takes out.

What the musician gave goes to the output as it came; new music begins on the bar line after it and has exactly the
bars asked for. A take depends on the seed and its own number alone, not on how many are drawn together.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from symusic import KeySignature, Tempo, TextMeta, TimeSignature, Track

from melody.bundle import Bundle, open_bundle
from melody.engine import open_engine
from melody.errors import UsageError
from melody.generation import rules as rule
from melody.generation.beam import beam_search
from melody.generation.decode import Continuation, Prefix, read_prefix, sample, stream
from melody.generation.rules import Rule
from melody.generation.sampling import Sampling
from melody.generation.view import View, empty_start, new_notes, view_of
from melody.key import Key, estimate_key, parse_key
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
)
from melody.tokens import Plan, Reader
from melody.tokens.vocabulary import KEYS, METERS

BATCH = 16  # takes drawn side by side
SCALE = TICKS_PER_QUARTER // GRID


@dataclass(frozen=True)
class Settings:
    """What is asked of a composition. `None` leaves a choice to the primer or the model."""

    bars: int = 8
    sampling: Sampling = field(default_factory=Sampling)
    beam_width: int = 0  # 0: sampling
    length_penalty: float = 0.0
    key: str | None = None  # "E minor"
    tempo_qpm: float | None = None
    meter: tuple[int, int] | None = None
    ending: bool = True
    only_new: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bars <= 1000:
            raise UsageError(f"bars must lie in [1, 1000], got {self.bars}")
        if self.meter is not None and self.meter not in METERS:
            raise UsageError(
                f"meter {self.meter[0]}/{self.meter[1]}: a bar is a whole number of 32nds, up to 12 quarters"
            )
        if self.tempo_qpm is not None and not 4 <= self.tempo_qpm <= 1000:
            raise UsageError(f"tempo must lie in [4, 1000] quarters a minute, got {self.tempo_qpm:g}")
        if self.beam_width < 0:
            raise UsageError(f"beam width must be 1 or more, got {self.beam_width}")
        if self.length_penalty < 0:
            raise UsageError(f"length penalty must be 0 or more, got {self.length_penalty:g}")


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


class Composer:
    """A bundle with an engine. `melody.load("chorale")` makes one."""

    def __init__(self, bundle: Bundle | str | Path, engine: str = "onnx", threads: int = 1) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.engine = open_engine(self.bundle, engine, threads)
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
        drawn = self._draw(task, seed, takes)
        return [self._finish(task, seed, number, one) for number, one in enumerate(drawn, 1)]

    def stream(self, primer: Score | None = None, *, seed: int | None = None, **options: Any) -> Iterator[NewNote]:
        """The notes of take 1, as they are composed."""
        seed = secrets.randbelow(2**31) if seed is None else seed
        task = self._prepare(primer, settings_of(options))
        ids = list(task.ids)
        written = 0
        for _, token, _ in stream(self.engine, task.prefix, task.rules, task.settings.sampling, [_generator(seed, 1)]):
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
        reader = Reader(self._vocabulary, plan)
        prefix = read_prefix(self.engine, reader, ids)
        return Task(settings, primer, view, prefix, ids, self._rules(settings, view, asked, done, total))

    def _rules(self, settings: Settings, view: View | None, key: Key | None, done: int, total: int) -> list[Rule]:
        vocabulary = self._vocabulary
        tracks = list(view.tracks) if view else range(len(self.bundle.tracks))
        limits = {track: self.bundle.tracks[track].polyphony for track in tracks}
        rules = [rule.exact_bars(vocabulary, total), rule.no_long_silence(vocabulary)]
        rules += [rule.only_tracks(vocabulary, tracks), rule.max_polyphony(vocabulary, limits)]
        if settings.meter:
            rules.append(rule.keep_meter(vocabulary, settings.meter, first_bar=done))
        if view:
            rules.append(rule.no_change_of(vocabulary, "Tempo", "Key"))
        else:
            tempo = vocabulary.ids["Tempo"][tempo_bin(settings.tempo_qpm or self.bundle.tempo_qpm)]
            seen = self.bundle.seen[vocabulary.ids["Tempo"].start : vocabulary.ids["Tempo"].stop]
            if seen.any():
                known = np.flatnonzero(seen)
                nearest = known[np.abs(known - (tempo - vocabulary.ids["Tempo"].start)).argmin()]
                rules.append(rule.state_at_start(vocabulary, vocabulary.ids["Tempo"][nearest]))
            if key:
                rules.append(rule.state_at_start(vocabulary, vocabulary.ids["Key"][KEYS.index(_key_token(key))]))
        return [*rules, rule.only_seen(self.bundle.seen)]

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self, task: Task, seed: int, takes: int) -> list[Continuation]:
        settings = task.settings
        if settings.beam_width:
            return beam_search(
                self.engine, task.prefix, task.rules, settings.beam_width, settings.length_penalty, count=takes
            )
        generators = [_generator(seed, number) for number in range(1, takes + 1)]
        batches = (generators[start : start + BATCH] for start in range(0, takes, BATCH))
        return [c for b in batches for c in sample(self.engine, task.prefix, task.rules, settings.sampling, b)]

    # ---- putting together --------------------------------------------------------------------------------------------

    def _finish(self, task: Task, seed: int, number: int, drawn: Continuation) -> Take:
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
            settings={"model": self.bundle.name, "seed": seed, "take": number, **asdict(task.settings)},
            messages=tuple(task.view.messages) if task.view else (),
        )

    def _placed_notes(self, task: Task, ids: Sequence[int]) -> list[NewNote]:
        """The new notes in the musician's tracks, at 480 ticks a quarter."""
        first = _first_new_grid_tick(task)
        offset = _junction(task) - first * SCALE
        result = []
        for place, notes in new_notes(ids, self.bundle, first).items():
            track = task.view.tracks.get(place, place) if task.view else place
            louder = task.view.loudness.get(place, 0) if task.view else 0
            velocity = np.clip(notes.velocity + louder, 1, 127)
            rows = zip(notes.onset * SCALE + offset, notes.duration * SCALE, notes.pitch, velocity, strict=True)
            result += [NewNote(track, *map(int, row)) for row in rows]
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


def settings_of(options: dict[str, Any]) -> Settings:
    """`Settings` from keyword arguments. Raises `UsageError` for unknown ones."""
    options = dict(options)
    if options.pop("greedy", False):
        options["temperature"] = 0.0
    known = Sampling.__dataclass_fields__
    sampling = Sampling(**{name: options.pop(name) for name in list(options) if name in known})
    unknown = options.keys() - Settings.__dataclass_fields__.keys()
    if unknown:
        names = sorted([*known, *(Settings.__dataclass_fields__.keys() - {"sampling"}), "greedy"])
        raise UsageError(f"unknown option {sorted(unknown)[0]!r}; there are {', '.join(names)}")
    return Settings(sampling=sampling, **options)


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, number]))


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
