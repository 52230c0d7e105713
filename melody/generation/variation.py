"""Variations: some bars of some tracks of a take composed anew, all others kept to the note.

    strength 0.5     |bar 5|bar 6|bar 7|bar 8|       chance chooses half of all bars of all tracks; what is chosen in
    Melody           |     |new..|new..|     |       bars beside each other and in the same tracks is one gap, and gaps
    Bass             |new..|new..|new..|     |       are filled from left to right, each as `--fill` fills one; where
                                                     nothing sounds any more the piece has ended

So a variation is a take like others: any model makes it, whatever is asked holds, and its settings compose it again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from symusic import TextMeta

from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import lines_seen
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.generation.take import Take
from melody.music.score import Score, bars

OWN_MARKER = "melody: "
DEFAULT_STRENGTH = 0.5


class Gap(NamedTuple):
    """Bars (from 1) and tracks (by number, from 1) that are composed anew together, and their seed."""

    first: int
    last: int
    tracks: tuple[str, ...]
    seed: int


def as_variation(
    settings: Settings, take: Score, primer: Score | None = None, strength: float | None = None
) -> Settings:
    """The settings for a variation of a take: of its new bars, unless others are asked for.

    These are the bars behind the primer, or from the marker on that melody wrote; of other music all.
    """
    strength = DEFAULT_STRENGTH if strength is None else strength
    rounds = settings.rounds or 0
    if settings.fill:
        return replace(settings, strength=strength, rounds=rounds)
    lines = bars(take)
    first = len(bars(primer)) - 1 if primer is not None else _marked(take)
    bars_anew = (min(first, len(lines) - 2) + 1, len(lines) - 1)
    return replace(settings, fill=bars_anew, strength=strength, rounds=rounds)


def _marked(take: Score) -> int:
    """The bar (from 0) at which melody's last part begins; 0 where there is none."""
    ticks = [int(marker.time) for marker in take.markers if marker.text.startswith(OWN_MARKER)]
    return int(np.searchsorted(bars(take), max(ticks, default=0), side="right")) - 1


def varied(prepared: Prepared, primer: Score, seed: Seed, compose: Callable[[Score, Settings, int, int], Take]) -> Take:
    """Vary the bars of a region; `compose` fills one gap: (score, settings, seed, number of the take)."""
    settings, score, takes = prepared.settings, primer, list[Take]()
    for gap in gaps_of(prepared, seed):
        last = min(gap.last, len(lines_seen(score)) - 1) if takes else gap.last  # a gap before may have ended earlier
        if last < gap.first:
            break
        asked = replace(settings, strength=None, fill=(gap.first, last), tracks=gap.tracks, only_new=False)
        takes.append(compose(score, asked, gap.seed, seed.take))
        score = takes[-1].score
    return _together(takes, prepared, primer, seed)


def gaps_of(prepared: Prepared, seed: Seed) -> list[Gap]:
    """Gaps that a variation fills anew: at least one bar of one track."""
    assert prepared.primer is not None
    assert prepared.settings.strength is not None
    numbers, region = seed.generator_of_variation(), prepared.region
    tracks = sorted(set(region.tracks.values()))
    cells = [(bar, track) for bar in range(region.first, region.stop) for track in tracks]
    count = max(1, round(prepared.settings.strength * len(cells)))
    chosen = {cells[place] for place in numbers.permutation(len(cells))[:count].tolist()}
    of_bar = [tuple(track for track in tracks if (bar, track) in chosen) for bar in range(region.first, region.stop)]
    gaps, bar = list[Gap](), region.first + 1
    for together, group in groupby(of_bar):
        length = len(list(group))
        if together:
            names = tuple(str(track + 1) for track in _with_kit(together, prepared))
            gaps.append(Gap(bar, bar + length - 1, names, int(numbers.integers(2**31))))
        bar += length
    return gaps


def _with_kit(tracks: Sequence[int], prepared: Prepared) -> list[int]:
    """Tracks with all those of a kit that lies on several."""
    kit = prepared.primer.view.kit if prepared.primer else None
    return sorted({*tracks, *(kit.tracks if kit and kit.main in tracks else ())})


def _together(takes: Sequence[Take], prepared: Prepared, primer: Score, seed: Seed) -> Take:
    """The last take, which holds the notes of all, with the figures of all."""
    last, seam = takes[-1], prepared.seam
    notes = sum(take.notes for take in takes)
    nats = sum(take.notes * take.nats_per_note for take in takes)
    for score in filter(None, (last.score, last.written)):
        score.markers = [*_without_own(score, len(primer.markers)), TextMeta(seam.start, _label(prepared, seed))]
    return replace(
        last,
        first_new_tick=seam.start,
        resumes_tick=seam.resumes,
        seed=seed.seed,
        number=seed.take,
        notes=notes,
        nats_per_note=nats / max(1, notes),
        settings={k: v for k, v in last.settings.items() if k != "plan"} | seed.named | prepared.settings.to_dict(),
        messages=prepared.messages,
        breaches=None,
        plan=None,
        sections=(),
        seam=seam,
    )


def _without_own(score: Score, given: int) -> list[TextMeta]:
    """The markers that were given, without those that each gap got behind them."""
    return [marker.copy() for marker in score.markers][:given]


def _label(prepared: Prepared, seed: Seed) -> str:
    return f"{OWN_MARKER}{prepared.bundle.name}, seed {seed.seed}, take {seed.take}"
