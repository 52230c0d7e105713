"""Music as a sequence of ids: the vocabulary, the default event tokenizer, and the grammar of its events."""

from melody.tokens.channels import Channel
from melody.tokens.events import EventTokenizer
from melody.tokens.grammar import obeys
from melody.tokens.reader import Plan, Reader
from melody.tokens.vocabulary import Vocabulary, event_vocabulary

__all__ = ["Channel", "EventTokenizer", "Plan", "Reader", "Vocabulary", "event_vocabulary", "obeys"]
