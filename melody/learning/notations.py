"""Teach the ear which notation people choose: ``python -m melody.learning.notations``, which writes its network.

Beginnings of training tunes (folk, chorale sopranos, voices of songs; prepared first) are played at a tempo drawn
evenly between `SLOW_QPM` and `FAST_QPM` beats a minute, by a hand that is not exact and an ear that misses and imagines
notes. The network (`melody.senses.notation`) learns to prefer, of the notations that stand out, the one that was
printed; one of the same tempo counts half.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.corpus import open_store
from melody.learning.meters import CORPORA
from melody.music.score import GRID, Score, meters, notes_of
from melody.senses.metrical import AS_PAIR, QUARTER
from melody.senses.notation import FAST_QPM, SLOW_QPM, TABLE, Preference, described
from melody.senses.rhythm import notations
from melody.storage.files import write_bytes
from melody.tokens import EventTokenizer

TUNES = 900
SECONDS = (12.0, 24.0)  # of a beginning
SHORTEST = 0.1  # seconds of a note: faster tunes are played more slowly
HAND = (0.004, 0.018)  # standard deviation of a hand, in seconds
MISSED, IMAGINED = 0.03, 0.01  # share of notes
CLOSE = 0.04  # of a tempo
HIDDEN, STEPS, RATE, DECAY, DROPPED = 16, 800, 5e-3, 0.3, 0.15


class HeardTune(NamedTuple):
    """A beginning as it was heard, and as it was written."""

    onsets: NDArray[np.float64]  # seconds
    pitches: NDArray[np.int64]
    qpm: float
    meter: tuple[int, int]


class Examples(NamedTuple):
    """Notations of tunes: features (T, R, F), which are there, of the right tempo, of the right meter too (T, R)."""

    rows: NDArray[np.float32]
    there: NDArray[np.bool_]
    in_time: NDArray[np.bool_]
    right: NDArray[np.bool_]


def played(split: str, count: int, seed: int) -> Iterator[HeardTune]:
    """Yield so many beginnings, the corpora in turn."""
    draw, tokenizer = np.random.default_rng(seed), EventTokenizer()
    pools = [open_store(name).split(split) for name in CORPORA]
    orders = [draw.permutation(len(pool)).tolist() for pool in pools]
    done = 0
    while done < count and any(orders):
        for pool, order in zip(pools, orders, strict=True):
            if order and (one := beginning(tokenizer.decode(pool.piece(order.pop())[0]), draw)):
                done += 1
                yield one


def beginning(score: Score, draw: np.random.Generator) -> HeardTune | None:
    """Play the beginning of a piece's tune; None for one in a meter that changes, or too short."""
    numerator, denominator = meters(score)[-1][1:]
    lines = [notes_of(track) for track in score.tracks if not track.is_drum]
    if not lines or len(meters(score)) > 2:
        return None
    line = lines[0].take(np.append(np.diff(lines[0].onset) > 0, True)[: len(lines[0].onset)])
    if len(line.onset) < 12:
        return None
    compound = numerator % 3 == 0 and numerator > 3 and denominator >= 8
    beat = (3 if compound else 1) * (4 / denominator if denominator >= 8 else 1.0)
    qpm = beat * float(np.exp(draw.uniform(np.log(SLOW_QPM), np.log(FAST_QPM))))
    qpm = min(qpm, float(np.percentile(np.diff(line.onset), 2)) / GRID * 60 / SHORTEST)
    onsets = (line.onset - line.onset[0]) / GRID * 60 / qpm
    heard = (onsets < draw.uniform(*SECONDS)) & (draw.random(len(onsets)) >= MISSED)
    if heard.sum() < 12:
        return None
    onsets, pitches = onsets[heard] + draw.normal(0, draw.uniform(*HAND), int(heard.sum())), line.pitch[heard]
    imagined = draw.random(len(onsets) - 1) < IMAGINED
    between = (onsets[:-1] + draw.random(len(imagined)) * np.diff(onsets))[imagined]
    onsets, pitches = np.append(onsets, between), np.append(pitches, pitches[:-1][imagined])
    order = np.argsort(onsets, kind="stable")
    return HeardTune(
        onsets[order], pitches[order], qpm, AS_PAIR.get((numerator, denominator), (numerator, denominator))
    )


def examples(tunes: Iterator[HeardTune]) -> tuple[Examples, tuple[str, ...]]:
    """Return the notations that stand out in tunes, and the names of the features."""
    found = []
    names: tuple[str, ...] = ()
    for tune in tunes:
        known = notations(tune.onsets)
        rows = [described(one, tune.onsets, tune.pitches) for one in known]
        names = tuple(rows[0])
        close = [abs(60 / (QUARTER * one.unit_seconds) / tune.qpm - 1) <= CLOSE for one in known]
        right = [near and one.model.meter == tune.meter for near, one in zip(close, known, strict=True)]
        found.append(([[row[name] for name in names] for row in rows], close, right))
    most = max(len(rows) for rows, *_ in found)
    result = Examples(
        np.zeros((len(found), most, len(names)), np.float32), *(np.zeros((len(found), most), bool) for _ in range(3))
    )
    for place, (values, close, right) in enumerate(found):
        count = len(values)
        result.rows[place, :count], result.there[place, :count] = np.array(values), True
        result.in_time[place, :count], result.right[place, :count] = np.array(close), np.array(right)
    return result, names


def learned(known: Examples, names: tuple[str, ...], seed: int = 0) -> Preference:
    """Return the network that prefers what was written."""
    import torch

    torch.manual_seed(seed)
    shift, scale = known.rows[known.there].mean(axis=0), known.rows[known.there].std(axis=0) + 1e-3
    network = torch.nn.Sequential(
        torch.nn.Linear(len(names), HIDDEN), torch.nn.Tanh(), torch.nn.Dropout(DROPPED), torch.nn.Linear(HIDDEN, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    rows = torch.from_numpy((known.rows - shift) / scale)
    masks = [torch.from_numpy(~mask) for mask in (known.there, known.in_time, known.right)]
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        wanted = network(rows)[..., 0]
        every, in_time, right = (wanted.masked_fill(mask, -1e4).logsumexp(1) for mask in masks)
        there = known.right.any(axis=1)
        loss = (every - in_time).clamp(max=20).mean() + 0.5 * (every - right)[torch.from_numpy(there)].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = [array.detach().numpy().astype(np.float64) for array in network.parameters()]
    return Preference(names, shift, scale, weights[0].T, weights[1], weights[2][0])


def shares(known: Examples, preference: Preference) -> tuple[float, float]:
    """Return how often the preferred notation has the right tempo, and the right meter too."""
    wanted = np.where(known.there, preference.of(known.rows.astype(np.float64)), -np.inf)
    best = (np.arange(len(wanted)), wanted.argmax(axis=1))
    return float(known.in_time[best].mean()), float(known.right[best].mean())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tunes", type=int, default=TUNES)
    parser.add_argument("--out", type=Path, default=TABLE)
    given = parser.parse_args()
    (known, names), (held_out, _) = examples(played("train", given.tunes, 0)), examples(played("valid", 200, 1))
    preference = learned(known, names)
    for name, one in (("train", known), ("valid", held_out)):
        print(f"{name}: tempo right in {shares(one, preference)[0]:.3f}, meter too {shares(one, preference)[1]:.3f}")
    fields = {name: np.round(getattr(preference, name), 4).tolist() for name in Preference._fields[1:]}
    write_bytes(given.out, (json.dumps({"names": names} | fields) + "\n").encode(), force=True)


if __name__ == "__main__":
    main()
