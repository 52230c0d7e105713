"""Answers to calls of four bars, as `melody jam` gives them: seconds until the first whole bar of an answer is there.

- at once: the whole call is handed over, and nothing of it was known; processor seconds
- as played: the model had answered the call without its last notes, as it does where a player takes breath; likewise
- expected: it had answered the whole call; seconds by the clock, from asking another process to the end of the bar
"""

from collections.abc import Iterator, Sequence
from itertools import count
from time import process_time, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray
from race import Contestant, Result, race

from melody.engine.passages import MOST_KEPT
from melody.generation import Composer, NewNote
from melody.live import ComposerProcess
from melody.music.score import Score, clip, notes_of, set_notes

BARS = 4
CALLS = MOST_KEPT + 2  # of which a model has forgotten one when it comes again
FIRST_BAR = 0.030  # goal: seconds
BREATH_SECONDS, STEP_SECONDS = 1.5, 0.0005  # long enough for an answer on a busy machine, too
JAM: dict[str, Any] = {"bars": BARS, "ending": False, "humanize": 0.0}
KINDS = ("at once", "as played", "expected")


def calls_by(composer: Composer) -> list[Score]:
    """Calls in the style of a model: beginnings of pieces of its own."""
    return [clip(composer.compose(bars=16, seed=seed)[0].score, 0, BARS) for seed in range(3, 3 + CALLS)]


def without_last_notes(call: Score) -> Score:
    """A call as it stood before its last onset."""
    before = call.copy()
    last = max(int(notes_of(track).onset.max(initial=0)) for track in call.tracks)
    for track in before.tracks:
        notes = notes_of(track)
        set_notes(track, notes.take(notes.onset < last))
    return before


def first_bar(notes: Iterator[NewNote]) -> None:
    """Wait for the first whole bar of an answer: a note of the next one ends it."""
    first = next(notes).bar
    next((note for note in notes if note.bar > first), None)


def at_once(composer: Composer, calls: Sequence[Score]) -> Contestant:
    """Processor seconds from a call to the first whole bar."""
    numbers = count()

    def turn() -> float:
        number = next(numbers)
        return _seconds(composer, calls[number % len(calls)], number)

    return turn


def as_played(composer: Composer, calls: Sequence[Score]) -> Contestant:
    """Likewise, where the call without its last notes has had an answer."""
    before, numbers = [without_last_notes(call) for call in calls], count()

    def turn() -> float:
        number = next(numbers)
        _seconds(composer, before[number % len(calls)], number)
        return _seconds(composer, calls[number % len(calls)], number)

    return turn


def expected(process: ComposerProcess, calls: Sequence[Score]) -> Contestant:
    """Seconds by the clock from a call that was expected to the first whole bar."""
    numbers = count()

    def turn() -> float:
        number = next(numbers)
        call, asked = calls[number % len(calls)], JAM | {"seed": number}
        process.expect(call, **asked)
        sleep(BREATH_SECONDS)
        composing = process.begin(call, **asked)
        while composing.bar_after_seconds is None:
            composing.ready()
            sleep(STEP_SECONDS)
        while composing.take is None:  # the rest is in nobody's way
            composing.ready()
            sleep(STEP_SECONDS)
        return composing.bar_after_seconds

    return turn


def _seconds(composer: Composer, call: Score, seed: int) -> float:
    start = process_time()
    notes = composer.stream(call, seed=seed, **JAM)
    first_bar(notes)
    seconds = process_time() - start
    notes.close()
    return seconds


def answers(model: str, rounds: int) -> tuple[list[str], list[Result]]:
    """Facts and results of a model's answers."""
    native, calls = Composer(model, "native"), calls_by(Composer(model, "native"))
    process = ComposerProcess(model)
    contestants = at_once(native, calls), as_played(Composer(model, "native"), calls), expected(process, calls)
    times = race(dict(zip(KINDS, contestants, strict=True)), rounds)
    process.close()
    told = ", ".join(f"{kind} {np.median(times[kind]) * 1e3:.1f}" for kind in KINDS)
    return [f"{model}: first bar, ms: {told}"], [first_bar_of(model, kind, times[kind]) for kind in KINDS]


def first_bar_of(model: str, kind: str, seconds: NDArray[np.float64]) -> Result:
    """The result of a race of answers."""
    name = f"{model}: first bar of an answer, call {kind}, s"
    return Result(name, float(np.median(seconds)), float(seconds.min()), FIRST_BAR, True)
