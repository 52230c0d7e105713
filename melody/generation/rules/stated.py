"""Rules of what a piece states: its tempo and key, and words that the training music used."""

import numpy as np

from melody.generation.rules.contract import Mask, Rule, without
from melody.generation.rules.native_form import KnownRule, NativeForm
from melody.tokens import Reader, Vocabulary


def state_at_start(vocabulary: Vocabulary, token: int) -> Rule:
    """The first position of a piece states this key or tempo token, and no other of its type comes later."""
    kind = vocabulary.kind_of[token]
    none_of_it = without(vocabulary, kind)
    only = none_of_it.copy() if kind == "Tempo" else np.zeros(len(vocabulary), bool)
    only[token] = True

    def rule(reader: Reader) -> Mask | None:
        if reader.bar == 0 and reader.tick == 0 and reader.kind == "Position":
            return only
        if reader.bar == 0 and reader.tick == 0 and reader.kind == "Key" and kind == "Tempo":
            return only
        return none_of_it

    return KnownRule(rule, NativeForm("state at start", (token,)))


def no_change_of(vocabulary: Vocabulary, *kinds: str) -> Rule:
    """No token of these types: tempo and key stay as they are."""
    mask = without(vocabulary, *kinds)
    return KnownRule(lambda reader: mask, NativeForm("mask", mask=mask))


def only_seen(seen: Mask) -> Rule:
    """Only tokens that stood in the training music: of others the model knows nothing."""
    return KnownRule(lambda reader: seen, NativeForm("mask", mask=seen))
