"""The composer: Score in, takes out.

What the musician gave goes to the output as it came; new music begins on the bar line after it and has exactly the
bars asked for. A take depends on the seed and its own number alone, not on how many are drawn together: so do the
candidates of which it is the best, and the first of them is the take that would have been drawn without others.
"""

import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from melody.bundle import Bundle, open_bundle
from melody.engine import AUTO
from melody.errors import UsageError
from melody.generation.advice import with_advice
from melody.generation.articulation import Articulation
from melody.generation.assemble import NewNote
from melody.generation.checks import check_number, check_primer
from melody.generation.decoders import DECODERS, Continuation
from melody.generation.decoders.sampling import BATCH, stream
from melody.generation.engines import engine_of
from melody.generation.finish import finish
from melody.generation.gap_score import nats_after
from melody.generation.options import Options
from melody.generation.prepared import Prepared, prepare
from melody.generation.ranking import cost
from melody.generation.rest_of_band import left_over, with_rest
from melody.generation.seeds import Seed
from melody.generation.settings import Settings, settings_from, settings_of
from melody.generation.stream import as_they_come
from melody.generation.take import Take
from melody.generation.variation import varied
from melody.music.score import Score

MOST_TAKES = 1000


class Composer:
    """A bundle with an engine. `melody.load("chorale")` makes one."""

    engine_name = "onnx"

    def __init__(self, bundle: Bundle | str | Path, engine: str = AUTO, threads: int = 1) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self.engine = engine_of(self.bundle, engine, threads)
        self.engine_name = getattr(self.engine, "kind", engine)

    def compose(
        self,
        primer: Score | None = None,
        settings: Settings | None = None,
        *,
        takes: int = 1,
        seed: int | None = None,
        **options: Unpack[Options],
    ) -> list[Take]:
        """Continue `primer`, fill it or accompany it, or start from nothing: `takes` different compositions.

        What is asked for stands in `settings`, or in keywords, which change them; ``greedy=True`` is temperature 0.
        Without a seed one is drawn and stands in the takes. Raises `UsageError` for what makes no sense.
        """
        return list(self.each(primer, settings, takes=takes, seed=seed, **options))

    def each(
        self,
        primer: Score | None = None,
        settings: Settings | None = None,
        *,
        takes: int = 1,
        seed: int | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Take]:
        """Yield the takes of `compose` one by one, as groups of them are finished."""
        check_takes(takes)
        seed = _seed(seed)
        asked = settings_of(options, settings)
        if takes > 1 and asked.sampling.is_greedy and asked.decoder == "sampling":
            raise UsageError(f"`takes` {takes}: greedy ones (`top_k` 1 too) are all equal; ask for one, or draw them")
        prepared = self._prepare(primer, asked)
        if asked.strength is not None:
            for number in range(1, takes + 1):
                yield self._varied(prepared, primer, Seed(seed, number))
            return
        prepared = replace(prepared, advised=with_advice(prepared, self.bundle, self.engine))
        size = takes if prepared.settings.beam_width else max(1, BATCH // prepared.settings.candidates)
        for first in range(1, takes + 1, size):
            yield from self._compose(prepared, seed, range(first, min(first + size, takes + 1)))

    def recompose(self, settings: Mapping[str, Any], primer: Score | None = None) -> Take:
        """Compose the take again whose `Take.settings` these are; they may have gone through JSON."""
        prepared = self._prepare(primer, settings_from(settings))
        number = int(settings["take"])
        if prepared.settings.strength is not None:
            return self._varied(prepared, primer, Seed(int(settings["seed"]), number))
        numbers = range(1, number + 1) if prepared.settings.beam_width else range(number, number + 1)
        return self._compose(prepared, int(settings["seed"]), numbers)[-1]

    def stream(
        self,
        primer: Score | None = None,
        settings: Settings | None = None,
        *,
        seed: int | None = None,
        number: int = 1,
        **options: Unpack[Options],
    ) -> Generator[NewNote, None, Take]:
        """Yield the notes of the take of this number as they are composed; the generator returns the take."""
        check_number("number", number, 1, MOST_TAKES)
        first = Seed(_seed(seed), number)
        prepared = self._prepare(primer, settings_of(options, settings))
        if prepared.settings.strength is not None:
            raise UsageError("a variation is composed gap by gap, and cannot be followed: leave out `strength`")
        if prepared.rewrites:
            raise UsageError("bars are rewritten all at once, and cannot be followed: leave out `rewrite` or `rounds`")
        if prepared.settings.candidates > 1 or prepared.settings.beam_width:
            raise UsageError("a take is followed as it is drawn: leave out `beam_width`, and give `best_of` 1")
        drawn = Continuation([], [])

        def tokens() -> Iterator[int]:
            start, sampling = prepared.start([first]), prepared.settings.sampling
            for _, token, nats in stream(self.engine, start, prepared.rules, sampling, [first.generator()]):
                drawn.ids.append(token)
                drawn.nats.append(nats)
                yield token

        yield from map(Articulation(prepared.primer).played, as_they_come(prepared, tokens()))
        return self._finished(prepared, [first], [drawn])[0]

    def _prepare(self, primer: Score | None, settings: Settings) -> Prepared:
        check_primer(primer)
        return prepare(self.bundle, self.engine, primer, settings)

    def _compose(self, prepared: Prepared, seed: int, numbers: range) -> list[Take]:
        """The takes of these numbers, each the best of its candidates."""
        count = prepared.settings.candidates
        seeds = [Seed(seed, number, candidate) for number in numbers for candidate in range(1, count + 1)]
        drawn = DECODERS[prepared.settings.decoder].decode(prepared, self.engine, seeds)
        finished = self._finished(prepared, seeds, drawn)
        best = [_best(finished[place : place + count]) for place in range(0, len(finished), count)]
        left = left_over(prepared)
        return [with_rest(take, prepared, left, self._one) for take in best] if left else best

    def _one(self, primer: Score, settings: Settings, seed: int, number: int) -> Take:
        return self._compose(self._prepare(primer, settings), seed, range(number, number + 1))[-1]

    def _varied(self, prepared: Prepared, primer: Score | None, seed: Seed) -> Take:
        """The variation of this seed and number."""
        assert primer is not None

        def fill(score: Score, settings: Settings, seed: int, number: int) -> Take:
            return self._compose(self._prepare(score, settings), seed, range(number, number + 1))[0]

        return varied(prepared, primer, seed, fill)

    def _finished(self, prepared: Prepared, seeds: Sequence[Seed], drawn: Sequence[Continuation]) -> list[Take]:
        """Return takes of the tokens drawn for each seed."""
        after: list[float | None] = [None] * len(drawn)
        if prepared.region.replaces or prepared.settings.loop:
            after = [*nats_after(prepared, [one.ids for one in drawn], self.engine, prepared.bundle)]
        rows = zip(seeds, drawn, after, strict=True)
        return [finish(prepared, prepared.bundle, self.engine_name, *row) for row in rows]


def check_takes(takes: int) -> None:
    """Raise `UsageError` for a number of takes that makes no sense."""
    check_number("takes", takes, 1, MOST_TAKES)


def _seed(seed: int | None) -> int:
    """The seed that is asked for, or one that is drawn."""
    if seed is None:
        return secrets.randbelow(2**31)
    check_number("seed", seed, -(2**63), 2**64 - 1)
    return seed


def _best(candidates: Sequence[Take]) -> Take:
    """The best candidate by the settings they share, the first among equals."""
    if len(candidates) == 1:
        return candidates[0]
    by = candidates[0].settings["by"]
    costs = [
        cost(c.nats_per_note, c.breaches, c.notes, by, c.nats_after or 0.0, c.humanity or 0.0)
        for c in candidates
        if c.breaches
    ]
    return candidates[costs.index(min(costs))]
