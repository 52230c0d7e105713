"""Music as a sequence of ids: the vocabulary, the default event tokenizer, and the grammar of its events."""

from melody.tokens.channels import CHANNELS, Channel
from melody.tokens.events import EventTokenizer
from melody.tokens.grammar import Plan, Reader, obeys
from melody.tokens.vocabulary import Vocabulary, event_vocabulary

__all__ = ["CHANNELS", "Channel", "EventTokenizer", "Plan", "Reader", "Vocabulary", "event_vocabulary", "obeys"]
