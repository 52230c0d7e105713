"""Score of what leads on: the model reads behind a filled gap, or from a loop's end into its beginning.

It tells how surprising that music is now.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from symusic import TimeSignature

from melody.bundle import Bundle
from melody.engine import Engine, reorder
from melody.generation.prefix import Prefix, read_prefix
from melody.generation.prepared import Prepared
from melody.generation.primer.primer_view import new_notes
from melody.generation.sampling import log_probability
from melody.music.score import Notes, bars, meters, notes_of, set_notes
from melody.tokens import Plan

FOLLOWING = 2  # bars: of what comes later the model remembers the gap less than those


def nats_after(prepared: Prepared, drawn: Sequence[Sequence[int]], engine: Engine, bundle: Bundle) -> list[float]:
    """For each way to go on (new ids) the nats of the bars that follow; 0 where none does.

    The model is told the length and the key, and nothing of the notes to come.
    """
    if prepared.settings.loop:
        pieces = [_returning(prepared, ids, bundle) for ids in drawn]
    elif prepared.primer is None or prepared.region.stop >= prepared.primer.view.bars:
        return [0.0] * len(drawn)
    else:
        pieces = [_filled(prepared, ids, bundle) for ids in drawn]
    told = prepared.prefix.reader.plan
    start = len(prepared.ids)
    prefix = read_prefix(engine, bundle.tokenizer.reader(Plan(told.bars, told.key)), prepared.ids)
    spans = [_span_after(ids, prepared.region.stop, bundle) for ids in pieces]
    rows = [ids[start:stop].tolist() for ids, (_, stop) in zip(pieces, spans, strict=True)]
    nats = nats_of(prefix, engine, rows, [first - start for first, _ in spans])
    return [sum(one) for one in nats]


def nats_of(
    prefix: Prefix, engine: Engine, rows: Sequence[Sequence[int]], first: Sequence[int] | None = None
) -> list[list[float]]:
    """Return the nats of tokens that follow a prefix, within the grammar; of each row from a place on, or all."""
    first = first or [0] * len(rows)
    readers = [prefix.reader.copy() for _ in rows]
    carry = reorder(prefix.carry, np.zeros(len(rows), np.int64))
    logits = np.repeat(prefix.logits[None], len(rows), axis=0)
    result: list[list[float]] = [[] for _ in rows]
    for time in range(max(map(len, rows))):
        tokens = [int(ids[min(time, len(ids) - 1)]) for ids in rows]
        for row, token in enumerate(tokens):
            if time >= len(rows[row]):
                continue
            if time >= first[row]:
                lawful = np.where(readers[row].allow(), logits[row], -np.inf)
                result[row].append(-log_probability(lawful, token))
            readers[row].read(token)
        logits, carry = engine.step(np.array(tokens), np.stack([reader.context for reader in readers]), carry)
    return result


def _filled(prepared: Prepared, ids: Sequence[int], bundle: Bundle) -> NDArray[np.int32]:
    """The ids of the whole piece with the gap filled by new ids."""
    assert prepared.primer is not None
    lines, region = prepared.region.lines, prepared.region
    start, stop = lines[region.first], lines[region.stop]
    model = bundle.tokenizer.decode(np.array([*prepared.ids, *ids], np.int32))
    new = new_notes(model, int(start))
    piece = prepared.primer.view.score.copy()
    for place in region.tracks:
        old = notes_of(piece.tracks[place])
        parts = (old.take((old.onset < start) | (old.onset >= stop)), new[place])
        set_notes(piece.tracks[place], Notes(*map(np.concatenate, zip(*parts, strict=True))))
    return bundle.tokenizer.spell(piece)


def _returning(prepared: Prepared, ids: Sequence[int], bundle: Bundle) -> NDArray[np.int32]:
    """The ids of the whole piece with its first bars once more at its end; of new bars alone, if they are a loop."""
    tokens, region = np.array([*prepared.ids, *ids], np.int32), prepared.region
    starts = bundle.tokenizer.ticks(tokens)[tokens == bundle.tokenizer.vocabulary.ids["Bar"][0]]
    piece = bundle.tokenizer.decode(tokens)
    lines = bars(piece, int(starts[region.stop - 1]) + 1)
    first = region.first if prepared.settings.only_new else 0
    start, stop, end = (int(lines[bar]) for bar in (first, min(first + FOLLOWING, region.stop), region.stop))
    meter = [(n, d) for tick, n, d in meters(piece) if tick <= start][-1]
    if meter != [(n, d) for tick, n, d in meters(piece) if tick < end][-1]:
        piece.time_signatures.append(TimeSignature(end, *meter))
    for track in piece.tracks:
        notes = notes_of(track)
        again = notes.take((notes.onset >= start) & (notes.onset < stop))
        again = again._replace(onset=again.onset + end - start)
        set_notes(track, Notes(*(np.concatenate(pair) for pair in zip(notes, again, strict=True))))
    return bundle.tokenizer.spell(piece)


def _span_after(ids: NDArray[np.int32], bar: int, bundle: Bundle) -> tuple[int, int]:
    """The places of the first token after the bar line of `bar`, and of the end of `FOLLOWING` bars."""
    lines = np.flatnonzero(ids == bundle.tokenizer.vocabulary.ids["Bar"][0])
    after = bar + FOLLOWING
    if bar >= len(lines):  # nothing that the model sees sounds there
        return len(ids), len(ids)
    return int(lines[bar]) + 1, int(lines[after]) if after < len(lines) else len(ids)
