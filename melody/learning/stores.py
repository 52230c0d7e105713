"""What a token store holds, as training and export see it."""

from typing import TYPE_CHECKING, Any

from melody.corpus import TokenStore
from melody.errors import MelodyError
from melody.tokens import EventTokenizer

if TYPE_CHECKING:
    from melody.tokens.miditok_adapter import MidiTokTokenizer


def tokenizer_of(store: TokenStore) -> "EventTokenizer | MidiTokTokenizer":
    """The tokenizer with which a store was made. Raises `MelodyError` where its vocabulary has changed since."""
    config = store.info["tokenizer"]["config"]
    tokenizer = EventTokenizer(**config) if config.get("name") == EventTokenizer.name else _miditok(config)
    if store.vocabulary_hash != tokenizer.vocabulary.hash:
        raise MelodyError(f"{store.folder}: made with another vocabulary; run melody prepare {store.name} --force")
    return tokenizer


def _miditok(config: dict[str, Any]) -> "MidiTokTokenizer":
    from melody.tokens.miditok_adapter import MidiTokTokenizer

    return MidiTokTokenizer(**config)
