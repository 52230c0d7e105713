"""A corpus in other tokens: pieces are read and split once as events, which lose nothing, and said again from these.

So two tokenizations of one corpus have the same pieces in the same splits, and their nats per note can be compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from melody.corpus.pieces import Piece
from melody.corpus.shards import Entry, Shards
from melody.corpus.store import read_channels
from melody.music.score import Score, note_count
from melody.tokens import EventTokenizer
from melody.tokens.contract import Tokenizer

if TYPE_CHECKING:
    from melody.tokens.miditok import MidiTokTokenizer


class RetellingTokenizer(Tokenizer, Protocol):
    """A tokenizer that may lose something of a score, and knows."""

    def is_lossless(self, score: Score) -> bool:
        """Return True where its tokens keep all of a score that `quantize` keeps."""


def learn_miditok(
    train: Sequence[Entry], shards: Shards, kind: str, bpe_vocabulary_size: int | None
) -> "MidiTokTokenizer":
    """A MidiTok tokenizer of a kind; with a size, its byte pairs are learned from the train split alone."""
    from melody.tokens.miditok import MidiTokTokenizer

    tokenizer = MidiTokTokenizer(kind, bpe_vocabulary_size)
    return tokenizer.train_bpe(_scores(train, shards), bpe_vocabulary_size) if bpe_vocabulary_size else tokenizer


def retokenized(
    splits: Mapping[str, Sequence[Entry]], shards: Shards, said: Shards, tokenizer: RetellingTokenizer
) -> tuple[dict[str, list[Entry]], float]:
    """The same splits in a tokenizer's tokens, written to the shards `said`; how many pieces it keeps without loss."""
    result: dict[str, list[Entry]] = {}
    kept = total = 0
    for split, entries in splits.items():
        for entry, score in zip(entries, _scores(entries, shards), strict=True):
            said.add(entry.name, "", [_say(entry, score, tokenizer)])
            kept += tokenizer.is_lossless(score)
            total += 1
        result[split] = [said.records[entry.name].entries[0] for entry in entries]
    said.flush()
    return result, kept / total


def _scores(entries: Iterable[Entry], shards: Shards) -> Iterable[Score]:
    return (EventTokenizer().decode(shards.ids(entry.place)) for entry in entries)


def _say(entry: Entry, score: Score, tokenizer: RetellingTokenizer) -> Piece:
    ids = tokenizer.encode(score)
    return Piece(
        name=entry.name,
        ids=ids.astype(np.uint16),
        context=tokenizer.context(ids)[:, : len(read_channels(tokenizer))],
        notes=note_count(score),
        ranges=entry.ranges,
        shifts=tokenizer.transposition(ids),
        fingerprint=entry.fingerprint,
        grams=np.zeros(0, np.int64),
    )
