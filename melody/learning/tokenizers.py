"""The tokenizers that a model can learn from, by name, and what each needs in training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from melody.config import DataConfig
from melody.corpus.draw_conditions import ConditionTeller, HarmonyTeller, density_limits
from melody.corpus.store import Split, TokenStore
from melody.errors import MelodyError
from melody.jsb16.tokenizer import VoicesTokenizer
from melody.jsb16.told import Tunes
from melody.tokens import EventTokenizer
from melody.tokens.channels import USUAL
from melody.tokens.contract import Teller, Tokenizer
from melody.tokens.harmony import RATES


@dataclass(frozen=True)
class TokenizerKind:
    """A tokenizer as training and export see it."""

    make: Callable[[Mapping[str, Any], Sequence[str]], Tokenizer]  # of its configuration and the channels wanted
    tell: Callable[[Any, Split, DataConfig], Teller | None]  # what draws conditions for train
    tell_held_out: Callable[[Any, Teller | None, Split, DataConfig], Teller | None]  # and those of another split
    composes: bool = False  # whether a model of such tokens can be a bundle
    units: Callable[[Any, Any], int] | None = None  # of the ids of a piece: what its corpus counts instead of notes


def _events(config: Mapping[str, Any], names: Sequence[str]) -> Tokenizer:
    return EventTokenizer(tuple(names))


def _tell_events(tokenizer: EventTokenizer, train: Split, data: DataConfig) -> Teller:
    return ConditionTeller(train, tokenizer, density_limits(train), data.silence, data.harmony or RATES[0])


def _tell_voices(tokenizer: VoicesTokenizer, train: Split, data: DataConfig) -> Teller:
    return Tunes(tokenizer, train)


def _voices(config: Mapping[str, Any], names: Sequence[str]) -> Tokenizer:
    return VoicesTokenizer()


def _miditok(config: Mapping[str, Any], names: Sequence[str]) -> Tokenizer:
    from melody.tokens.miditok import MidiTokTokenizer

    return MidiTokTokenizer(**config)


def _tell_harmony(tokenizer: EventTokenizer, teller: Teller | None, split: Split, data: DataConfig) -> Teller | None:
    """Tell held-out pieces their plan of chords: to compose by one is what such a model is chosen for."""
    planned = any(channel.group == "harmony" for channel in tokenizer.channels)
    return HarmonyTeller(split, tokenizer, data.harmony or RATES[0]) if planned else None


def _same_tunes(tokenizer: VoicesTokenizer, tunes: Any, split: Split, data: DataConfig) -> Teller:
    same: Teller = tunes.of_held_out(split)
    return same


def _nothing(*_: object) -> None:
    return None


TOKENIZERS = {
    EventTokenizer.name: TokenizerKind(_events, _tell_events, _tell_harmony, composes=True),
    VoicesTokenizer.name: TokenizerKind(_voices, _tell_voices, _same_tunes, units=VoicesTokenizer.voice_steps),
}
MIDITOK = TokenizerKind(_miditok, _nothing, _nothing)  # of any name that MidiTok has


def store_kind(store: TokenStore) -> TokenizerKind:
    """Return what training needs of the tokenizer with which a store was made."""
    return TOKENIZERS.get(str(store.info["tokenizer"]["config"].get("name")), MIDITOK)


def tokenizer_of(store: TokenStore, names: Sequence[str] = USUAL) -> Tokenizer:
    """The tokenizer with which a store was made, told these channels where it can choose.

    Raises `MelodyError` where its vocabulary has changed since.
    """
    config = store.info["tokenizer"]["config"]
    tokenizer = store_kind(store).make(config, names)
    if store.vocabulary_hash != tokenizer.vocabulary.hash:
        raise MelodyError(f"{store.folder}: made with another vocabulary; run melody prepare {store.name} --force")
    return tokenizer


def check_style(style: str | None, store: TokenStore) -> None:
    """Raise `MelodyError` where a model's default style is none of its corpus."""
    if style is not None and style not in store.styles:
        raise MelodyError(
            f"default_style {style}: {store.folder} has {', '.join(store.styles) or 'no styles'}; "
            "prepare it again with `force`, or leave default_style out"
        )
