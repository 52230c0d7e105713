"""Scores as sound (`sound`), as pictures (`pianoroll`) and as a page that plays them (`player`).

The package can be called: `melody.render(take, "take.wav")`. Importing anything of it binds the name `melody.render`,
which is a function, to this package; so the package passes calls on to the function whose name it takes.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_function: Callable[..., Any] = sys.modules["melody"].render


class _Render(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call `melody.render`, the function."""
        return _function(*arguments, **options)


sys.modules[__name__].__class__ = _Render
