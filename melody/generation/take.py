"""A take: one composition with all that is known of it, as a score, as a MIDI file, as a dictionary, as a page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from melody.formats.midi import SEQUENCER, Reading, Text, dumps
from melody.generation.kept import with_file
from melody.generation.ranking import Breaches
from melody.generation.seam import NOWHERE, Seam
from melody.music.score import Score
from melody.tokens.plan import FormPlan
from melody.version import __version__


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
    humanity: float | None = None  # how human the new bars seem, 0 to 1; told where candidates were compared by taste
    chord_tones: float | None = None  # share of what sounds on strong beats that belongs to the chords asked for
    nats_after: float | None = None  # of the two bars after a gap, or those that a loop returns to; None without
    places: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the musician's tracks that go on, each with the model's
    plan: FormPlan | None = None  # of its bars; None: the model plans none
    sections: tuple[tuple[int, str], ...] = ()  # by that plan: the first bar of each in the score, and its letter
    written: Score | None = None  # the score as notation has it, on the grid; None: it stands there itself
    seam: Seam = NOWHERE  # where the new music meets the musician's

    @property
    def notation(self) -> Score:
        """The score on the grid, whatever its feel."""
        return self.score if self.written is None else self.written

    def to_midi(
        self,
        *,
        title: str = "",
        texts: Sequence[str | Text] = (),
        own_channels: Sequence[int] = (),
        given: Reading | None = None,
    ) -> bytes:
        """Return the take as the bytes of a MIDI file, with its settings as a text for programs.

        `title`, `texts` and `own_channels` are those of `melody.formats.midi.dumps`. With `given`, the reading of the
        primer's file, all that its score has no field for is written again. `melody compose --replay` composes such a
        file again.
        """
        about = Text(0, f"melody {__version__} {json.dumps(self.settings)}", SEQUENCER)
        kept: dict[str, Any] = {"title": title, "texts": texts, "own_channels": own_channels}
        if given is not None:
            kept |= with_file(given, self)
        return dumps(self.score, **kept | {"texts": [*kept["texts"], about]})

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of the take as JSON can hold it: all but the score."""
        known = {
            "take": self.number,
            "seed": self.seed,
            "notes": self.notes,
            "key": self.key,
            "places": dict(self.places),
            "nats_per_note": round(self.nats_per_note, 4),
            "in_training": _rounded(self.in_training),
            "chord_tones": _rounded(self.chord_tones),
            "nats_after": _rounded(self.nats_after),
            "messages": list(self.messages),
            "settings": self.settings,
        }
        if self.plan is not None:
            planned = {name: told for name, told in self.settings["plan"].items() if name != "pickup"}
            known["form"] = {"letters": "".join(name for _, name in self.sections)} | planned
        if "harmony" in self.settings:
            known["harmony"] = self.settings["harmony"]
        if self.breaches is None:
            return known
        best = {"of": self.candidates, "by": self.settings["by"], "candidate": self.candidate}
        if self.humanity is not None:
            best["humanity"] = _rounded(self.humanity)
        return known | {"best": best, "breaches": self.breaches.to_dict()}

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the take's piano roll with a player and its figures."""
        from melody.generation.take_page import html

        return html(self)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
