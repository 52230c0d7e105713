"""Score of a filled gap: the model reads on behind it and tells how surprising that music is now."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import Engine, reorder
from melody.generation.prefix import read_prefix
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import new_notes
from melody.generation.sampling import log_probability
from melody.music.score import Notes, notes_of, set_notes
from melody.tokens import Plan

FOLLOWING = 2  # bars: of what comes later the model remembers the gap less than those


def nats_after(prepared: Prepared, drawn: Sequence[Sequence[int]], engine: Engine, bundle: Bundle) -> list[float]:
    """For each way to fill the gap (new ids) the nats of the bars after it; 0 where none follows.

    The model is told the length and the key, and nothing of the notes to come.
    """
    assert prepared.primer is not None
    if prepared.region.stop >= prepared.primer.view.bars:
        return [0.0] * len(drawn)
    pieces = [_filled(prepared, ids, bundle) for ids in drawn]
    told = prepared.prefix.reader.plan
    start = len(prepared.ids)
    prefix = read_prefix(engine, bundle.tokenizer.reader(Plan(told.bars, told.key)), prepared.ids)
    readers = [prefix.reader.copy() for _ in pieces]
    carry = reorder(prefix.carry, np.zeros(len(pieces), np.int64))
    logits = np.repeat(prefix.logits[None], len(pieces), axis=0)
    spans = [_span_after(ids, prepared.region.stop, bundle) for ids in pieces]
    result = [0.0] * len(pieces)
    for time in range(start, max(stop for _, stop in spans)):
        tokens = [int(ids[min(time, len(ids) - 1)]) for ids in pieces]
        for row, (token, (first, stop)) in enumerate(zip(tokens, spans, strict=True)):
            if first <= time < stop:
                lawful = np.where(readers[row].allow(), logits[row], -np.inf)
                result[row] -= log_probability(lawful, token)
            if time < stop:
                readers[row].read(token)
        logits, carry = engine.step(np.array(tokens), np.stack([reader.context for reader in readers]), carry)
    return result


def _filled(prepared: Prepared, ids: Sequence[int], bundle: Bundle) -> NDArray[np.int32]:
    """The ids of the whole piece with the gap filled by new ids."""
    assert prepared.primer is not None
    lines, region = prepared.region.lines, prepared.region
    start, stop = lines[region.first], lines[region.stop]
    new = new_notes([*prepared.ids, *ids], bundle, int(start))
    piece = prepared.primer.view.score.copy()
    for place in region.tracks:
        old = notes_of(piece.tracks[place])
        parts = (old.take((old.onset < start) | (old.onset >= stop)), new[place])
        set_notes(piece.tracks[place], Notes(*map(np.concatenate, zip(*parts, strict=True))))
    return bundle.tokenizer.spell(piece)


def _span_after(ids: NDArray[np.int32], bar: int, bundle: Bundle) -> tuple[int, int]:
    """The places of the first token after the bar line of `bar`, and of the end of `FOLLOWING` bars."""
    lines = np.flatnonzero(ids == bundle.tokenizer.vocabulary.ids["Bar"][0])
    after = bar + FOLLOWING
    if bar >= len(lines):  # nothing that the model sees sounds there
        return len(ids), len(ids)
    return int(lines[bar]) + 1, int(lines[after]) if after < len(lines) else len(ids)
