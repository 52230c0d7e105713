"""Rules that the native core knows too: how it is told which one, and of what.

A rule is a function in Python, which is the reference; the core narrows by the same rule in C where it has a form. One
without a form is asked in Python, token by token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.tokens import Reader

FORMS = (  # in the order of core/rules.h
    "asked in Python",
    "mask",
    "exact bars",
    "no long silence",
    "playable",
    "keep meters",
    "state at start",
    "tonic ending",
    "no parallels",
    "planned chords",
    "planned phrases",
    "planned returns",
    "leading notes",
    "keep fixed",
    "no long silence of",
    "each sounds",
    "planned fills",
    "planned entries",
    "planned rhythms",
    "own scale",
    "compound beat",
    "kept time",
    "one loudness",
)


class NativeForm(NamedTuple):
    """Name of a rule in the core, and what it is about; core/rules.c and core/styles.c say what these hold."""

    name: str
    numbers: tuple[int, ...] = ()
    mask: NDArray[np.bool_] | None = None
    table: NDArray[Any] | None = None  # (rows, columns), whole numbers


@dataclass(frozen=True)
class KnownRule:
    """A rule that the native core knows, too."""

    mask: Callable[[Reader], NDArray[np.bool_] | None]
    native: NativeForm

    def __call__(self, reader: Reader) -> NDArray[np.bool_] | None:
        """Return the tokens (V,) that may follow."""
        return self.mask(reader)


def form_of(rule: object) -> NativeForm:
    """Return the form of a rule in the core; where it has none it is asked in Python."""
    form = getattr(rule, "native", None)
    return form if isinstance(form, NativeForm) else NativeForm(FORMS[0])
