"""All that a server has: scores, compositions at work, sounds, sessions."""

from dataclasses import dataclass
from pathlib import Path

from melody.studio.bounds import Bounds
from melody.studio.excerpts import Excerpts
from melody.studio.sessions import Sessions
from melody.studio.shelf import Shelf
from melody.studio.sounds import StemCache
from melody.studio.tasks import Tasks


@dataclass(frozen=True)
class Desk:
    """The state of a server."""

    bounds: Bounds
    shelf: Shelf
    tasks: Tasks
    sounds: StemCache
    excerpts: Excerpts
    sessions: Sessions

    def close(self) -> None:
        """Stop all work."""
        self.tasks.close()
        self.sounds.close()


def desk_in(folder: Path, bounds: Bounds | None = None) -> Desk:
    """Return a desk whose sessions lie in a folder."""
    bounds = bounds or Bounds()
    sessions = Sessions(folder, bounds)
    return Desk(bounds, Shelf(bounds, sessions.sheet), Tasks(bounds), StemCache(bounds), Excerpts(bounds), sessions)
