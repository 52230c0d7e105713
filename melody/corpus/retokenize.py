"""A corpus in other tokens: pieces are read and split once as events, which lose nothing, and said again from these.

So two tokenizations of one corpus have the same pieces in the same splits, and their nats per note can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from melody.corpus.pieces import Piece
from melody.score import Score
from melody.tokens import EventTokenizer

if TYPE_CHECKING:
    from melody.tokens.miditok_adapter import MidiTokTokenizer


def learn_miditok(train: Sequence[Piece], kind: str, bpe_vocabulary_size: int | None) -> "MidiTokTokenizer":
    """A MidiTok tokenizer of a kind; with a size, its byte pairs are learned from the train split alone."""
    from melody.tokens.miditok_adapter import MidiTokTokenizer

    tokenizer = MidiTokTokenizer(kind, bpe_vocabulary_size)
    return tokenizer.train_bpe(map(_score, train), bpe_vocabulary_size) if bpe_vocabulary_size else tokenizer


def retokenized(
    splits: Mapping[str, Sequence[Piece]], tokenizer: "MidiTokTokenizer"
) -> tuple[dict[str, list[Piece]], float]:
    """The same splits in a tokenizer's tokens, and the share of the pieces that it keeps without loss."""
    pieces = [piece for members in splits.values() for piece in members]
    kept = float(np.mean([tokenizer.is_lossless(_score(piece)) for piece in pieces]))
    return {split: [_say(piece, tokenizer) for piece in members] for split, members in splits.items()}, kept


def _score(piece: Piece) -> Score:
    return EventTokenizer().decode(piece.ids)


def _say(piece: Piece, tokenizer: "MidiTokTokenizer") -> Piece:
    ids = tokenizer.encode(_score(piece))
    context = tokenizer.context(ids)
    return replace(piece, ids=ids.astype(np.uint16), context=context, shifts=tokenizer.transposition(ids))
