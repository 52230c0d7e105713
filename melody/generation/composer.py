"""The composer: Score in, takes out.

What the musician gave goes to the output as it came; new music begins on the bar line after it and has exactly the
bars asked for. A take depends on the seed and its own number alone, not on how many are drawn together: so do the
candidates of which it is the best, and the first of them is the take that would have been drawn without others.
"""

import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melody.bundle import Bundle, open_bundle
from melody.engine import open_engine
from melody.errors import UsageError
from melody.generation.assemble import (
    NewNote,
    junction,
    only_new_notes,
    placed_notes,
    put_together,
)
from melody.generation.decoders.beam import beam_search
from melody.generation.decoders.decode_loop import Continuation, sample, stream
from melody.generation.decoders.stochastic_beam import stochastic_beam_search
from melody.generation.gap_score import nats_after
from melody.generation.prepared import Task, make_ready
from melody.generation.primer.primer_view import SCALE, keys_of, own_line
from melody.generation.ranges import named
from melody.generation.ranking import Breaches, cost, count_breaches
from melody.generation.settings import Settings, settings_from, settings_of
from melody.generation.stream import as_they_come
from melody.music.chords import Span, chord_tones_on_strong_beats
from melody.music.key import estimate_key
from melody.music.originality import piece_share
from melody.music.score import Score, bars, clip

BATCH = 16  # takes drawn side by side


@dataclass(frozen=True)
class Take:
    """One composition: the whole score at 480 ticks a quarter, and what is known of it."""

    score: Score
    first_new_tick: int  # where new music begins
    resumes_tick: int | None  # where the musician's goes on behind a gap; None: new music is the last
    seed: int
    number: int  # from 1
    notes: int  # new ones
    nats_per_note: float  # of the new music, under the model within the grammar
    key: str  # estimated from the new music; empty for drums alone
    settings: dict[str, Any]
    messages: tuple[str, ...] = ()
    candidate: int = 1  # of best-of-N, from 1
    candidates: int = 1
    in_training: float | None = None  # share of the new music's 8-note n-grams; None: too short, or no index
    breaches: Breaches | None = None  # of the rules, by the new bars; counted where candidates were compared
    chord_tones: float | None = None  # share of what sounds on strong beats that belongs to the chords asked for
    nats_after: float | None = None  # of the two bars after a gap, given what fills it; None where there was no gap
    places: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the musician's tracks that go on, each with the model's

    def _repr_html_(self) -> str:
        """What a notebook shows: the take's piano roll with a player and its figures."""
        from melody.generation.take_page import html

        return html(self)


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
        """Continue `primer`, fill it or accompany it, or start from nothing: `takes` different compositions.

        Options are the fields of `Settings` and of `Sampling`; ``greedy=True`` is temperature 0. Without a seed one is
        drawn and stands in the takes. Raises `UsageError` for options that make no sense.
        """
        return list(self.each(primer, takes=takes, seed=seed, **options))

    def each(
        self, primer: Score | None = None, *, takes: int = 1, seed: int | None = None, **options: Any
    ) -> Iterator[Take]:
        """The takes of `compose` one by one, as groups of them are finished."""
        check_takes(takes)
        seed = secrets.randbelow(2**31) if seed is None else seed
        task = self._prepare(primer, settings_of(options))
        size = takes if task.settings.beam_width else max(1, BATCH // task.settings.candidates)
        for first in range(1, takes + 1, size):
            yield from self._compose(task, seed, range(first, min(first + size, takes + 1)))

    def recompose(self, settings: Mapping[str, Any], primer: Score | None = None) -> Take:
        """The take whose `Take.settings` these are, again; they may have gone through JSON."""
        task = self._prepare(primer, settings_from(settings))
        number = int(settings["take"])
        numbers = range(1, number + 1) if task.settings.beam_width else range(number, number + 1)
        return self._compose(task, int(settings["seed"]), numbers)[-1]

    def stream(
        self, primer: Score | None = None, *, seed: int | None = None, **options: Any
    ) -> Generator[NewNote, None, Take]:
        """The notes of take 1, as they are composed; the generator returns the take."""
        seed = secrets.randbelow(2**31) if seed is None else seed
        task = self._prepare(primer, settings_of(options))
        if task.settings.candidates > 1 or task.settings.beam_width:
            raise UsageError("a take is followed as it is drawn: leave out beams and best of; to fill, best of is 1")
        drawn = Continuation([], [])

        def tokens() -> Iterator[int]:
            generators = [_generator(seed, 1)]
            for _, token, nats in stream(
                self.engine, task.prefix, task.rules, task.settings.sampling, generators, task.veto
            ):
                drawn.ids.append(token)
                drawn.nats.append(nats)
                yield token

        yield from as_they_come(task, tokens())
        after = nats_after(task, [drawn.ids], self.engine, self.bundle)[0] if task.frame.replaces else None
        return self._finish(task, seed, 1, 1, drawn, after)

    def _prepare(self, primer: Score | None, settings: Settings) -> Task:
        return make_ready(self.bundle, self.engine, primer, settings)

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def _compose(self, task: Task, seed: int, numbers: range) -> list[Take]:
        """The takes of these numbers, each the best of its candidates."""
        count = task.settings.candidates
        drawn = self._draw(task, seed, [(number, candidate) for number in numbers for candidate in range(1, count + 1)])
        gap = task.frame.replaces
        after = nats_after(task, [one.ids for one in drawn], self.engine, self.bundle) if gap else [None] * len(drawn)
        finished = [
            self._finish(task, seed, numbers[place // count], place % count + 1, *one)
            for place, one in enumerate(zip(drawn, after, strict=True))
        ]
        return [_best(finished[place : place + count]) for place in range(0, len(finished), count)]

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

    def _finish(
        self, task: Task, seed: int, number: int, candidate: int, drawn: Continuation, after: float | None
    ) -> Take:
        ids = task.ids + drawn.ids
        notes = placed_notes(task, ids, self.bundle)
        label = f"melody: {self.bundle.name}, seed {seed}, take {number}"
        score, start = put_together(task, ids, notes, self.bundle, label), junction(task)
        resumes = _resumes(task)
        fresh = only_new_notes(score, task, notes)
        several = task.settings.candidates > 1
        breaches = self._breaches(task, _new_bars(score, task) if task.frame.given else fresh) if several else None
        chord_tones = _chord_tones(score, task) if task.chords else None
        if task.settings.only_new:
            score, start, resumes = _new_bars(score, task), 0, None
        return Take(
            score=score,
            first_new_tick=start,
            resumes_tick=resumes,
            seed=seed,
            number=number,
            notes=len(notes),
            nats_per_note=sum(drawn.nats) / max(1, len(notes)),
            key=estimate_key(fresh).name if any(not track.is_drum for track in fresh.tracks) and notes else "",
            settings=self._provenance(task) | {"seed": seed, "take": number} | task.settings.to_dict(),
            messages=task.messages,
            candidate=candidate,
            candidates=task.settings.candidates,
            in_training=self._in_training(fresh),
            breaches=breaches,
            chord_tones=chord_tones,
            nats_after=after,
            places=self._places(task),
        )

    def _provenance(self, task: Task) -> dict[str, Any]:
        """What beside the settings a take depends on; whoever knows the primer's file adds its name and hash."""
        return {
            "model": self.bundle.name,
            "step_graph": self.bundle.settings["files"].get("step.onnx", ""),
            "engine": self.engine_name,
            "primer": None if task.primer is None else {"name": "", "sha256": ""},
        }

    def _polyphony(self, task: Task) -> dict[int, int]:
        """Of each of the model's tracks that sound in the new bars: the most notes at once."""
        fixed = task.frame.fixed.tracks if task.frame.fixed else frozenset()
        rooms = {place: room.polyphony for place, room in task.rooms.items()}
        return rooms | {place: self.bundle.tracks[place].polyphony for place in fixed - rooms.keys()}

    def _places(self, task: Task) -> tuple[tuple[str, tuple[str, ...]], ...]:
        if task.primer is None or task.view is None:
            return ()
        names, of = [track.name for track in task.primer.tracks], task.view.tracks
        model = [info.name for info in self.bundle.tracks]
        tracks = sorted(set(of.values()))
        return tuple((named(names, t), tuple(model[place] for place in of if of[place] == t)) for t in tracks)

    def _in_training(self, new: Score) -> float | None:
        share = piece_share(new, self.bundle.originality) if self.bundle.knows_its_training else float("nan")
        return share if share == share else None

    def _breaches(self, task: Task, new: Score) -> Breaches:
        infos, track_of, polyphony = self.bundle.tracks, task.track_of, self._polyphony(task)

        def alone(place: int) -> bool:
            return list(track_of.values()).count(track_of[place]) == 1

        pitched = sorted((p for p in polyphony if not infos[p].drums), key=lambda place: -infos[place].mean)
        return count_breaches(
            new,
            lines=[track_of[place] for place in pitched if polyphony[place] == 1 and alone(place)],
            ranges={
                track: (infos[place].lowest, infos[place].highest)
                for place, track in task.frame.tracks.items()
                if place in pitched
            },
            key=task.key or keys_of(new)[-1],
            ending=task.frame.closes,
        )


def check_takes(takes: int) -> None:
    """Raise `UsageError` for a number of takes that makes no sense."""
    if not 1 <= takes <= 1000:
        raise UsageError(f"takes must lie in [1, 1000], got {takes}")


def _generator(seed: int, number: int, candidate: int = 1) -> np.random.Generator:
    words = [seed % 2**64, number + (candidate - 1 << 32)]
    return np.random.Generator(np.random.Philox(key=np.array(words, np.uint64)))


def _best(candidates: Sequence[Take]) -> Take:
    """The best candidate by the settings they share, the first among equals."""
    if len(candidates) == 1:
        return candidates[0]
    by = candidates[0].settings["by"]
    costs = [cost(c.nats_per_note, c.breaches, c.notes, by, c.nats_after or 0.0) for c in candidates if c.breaches]
    return candidates[costs.index(min(costs))]


def _resumes(task: Task) -> int | None:
    """The tick at which the musician's music goes on after the new bars; None where it does not."""
    if task.primer is None or task.view is None or task.frame.stop >= task.view.bars:
        return None
    return own_line(task.primer, task.view, task.frame.stop)


def _chord_tones(score: Score, task: Task) -> float | None:
    """Of all that sounds on strong beats of the new bars the share that belongs to the chords."""
    start = int(task.frame.lines[task.frame.first])
    spans = [Span((span.start - start) * SCALE, span.chord) for span in task.chords]
    fitting, strong = chord_tones_on_strong_beats(_new_bars(score, task), spans)
    return fitting / strong if strong else None


def _new_bars(score: Score, task: Task) -> Score:
    """The bars of the new part alone."""
    lines, first = bars(score), junction(task)
    if task.frame.given and task.primer is not None and task.view is not None:
        stop = own_line(task.primer, task.view, task.frame.stop)
        return clip(score, int(np.searchsorted(lines, first)), int(np.searchsorted(lines, stop)))
    place = int(np.searchsorted(lines, first))
    return clip(score, place, place + task.frame.stop - task.frame.first)
