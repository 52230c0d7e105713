"""Count how tunes move in their bars, for the ear: ``python -m melody.learning.meters``, which writes its table.

Of the top voice of each training piece in folk, chorale and lied, which are prepared first, the counts say in which
meter it is, where in the bar it begins and from which place to which its onsets go. Each corpus counts alike.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from melody.corpus import open_store
from melody.music.score import Score, bars, meters, notes_of
from melody.senses.metrical import AS, TABLE, UNIT, Move
from melody.tokens import EventTokenizer

CORPORA = ("folk", "chorale", "lied")
MASS = 1e6  # of the onsets of one corpus
LEAST = 0.012  # share of pieces of a meter that is heard


def counted(scores: list[Score]) -> tuple[Counter[str], Counter[tuple[str, int]], Counter[tuple[str, Move]]]:
    """Return how many pieces are in each meter, begin at each place in the bar, and how many onsets make each move."""
    kinds: Counter[str] = Counter()
    firsts: Counter[tuple[str, int]] = Counter()
    moves: Counter[tuple[str, Move]] = Counter()
    for score in scores:
        _, numerator, denominator = meters(score)[-1]
        meter = AS.get(f"{numerator}/{denominator}", f"{numerator}/{denominator}")
        if len(meters(score)) > 2 or not len(score.tracks) or not len(score.tracks[0].notes):
            continue
        length = 4 * 24 * numerator // denominator // UNIT
        lines = bars(score)
        pickup = int(lines[1]) % (length * UNIT) if len(lines) > 2 else 0
        onset = np.unique((notes_of(score.tracks[0]).onset - pickup) // UNIT)
        kinds[meter] += 1
        firsts[meter, int(onset[0] % length)] += 1
        for here, step in zip(onset.tolist(), np.diff(onset).tolist(), strict=False):
            if step <= 2 * length:
                moves[meter, Move(here % length, step)] += 1
    return kinds, firsts, moves


def table() -> dict[str, dict[str, object]]:
    """Return the table, by meter: its share, and the shares of first places and of moves, in millionths."""
    result: dict[str, dict[str, dict[tuple[int, ...], float]]] = {}
    tokenizer = EventTokenizer()
    for name in CORPORA:
        split = open_store(name).split("train")
        scores = [tokenizer.decode(split.piece(index)[0].tolist()) for index in range(len(split))]
        kinds, firsts, moves = counted(scores)
        for meter, count in kinds.items():
            row = result.setdefault(meter, {part: defaultdict(float) for part in ("share", "first", "moves")})
            row["share"][()] += MASS * count / kinds.total() / len(CORPORA)
            for (which, place), number in firsts.items():
                if which == meter:
                    row["first"][(place,)] += MASS * number / firsts.total() / len(CORPORA)
            for (which, move), number in moves.items():
                if which == meter:
                    row["moves"][tuple(move)] += MASS * number / moves.total() / len(CORPORA)
    return {
        meter: {
            "share": round(row["share"][()]),
            "first": [[*place, round(mass)] for place, mass in sorted(row["first"].items()) if mass >= 1],
            "moves": [[*move, round(mass)] for move, mass in sorted(row["moves"].items()) if mass >= 3],
        }
        for meter, row in sorted(result.items())
        if row["share"][()] >= LEAST * MASS
    }


if __name__ == "__main__":
    found = table()
    Path(TABLE).write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
    print({meter: row["share"] for meter, row in found.items()}, Path(TABLE).stat().st_size)
