"""Views of the tokens that a kind of model asks for: plain numbers, by the names of its arguments."""

from collections.abc import Mapping
from typing import Any

from melody.tokens.clock import clock_view
from melody.tokens.contract import Tokenizer
from melody.tokens.given import given_view


def views_of(tokenizer: Tokenizer, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the views for a model by the values of its section: of pitches, of its clocks, of what is given.

    Raises `ConfigError` where the tokens or the channels told do not have them.
    """
    views: dict[str, Any] = {"intervals": tokenizer.intervals(model.get("intervals"))}
    if model.get("name") == "clockwork_lstm":
        views["clock"] = clock_view(tokenizer.vocabulary, tokenizer.channels)
    if model.get("name") == "encoder_decoder":
        views["given"] = given_view(tokenizer.vocabulary, tokenizer.channels)
    return views
