"""Sources of training: the pieces that a configuration names, as training reads them."""

from typing import NamedTuple

from melody.config import TrainConfig
from melody.corpus import AugmentedSource, TokenStore, open_store, shift_tables
from melody.corpus.augment import GivenGrid
from melody.corpus.draw_form import Plans
from melody.errors import MelodyError
from melody.learning.tokenizers import TokenizerKind, store_kind, tokenizer_of
from melody.tokens.channels import names_of
from melody.tokens.contract import Tokenizer


class Sources(NamedTuple):
    """The pieces that a configuration names, as training reads them."""

    store: TokenStore
    kind: TokenizerKind
    tokenizer: Tokenizer
    learnt: AugmentedSource
    held_out: AugmentedSource


def sources_of(config: TrainConfig) -> Sources:
    """Return the pieces of a configuration, see `told_as_base`. Raises `MelodyError` where none is held out."""
    store = open_store(config.corpus)
    names = names_of(config.data.channels, config.data.voices)
    tokenizer, kind = tokenizer_of(store, names), store_kind(store)
    train_split, valid_split = store.split("train"), store.split("valid")
    if not len(valid_split):
        raise MelodyError(f"{store.folder}: no piece is held out to validate with; training wants three or more pieces")
    moves = {"Velocity": config.data.velocity_steps, "Tempo": config.data.tempo_steps}
    levels = [(tokenizer.vocabulary.ids[name], most) for name, most in moves.items()] if kind.composes else []
    teller = kind.tell(tokenizer, train_split, config.data)
    tables = shift_tables(tokenizer, train_split)
    forms = Plans(train_split, apart=tables.parts > 0).drawn
    encoded = getattr(config.model, "steps", None)
    given = GivenGrid.of(tokenizer, encoded) if encoded else None
    learnt = AugmentedSource(
        train_split, tables, config.data.transpose, config.data.plan_dropout, teller, levels, forms, given
    )
    told = kind.tell_held_out(tokenizer, teller, valid_split, config.data)
    held_out = AugmentedSource(
        valid_split, shift_tables(tokenizer, valid_split), transpose=False, teller=told, given=given
    )
    return Sources(store, kind, tokenizer, learnt, held_out)
