"""Scores of OpenScore, each in a file of its number: MusicXML of the project, or MIDI made of it."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from symusic import Track

from melody.music.score import Notes, notes_of, set_notes, without_overlaps


def numbered(root: Path, kind: str) -> list[str]:
    """Return the scores below `root` whose numbers begin with `kind`, by path: of a number the last one."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob(f"{kind}*"))
    return list({number: path for path in sorted(paths) if (number := _number(path, kind))}.values())


def number_of(item: str, kind: str) -> str:
    """Return ``lc6583477``, the number that OpenScore gave the score."""
    number = _number(item, kind)
    assert number
    return number


def _number(path: str, kind: str) -> str | None:
    match = re.search(rf"(?:^|/)({kind}\d+)\.(?:mid|mxl)$", path)
    return match[1] if match else None


def joined(name: str, program: int, parts: Sequence[Track]) -> Track:
    """Return staves as one track, in which no note overlaps another of its pitch."""
    notes = [notes_of(part) for part in parts]
    track = Track(name, program, False)
    set_notes(track, without_overlaps(Notes(*(np.concatenate(column) for column in zip(*notes, strict=True)))))
    return track
