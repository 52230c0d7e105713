"""A take: one composition with all that is known of it."""

from dataclasses import dataclass
from typing import Any

from melody.generation.ranking import Breaches
from melody.music.score import Score


@dataclass(frozen=True)
class Take:
    """One composition: the whole score, and what is known of it.

    The score has 480 ticks a quarter, or a multiple in which all that was given stands where it stood.
    """

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
