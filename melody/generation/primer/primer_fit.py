"""Fit of a primer: how much like a model's training music it is, by what it costs while it is read.

A model that has learned four voices expects all four: one or two alone surprise it at every note, and what it writes
on from there is weak. On music of its kind it needs up to twice the nats a note of its held-out pieces; voices that are
missing cost five to eight times as much.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from melody.bundle import Bundle

STRANGE = 3.0  # times the nats a note of the model's held-out pieces
LEAST_NOTES = 12


@dataclass(frozen=True)
class Fit:
    """Nats a note of some music, beside those that are typical of the model's held-out pieces."""

    nats_per_note: float
    typical: float

    @property
    def times(self) -> float:
        """Times the typical cost."""
        return self.nats_per_note / self.typical

    @property
    def is_strange(self) -> bool:
        """Return True where the music is unlike the training music."""
        return self.times >= STRANGE


def fit_of(nats: float, ids: Sequence[int], bundle: Bundle) -> Fit | None:
    """Return the fit of music (`ids` at `nats` together); None for a few notes, or a model without scores."""
    kind_of = bundle.tokenizer.vocabulary.kind_of
    notes = sum(kind_of[token] in ("Pitch", "Drum") for token in ids)
    typical = bundle.settings.get("scores", {}).get("test_nats_per_note")
    return None if not typical or notes < LEAST_NOTES else Fit(nats / notes, typical)
