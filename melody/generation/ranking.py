"""Best of N: what the rules of part-writing say against a take, and which of several takes is the best.

Counted are (`melody.music.voice_leading` defines each) parallel fifths and octaves, crossings and doubled leading notes
between the tracks that are single lines; notes outside what their track did in the training music; and an ending that
is not the tonic chord over its root, where an ending was asked for. Where fewer than two tracks are single lines (a
piano, a band) the ranges and the ending remain.

Takes are compared per note of their new music: by likelihood, the nats a note; by rules, the breaches a note; by both,
their sum, a breach for as much as two notes of usual surprise; by taste, how human the new bars seem
(`melody.tokens.taste`). Among equals the likelier take is the better, then the
earlier. The likeliest of many takes is also the tamest: a small N is often the better one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from melody.music.key import Key, final_chord
from melody.music.score import Score, notes_of
from melody.music.voice_leading import crossings, doubled_leading_notes, ends_on_tonic, parallels, slices

BY_TASTE = "taste"
BY = ("likelihood", "rules", "both", BY_TASTE)
NATS_PER_BREACH = 4.0


@dataclass(frozen=True)
class Breaches:
    """Counts of breaches of the rules in the new music of a take; `open_ending` is 1 or 0."""

    parallels: int
    crossings: int
    doubled_leading_notes: int
    out_of_range: int
    open_ending: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(asdict(self).values())

    def __str__(self) -> str:
        found = [f"{name.replace('_', ' ')} {count}" for name, count in asdict(self).items() if count]
        return f"{self.total} breach{'' if self.total == 1 else 'es'}" + (f" ({', '.join(found)})" if found else "")

    def to_dict(self) -> dict[str, int]:
        """Return the counts as JSON can hold them."""
        return {**asdict(self), "total": self.total}


def count_breaches(
    new: Score, lines: Sequence[int], ranges: Mapping[int, tuple[int, int]], key: Key, ending: bool
) -> Breaches:
    """The breaches in a score of new notes alone.

    `lines` are the indices of the tracks that are single lines, from high to low; `ranges` the lowest and highest pitch
    of each track in training.
    """
    voices = _alone(new, [index for index in lines if len(new.tracks[index].notes)])
    cut = slices([notes_of(track) for track in voices.tracks])
    several = len(voices.tracks) > 1
    pitched = sum(not track.is_drum and len(track.notes) > 0 for track in new.tracks)
    closes = ends_on_tonic(voices, key) if several and len(voices.tracks) == pitched else _closes(new, key)
    return Breaches(
        parallels=len(parallels(cut)) if several else 0,
        crossings=crossings(cut) if several else 0,
        doubled_leading_notes=doubled_leading_notes(cut, key) if several else 0,
        out_of_range=sum(_outside(new, index, span) for index, span in ranges.items()),
        open_ending=int(ending and pitched > 0 and not closes),
    )


def cost(
    nats_per_note: float, breaches: Breaches, notes: int, by: str, nats_after: float = 0.0, humanity: float = 0.0
) -> tuple[float, float]:
    """Return the cost of a take, to be compared number by number; the least is the best.

    The nats of what stands after a gap count as if they were the take's own.
    """
    likelihood = nats_per_note + nats_after / max(1, notes)
    by_rules = breaches.total / max(1, notes)
    primary = {"likelihood": likelihood, "rules": by_rules, "both": likelihood + NATS_PER_BREACH * by_rules}
    primary[BY_TASTE] = -humanity
    return primary[by], likelihood


def _alone(score: Score, tracks: Sequence[int]) -> Score:
    """A score of some tracks, in this order, with the meters of the whole."""
    result = Score(score.tpq)
    result.time_signatures = score.time_signatures
    result.tracks = [score.tracks[index] for index in tracks]
    return result


def _outside(score: Score, track: int, span: tuple[int, int]) -> int:
    pitch = notes_of(score.tracks[track]).pitch
    return int(np.count_nonzero((pitch < span[0]) | (pitch > span[1])))


def _closes(score: Score, key: Key) -> bool:
    """Return True where the last chord is the tonic triad, major or minor, over its root."""
    chord = [int(pitch) % 12 for pitch in final_chord(score)]
    triads = (Key(key.tonic, "major").triad, Key(key.tonic, "minor").triad)
    return bool(chord) and chord[0] == key.tonic and any(set(chord) <= triad for triad in triads)
