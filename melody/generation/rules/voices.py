"""Voices: the tracks that sound in the new bars, which the rules of a style are about, and who of them is who."""

from collections.abc import Sequence
from dataclasses import dataclass

from melody.music.chords import Chord, Span

BEFORE_PITCH = ("Position", "Track", "Velocity", "Duration")  # kinds of tokens that a pitch may follow


@dataclass(frozen=True)
class Voices:
    """The voices that a style's rules are about."""

    tracks: Sequence[int]  # the model's tracks that sound in the new bars, voices from high to low
    fixed: frozenset[int] = frozenset()  # those of them whose notes are fixed beforehand
    last_fixed: int = 0  # the tick at which the last of these begins
    chords: Sequence[Span] = ()  # asked for, in ticks of the grid
    bass: int | None = None  # of a band: the tracks that have these roles
    lead: int | None = None
    drums: int | None = None
    heard: frozenset[int] = frozenset()  # pitch classes that the primer sounds
    in_thirds: bool = False  # beats of the primer fall into three
    drums_given: bool = False  # drums play in the primer

    @property
    def lowest(self) -> int:
        """The track whose notes are the basses of chords."""
        return max(self.tracks, default=0) if self.bass is None else self.bass

    @property
    def highest(self) -> int:
        """The track that has the tune."""
        return min(self.tracks, default=0) if self.lead is None else self.lead

    def chord_at(self, tick: int) -> Chord | None:
        """Return the chord asked for at a tick, if any."""
        before = [span for span in self.chords if span.start <= tick]
        return before[-1].chord if before else None
