"""Seeds: the random numbers of a take depend on its seed and number alone, not on what is drawn beside it."""

from typing import NamedTuple

import numpy as np


class Seed(NamedTuple):
    """Which take is drawn, and which of the candidates for it."""

    seed: int
    take: int  # from 1; 0 for a search that draws all takes together
    candidate: int = 1

    @property
    def named(self) -> dict[str, int]:
        """Return what of it stands in a take's settings."""
        return {"seed": self.seed, "take": self.take}

    def generator(self) -> np.random.Generator:
        """Return fresh random numbers, always the same."""
        words = [self.seed % 2**64, self.take + (self.candidate - 1 << 32)]
        return np.random.Generator(np.random.Philox(key=np.array(words, np.uint64)))
