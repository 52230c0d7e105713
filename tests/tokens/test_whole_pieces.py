"""Channels of whole pieces in C against Python's, token by token."""

from pathlib import Path

import numpy as np
import pytest
from support import native_trials

from melody.native.library import core
from melody.tokens import EventTokenizer, aligned_memory, repetition, whole_pieces
from melody.tokens.channels import names_of

needs_core = pytest.mark.skipif(core() is None, reason="no native core")


def piece(random: np.random.Generator, length: int = 1500) -> list[int]:
    """The ids of a random piece of some length, more or less."""
    reader, ids = EventTokenizer().reader(), list[int]()
    while len(ids) < length and (token := native_trials.next_token(random, reader)) is not None:
        reader.read(token)
        ids.append(token)
    return ids


@needs_core
@pytest.mark.parametrize("seed", range(6))
def test_channels_are_those_of_python(seed: int) -> None:
    random = np.random.default_rng(seed)
    ids = piece(random)
    assert np.array_equal(whole_pieces.recalls(ids), repetition.recalls(ids))
    for plan in (None, native_trials.form(random)):
        for voices in (0, 1, 5, 16):
            told = whole_pieces.remembered(np.array(ids), plan, voices)
            assert np.array_equal(told, aligned_memory.remembered(ids, plan, voices))


@pytest.mark.parametrize("groups", [["read"], ["read", "foreseen", "repetition", "form", "parts"]])
def test_the_context_of_a_piece_is_what_its_reader_tells(groups: list[str]) -> None:
    tokenizer = EventTokenizer(names_of(groups))
    ids = np.array(piece(np.random.default_rng(9), 300), np.int32)
    reader = tokenizer.reader(tokenizer.plan_of(ids))
    for token, row in zip(ids.tolist(), tokenizer.context(ids), strict=True):
        reader.read(token)
        assert np.array_equal(reader.context, row)


@needs_core
def test_no_token_is_refused_and_left_to_python() -> None:
    with pytest.raises(IndexError):
        whole_pieces.remembered([1, 5000], None)


@needs_core
@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["chorale", "drums"])
def test_every_piece_of_a_corpus_has_the_same_channels(corpus: str) -> None:
    """All pieces of a prepared store, where one is at hand."""
    from melody.corpus.store import TokenStore

    folder = Path(__file__).parents[2] / "corpora" / corpus / "prepared"
    if not folder.is_dir():
        pytest.skip(f"no prepared {corpus}")
    store = TokenStore.open(folder)
    for name in store.splits:
        split = store.split(name)
        for number in range(len(split)):
            ids = split.piece(number)[0].astype(np.int32)
            assert np.array_equal(whole_pieces.recalls(ids), repetition.recalls(ids.tolist()))
            told = whole_pieces.remembered(ids, None, 4)
            assert np.array_equal(told, aligned_memory.remembered(ids.tolist(), None, 4))
