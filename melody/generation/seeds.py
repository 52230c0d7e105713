"""Seeds: the random numbers of a take depend on its seed and number alone, not on what is drawn beside it."""

from typing import Any, NamedTuple

import numpy as np


class Seed(NamedTuple):
    """Name of a take, and of one of the candidates for it, from which its random numbers follow."""

    seed: int
    take: int  # from 1; 0 for a search that draws all takes together
    candidate: int = 1

    @property
    def named(self) -> dict[str, int]:
        """Return what of it stands in a take's settings."""
        return {"seed": self.seed, "take": self.take}

    def generator_of_plan(self) -> np.random.Generator:
        """Return random numbers of their own for the plan of the take's bars."""
        return self._numbers(1)

    def generator_of_feel(self) -> np.random.Generator:
        """Return random numbers of their own for how its notes are played."""
        return self._numbers(2)

    def generator_of_variation(self) -> np.random.Generator:
        """Return random numbers of their own for which bars of it are varied."""
        return self._numbers(3)

    def generator_of_chords(self) -> np.random.Generator:
        """Return random numbers of their own for the chords of the take."""
        return self._numbers(4)

    def generator(self) -> np.random.Generator:
        """Return fresh random numbers, always the same."""
        return self._numbers(0)

    def _numbers(self, stream: int) -> np.random.Generator:
        words = [self.seed % 2**64, self.take + (self.candidate - 1 << 32)]
        counter = np.array([0, 0, 0, stream], np.uint64)  # streams lie 2^192 draws apart
        state: Any = {"state": {"counter": counter, "key": np.array(words, np.uint64)}, "bit_generator": "Philox"}
        numbers = np.random.Philox(0)  # with a key alone numpy asks the system for a seed, too, and drops it
        numbers.state = state | {"buffer": np.zeros(4, np.uint64), "buffer_pos": 4, "has_uint32": 0, "uinteger": 0}
        return np.random.Generator(numbers)
