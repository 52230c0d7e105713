"""Notes of a track as they have been read, each with those before it."""

from typing import NamedTuple

MEMORY = 128  # notes of a track that are remembered, at least


class Sung(NamedTuple):
    """A note of a track that has been read, and with it those before it: a chain that readers share."""

    onset: int  # ticks
    duration: int
    pitch: int
    number: int  # of the track's notes, from 1
    before: "Sung | None"

    def latest(self, count: int) -> list["Sung"]:
        """This note and those before it, up to `count`, the earliest first."""
        notes: list[Sung] = []
        note: Sung | None = self
        while note is not None and len(notes) < count:
            notes.append(note)
            note = note.before
        return notes[::-1]

    def shortened(self) -> "Sung":
        """The same note, which remembers `MEMORY` notes."""
        first, *rest = self.latest(MEMORY)
        chain = first._replace(before=None)
        for note in rest:
            chain = note._replace(before=chain)
        return chain
