"""Originality of a file: the share of it that stands in a model's training music, compared with human music.

Human music repeats other music too, some voices more than others: hymn tunes come back, inner voices hardly do. So a
file is ranked against the held-out pieces like for like: its tracks are put on the model's as `melody compose` does it
(by height, without crossing), and of every held-out piece the same tracks are pooled. A lone tune is compared with lone
sopranos, whatever its track is called and wherever it stands. Percentile 50 is as usual as it gets; near 100 almost
no human piece has as much in common with the training music. A short file has few n-grams, and ranks more loosely.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from melody.bundle import Bundle
from melody.generation.primer.assignment import place_lines
from melody.music.originality import MIN_BARS, Copy, Count, copies, counts, pooled
from melody.music.score import Score


@dataclass(frozen=True)
class Originality:
    """Result of `melody originality`. Shares lie from 0 to 1; NaN if a track is too short for an n-gram."""

    copies: list[Copy]
    tracks: list[Count]  # of each track of the file
    places: dict[int, int]  # the file's track of each of the model's tracks that was compared
    share: float  # of the compared tracks together
    percentile: float  # of `share` among the held-out pieces; NaN where one of them is missing
    held_out_pieces: int  # that have these tracks

    def to_dict(self) -> dict[str, Any]:
        """For JSON, tracks counted from 1."""
        return asdict(self) | {
            "copies": [
                asdict(copy) | {"track": copy.track + 1, "piece_last_bar": copy.piece_last_bar} for copy in self.copies
            ],
            "tracks": [{"track": n, **count._asdict(), "share": count.share} for n, count in enumerate(self.tracks, 1)],
            "places": {place + 1: track + 1 for place, track in self.places.items()},
        }


def originality_of(score: Score, bundle: Bundle, min_bars: float = MIN_BARS) -> Originality:
    """Compare a score with a bundle's training music. Raises `UnreadableFile` for a bundle without its index."""
    index = bundle.originality
    found = counts(score, index)
    used = [number for number, track in enumerate(score.tracks) if len(track.notes)]
    placed = place_lines([score.tracks[number] for number in used], bundle.tracks)
    places: dict[int, int] = {}
    for place, line in placed.items():  # a track of chords counts once, on the highest of its voices' places
        if not bundle.tracks[place].drums and used[line.track] not in places.values():
            places[place] = used[line.track]
    share = pooled(found[track] for track in places.values()).share
    human = held_out_shares(bundle.held_out, places)
    return Originality(copies(score, index, min_bars), found, places, share, percentile(share, human), len(human))


def held_out_shares(pieces: Sequence[Sequence[Count]], places: Collection[int]) -> list[float]:
    """The in-training share of each piece in these tracks together, where it has n-grams there."""
    counted = [pooled(count for place, count in enumerate(piece) if place in places) for piece in pieces]
    return [count.share for count in counted if count.ngrams]


def percentile(value: float, others: Sequence[float]) -> float:
    """The percentage of others that are less, equal ones by half; NaN without a value or others."""
    if value != value or not others:
        return float("nan")
    less, equal = sum(other < value for other in others), sum(other == value for other in others)
    return 100 * (less + equal / 2) / len(others)
