"""How well what stands after a gap follows from what fills it: the model reads on and says how surprised it is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import Engine, reorder
from melody.generation.decoders.decode_loop import read_prefix
from melody.generation.decoders.samplers import log_probability
from melody.generation.prepared import Task
from melody.generation.primer.primer_view import new_notes
from melody.music.score import Notes, notes_of, set_notes
from melody.tokens import Plan, Reader

FOLLOWING = 2  # bars: of what comes later the model remembers the gap less than those


def nats_after(task: Task, drawn: Sequence[Sequence[int]], engine: Engine, bundle: Bundle) -> list[float]:
    """For each way to fill the gap (new ids) the nats of the bars after it; 0 where none follows.

    The model is told the length and the key, and nothing of the notes to come.
    """
    assert task.view is not None
    if task.frame.stop >= task.view.bars:
        return [0.0] * len(drawn)
    pieces = [_filled(task, ids, bundle) for ids in drawn]
    told = task.prefix.reader.plan
    start = len(task.ids)
    prefix = read_prefix(engine, Reader(bundle.tokenizer.vocabulary, Plan(told.bars, told.key)), task.ids)
    readers = [prefix.reader.copy() for _ in pieces]
    carry = reorder(prefix.carry, np.zeros(len(pieces), np.int64))
    logits = np.repeat(prefix.logits[None], len(pieces), axis=0)
    spans = [_span_after(ids, task.frame.stop, bundle) for ids in pieces]
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


def _filled(task: Task, ids: Sequence[int], bundle: Bundle) -> NDArray[np.int32]:
    """The ids of the whole piece with the gap filled by new ids."""
    assert task.view is not None
    lines, frame = task.frame.lines, task.frame
    start, stop = lines[frame.first], lines[frame.stop]
    new = new_notes([*task.ids, *ids], bundle, int(start))
    piece = task.view.score.copy()
    for place in frame.tracks:
        old = notes_of(piece.tracks[place])
        parts = (old.take((old.onset < start) | (old.onset >= stop)), new[place])
        set_notes(piece.tracks[place], Notes(*map(np.concatenate, zip(*parts, strict=True))))
    return bundle.tokenizer.spell(piece)


def _span_after(ids: NDArray[np.int32], bar: int, bundle: Bundle) -> tuple[int, int]:
    """Where the tokens of the bars from `bar` on begin, right after its bar line, and where `FOLLOWING` of them end."""
    lines = np.flatnonzero(ids == bundle.tokenizer.vocabulary.ids["Bar"][0])
    after = bar + FOLLOWING
    if bar >= len(lines):  # nothing that the model sees sounds there
        return len(ids), len(ids)
    return int(lines[bar]) + 1, int(lines[after]) if after < len(lines) else len(ids)
