"""The plots of an evaluation, each with its figures, what it means, and itself as a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.bundle.model_card import names_of_voices
from melody.evaluation.compare import overlap
from melody.evaluation.evaluate import IN_TRAINING, Evaluation
from melody.evaluation.histograms import Histogram
from melody.evaluation.labels import HISTOGRAMS, MEASURES, Meaning
from melody.evaluation.measured import RATES, Measured
from melody.evaluation.plots import Range, Series, bars, distribution, ranges, rows
from melody.music.score import Score, notes_of
from melody.music.voice_leading import RANGES
from melody.storage.display import escaped

MOST_BINS = 14  # of drums: those that the held-out pieces strike most
QUANTILES = (0, 0.05, 0.5, 0.95, 1)

Floats = NDArray[np.float64]


class Side(NamedTuple):
    """A set of pieces on the page: its class, its name, and what was measured."""

    kind: str
    name: str
    pieces: Measured


def plots_of(found: Evaluation, bundle: Bundle, sides: Sequence[Side]) -> Iterator[tuple[str, str]]:
    """Headings, each with its plots; headings under which nothing has sense are left out."""
    rates = set(RATES.values())
    names = [row["statistic"] for row in found.statistics if row["statistic"] in MEASURES]
    overlaps = {row["statistic"]: row["overlap"] for row in found.statistics}
    tracks = [number for number, track in enumerate(bundle.tracks) if not track.drums]
    shares = [row for row in found.statistics if row["statistic"].endswith(IN_TRAINING)]
    groups = {
        "Voice leading, piece by piece": [_measure(name, overlaps[name], sides) for name in names if name in rates],
        "Statistics, piece by piece": [_measure(name, overlaps[name], sides) for name in names if name not in rates],
        "What the music consists of": [*_histograms(sides), *([_ranges(bundle, tracks, sides)] if tracks else [])],
        "Originality": [_originality(bundle, tracks, sides)] if shares else [],
    }
    for title, cards in groups.items():
        if cards:
            yield title, f'<div class="plots">{"".join(cards)}</div>'


def _card(title: str, svg: str, figures: str, meaning: Meaning, table: str) -> str:
    word, _, which = meaning.better.partition(": ")
    return (
        f'<figure class="card"><h3>{escaped(title)}</h3>{svg}<figcaption><p class="numbers">{escaped(figures)}</p>'
        f"<p>{escaped(meaning.says)} <b>{word}:</b> {escaped(which)}</p></figcaption>"
        f"<details><summary>As a table</summary>{table}</details></figure>\n"
    )


def _table(heads: Sequence[str], lines: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th scope="col">{escaped(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{escaped(name)}</th>{"".join(f"<td>{escaped(cell)}</td>" for cell in cells)}</tr>'
        for name, cells in lines
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


# ---- a number of each piece ------------------------------------------------------------------------------------------


def _measure(name: str, overlapped: float, sides: Sequence[Side]) -> str:
    meaning = MEASURES[name]
    show = _percent if meaning.percent else "{:.3g}".format
    series = [Series(side.kind, side.pieces.values[name]) for side in sides]
    means = " · ".join(f"{side.name} {show(side.pieces.means[name])}" for side in sides)
    figures = means + (f" · overlapped area {overlapped:.2f}" if overlapped == overlapped else "")
    lines = []
    for side, (_, values) in zip(sides, series, strict=True):
        known = values[np.isfinite(values)]
        quantiles = np.quantile(known, QUANTILES).tolist() if len(known) else []
        lines.append((side.name, [str(len(known)), *map(show, quantiles)]))
    table = _table(["", "pieces", "least", "5 %", "median", "95 %", "most"], lines)
    drawn = distribution(name, f"How many pieces have which value. Means: {figures}.", series, meaning.percent)
    return _card(name, drawn, figures, meaning, table)


# ---- histograms of notes ---------------------------------------------------------------------------------------------


def _histograms(sides: Sequence[Side]) -> Iterator[str]:
    for name, meaning in HISTOGRAMS.items():
        found = [side.pieces.histograms[name] for side in sides]
        if len(found[0].known) and len(found[-1].known):
            yield _histogram(name, meaning, sides, found)


def _histogram(name: str, meaning: Meaning, sides: Sequence[Side], found: Sequence[Histogram]) -> str:
    means = np.stack([one.mean for one in found])  # (sides, bins)
    bins = list(found[0].bins)
    kept = list(range(len(bins)))
    if len(bins) > MOST_BINS * 2:
        kept = sorted(place for place in np.argsort(-means[-1], kind="stable")[:MOST_BINS].tolist() if means[-1, place])
    names, means = [bins[place] for place in kept], means[:, kept]
    overlapped = overlap(found[0].known, found[-1].known)
    figures = f"overlapped area of the pieces' histograms {overlapped:.2f}" if overlapped == overlapped else ""
    lines = [(one, [_percent(value) for value in means[:, place]]) for place, one in enumerate(names)]
    series = [Series(side.kind, row) for side, row in zip(sides, means, strict=True)]
    description = f"The mean share of a piece's notes in each of {len(names)} bins; the table has them."
    if max(map(len, names)) > 5:
        drawn = rows(name, description, names, series)
    else:
        drawn = bars(name, description, names, series)
    return _card(name, drawn, figures, meaning, _table(["", *(side.name for side in sides)], lines))


# ---- tracks ----------------------------------------------------------------------------------------------------------


def _ranges(bundle: Bundle, tracks: Sequence[int], sides: Sequence[Side]) -> str:
    names = [bundle.tracks[number].name for number in tracks]
    series = [(side.kind, [_range(side.pieces.scores, number) for number in tracks]) for side in sides]
    limits = RANGES if len(tracks) == len(RANGES) == sides[-1].pieces.voices else ()
    meaning = Meaning(
        "From the lowest to the highest pitch of all pieces, thick where nine notes in ten lie, a dot at the median."
        + " The shade is what a voice of a choir reaches, as Kostka & Payne have it." * bool(limits)
    )
    lines = [
        (f"{name}, {side.name}", [f"{pitch:.0f}" for pitch in one] if one else [])
        for place, name in enumerate(names)
        for side, (_, found) in zip(sides, series, strict=True)
        for one in [found[place]]
    ]
    table = _table(["", "lowest", "5 %", "median", "95 %", "highest"], lines)
    drawn = ranges("Ranges of the tracks", "The pitches of each track; the table has them.", names, series, limits)
    return _card("ranges of the tracks", drawn, "pitches as MIDI numbers them: C4 is 60", meaning, table)


def _range(scores: Sequence[Score], number: int) -> Range | None:
    pitches = [notes_of(score.tracks[number]).pitch for score in scores if number < len(score.tracks)]
    pitch = np.concatenate([np.zeros(0, np.int64), *pitches])
    return Range(*np.quantile(pitch, QUANTILES).tolist()) if len(pitch) else None


def _originality(bundle: Bundle, tracks: Sequence[int], sides: Sequence[Side]) -> str:
    count = min(len(tracks), *(len(side.pieces.in_training) for side in sides))
    names = names_of_voices(bundle.settings["tracks"])[:count]
    series = [Series(side.kind, np.array(side.pieces.in_training[:count])) for side in sides]
    shares: Mapping[str, Floats] = {side.name: one.values for side, one in zip(sides, series, strict=True)}
    lines = [(name, [_percent(values[place]) for values in shares.values()]) for place, name in enumerate(names)]
    drawn = rows(IN_TRAINING, "The share for each track and set; the table has them.", names, series)
    meaning = Meaning(
        "Eight notes in a row (durations and intervals) that stand in the training music too, as a share of all. "
        "Human music quotes as well: hymn tunes come back.",
        "Best: at or below the held-out pieces; far above them a model copies.",
    )
    return _card(IN_TRAINING, drawn, "mean over the pieces", meaning, _table(["", *shares], lines))
