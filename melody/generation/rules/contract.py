"""The contract of musical rules. A rule is a mask: `rule(reader) -> mask (V,)` of what it allows, or None.

Rules are pure functions of what has been read. They narrow what the grammar allows, one after the other; a rule that
would leave nothing yields to those before it, so the order is the order of importance and sampling never gets stuck.
Rules that must always hold come first and close the ways to where they could not (see `playable`).

A rule may be an object too, and then have more to say: `CountsBreaches` for decoders that write out of order,
`GoesBack` for one that would rather return to a bar line and draw again than bend a line that has begun, `Redirects`
for one that closes the way on but for a single token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from melody.generation.rules.native_form import NativeForm
from melody.music.score import Score
from melody.tokens import Reader, Vocabulary

Mask = NDArray[np.bool_]
Rule = Callable[[Reader], Mask | None]  # None: nothing to say here
NEVER = 2**40  # ticks


@runtime_checkable
class GoesBack(Protocol):
    """A rule for which a sampler goes back: it draws without the rule, and again where that broke it.

    A search with alternatives at hand simply obeys its mask.
    """

    back_at: frozenset[str]  # types of tokens worth going back for; of others the next best is taken

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""

    def forbids(self, reader: Reader, token: int) -> bool:
        """Return True where this token may not follow: the same, at the price of one token."""


@runtime_checkable
class Redirects(Protocol):
    """A rule behind which one token leads on, where the model would go on by many.

    It gets all their mass. Else the model, whose own ways on are closed, would write note upon note instead.
    """

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""

    def redirect(self, reader: Reader) -> tuple[int, Mask] | None:
        """Return the token that leads on here and those (V,) whose mass it gets; None where there is none."""


@runtime_checkable
class CountsBreaches(Protocol):
    """A rule that also counts how often finished music breaks it, for decoders that write out of order."""

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""

    def breaches(self, score: Score) -> int:
        """Return the number of breaches in a score of the model's tracks."""


@dataclass(frozen=True)
class CountedRule:
    """A rule made of a mask and a count of its breaches, and of its form in the native core, if it has one."""

    mask: Callable[[Reader], Mask | None]
    count: Callable[[Score], int]
    native: NativeForm | None = None

    def __call__(self, reader: Reader) -> Mask | None:
        """Return the tokens (V,) that may follow."""
        return self.mask(reader)

    def breaches(self, score: Score) -> int:
        """Return the number of breaches in a score of the model's tracks."""
        return self.count(score)


def breaches_of(rules: Sequence[Rule], score: Score) -> int:
    """Return how often a score breaks those of the rules that can tell."""
    return sum(rule.breaches(score) for rule in rules if isinstance(rule, CountsBreaches))


Logits = NDArray[Any]  # float32 or float64


def redirecting(rules: Sequence[Rule]) -> list[Redirects]:
    """Return the rules that redirect mass."""
    return [rule for rule in rules if isinstance(rule, Redirects)]


def redirected(logits: Logits, lawful: Mask, mask: Mask, reader: Reader, rules: Sequence[Redirects]) -> Logits:
    """Return logits (V,) with mass moved to where rules redirect it, as far as the `mask` of what may follow has it."""
    for rule in rules:
        found = rule.redirect(reader)
        if found is None or not mask[found[0]]:
            continue
        target, passing = found
        logits = logits.copy()
        logits[target] = np.logaddexp.reduce(np.append(logits[lawful & passing], logits[target]).astype(np.float64))
    return logits


def narrowed(lawful: Mask, reader: Reader, rules: Sequence[Rule]) -> Mask:
    """Return the tokens (V,) that the grammar allows, narrowed by each rule in turn."""
    opinions = [opinion for rule in rules if (opinion := rule(reader)) is not None]
    mask = lawful.copy()
    for opinion in opinions:
        mask &= opinion
    return mask if np.count_nonzero(mask) else _yielding(lawful, opinions)


def _yielding(lawful: Mask, opinions: Sequence[Mask]) -> Mask:
    """The same where the opinions together leave nothing: each that would leave nothing of those before it yields."""
    for opinion in opinions:
        rest = lawful & opinion
        lawful = rest if rest.any() else lawful
    return lawful


class Ruling(NamedTuple):
    """Ruling of rules at one token, for a model that learns to obey them."""

    forbidden: Mask  # (V,)
    way_on: int | None  # the token that leads on, and gets the mass of those that are forbidden
    spoken: list[int]  # which of the rules have something to say


def ruling_of(rules: Sequence[Rule], reader: Reader) -> Ruling:
    """Return what rules forbid here, and where they lead. One that yields has nothing to say."""
    forbidden, way_on, spoken = np.zeros(len(reader.vocabulary), bool), None, list[int]()
    lawful: Mask | None = None
    for number, rule in enumerate(rules):
        if (opinion := rule(reader)) is None:
            continue
        lawful = reader.allow() if lawful is None else lawful
        if not (rest := lawful & opinion).any():
            continue
        lawful, forbidden = rest, forbidden | ~opinion
        spoken.append(number)
        found = rule.redirect(reader) if isinstance(rule, Redirects) else None
        if way_on is None and found is not None and rest[found[0]]:
            way_on = found[0]
    return Ruling(forbidden, way_on, spoken)


def without(vocabulary: Vocabulary, *kinds: str) -> Mask:
    """The mask of all tokens but those of some types."""
    mask = np.ones(len(vocabulary), bool)
    for kind in kinds:
        span = vocabulary.ids[kind]
        mask[span.start : span.stop] = False
    return mask


def up_to(reader: Reader, place: int, track: int) -> Mask:
    """The mask (V,) of all tokens but those that pass by a place of this bar, or this track where that is here."""
    ids, mask = reader.vocabulary.ids, without(reader.vocabulary, "Bar", "End")
    mask[ids["Position"].start + place + 1 : ids["Position"].stop] = False
    if place == reader.position:
        mask[ids["Track"].start + track + 1 : ids["Track"].stop] = False
    return mask


def way_to(reader: Reader, place: int, track: int) -> tuple[int, Mask]:
    """The token that leads on to a place of this bar, or this track where that is here, and those that pass by (V,)."""
    ids, passing = reader.vocabulary.ids, ~without(reader.vocabulary, "Position", "Bar", "End")
    if place == reader.position:
        passing[ids["Track"].start + track + 1 : ids["Track"].stop] = True
        return ids["Track"][track], passing
    passing[ids["Position"].start : ids["Position"].start + place + 1] = False
    return ids["Position"][place], passing
