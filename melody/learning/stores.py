"""What a token store holds, as training and export see it."""

from typing import TYPE_CHECKING, Any

from melody.corpus import TokenStore
from melody.errors import MelodyError
from melody.jsb16.tokenizer import VoicesTokenizer
from melody.tokens import EventTokenizer

if TYPE_CHECKING:
    from melody.tokens.miditok import MidiTokTokenizer


def tokenizer_of(store: TokenStore) -> "EventTokenizer | VoicesTokenizer | MidiTokTokenizer":
    """The tokenizer with which a store was made. Raises `MelodyError` where its vocabulary has changed since."""
    tokenizer = _made_of(store.info["tokenizer"]["config"])
    if store.vocabulary_hash != tokenizer.vocabulary.hash:
        raise MelodyError(f"{store.folder}: made with another vocabulary; run melody prepare {store.name} --force")
    return tokenizer


def check_style(style: str | None, store: TokenStore) -> None:
    """Raise `MelodyError` where a model's default style is none of its corpus."""
    if style is not None and style not in store.styles:
        raise MelodyError(
            f"default_style {style}: {store.folder} has {', '.join(store.styles) or 'no styles'}; "
            "prepare it again with --force, or leave default_style out"
        )


def _made_of(config: dict[str, Any]) -> "EventTokenizer | VoicesTokenizer | MidiTokTokenizer":
    if config.get("name") == EventTokenizer.name:
        return EventTokenizer(**config)
    if config == VoicesTokenizer().config:
        return VoicesTokenizer()
    from melody.tokens.miditok import MidiTokTokenizer

    return MidiTokTokenizer(**config)
