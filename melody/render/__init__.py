"""Scores as sound (`sound`), as pictures (`pianoroll`) and as a page that plays them (`player`).

The package can be called: `melody.render(take, "take.wav")` writes sound. Importing anything of it binds the name
`melody.render` to this package, so a plain function of that name would serve but once.
"""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class _Render(ModuleType):
    def __call__(
        self,
        piece: Any,
        path: str | os.PathLike[str],
        soundfont: str | os.PathLike[str] | None = None,
        sample_rate: int = 44_100,
        *,
        force: bool = False,
    ) -> Path:
        """Write a score, or a take with its `score`, as sound; see `melody.render.sound.render`."""
        from melody.render.sound import render

        return render(getattr(piece, "score", piece), path, soundfont, sample_rate, force)


sys.modules[__name__].__class__ = _Render
