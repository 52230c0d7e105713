"""Songs for voice and piano from OpenScore: two tracks, Voice and Piano, both staves of the piano in one.

Read from the project's MusicXML, or from MIDI made of it with the dynamics as velocities. Songs for more than a voice
and one keyboard instrument are left out, and so are those whose bars are fuller than their meter.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from symusic import Track

from melody.corpus.pieces import LeftOut, one_piece
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.score import Notes, Score, notes_of, set_notes, without_overlaps

_FILE = re.compile(r"(?:^|/)(lc\d+)\.(?:mid|mxl)$")
# Songs of which some bar holds more than its meter, so that its last notes would stand in the next one.
OVERFULL = frozenset(
    re.findall(
        r"\d+",
        "30437453 5060972 5060975 5840072 6128281 6156388 6199576 6211549 6214587 6217099 "
        "6217375 6218728 6218737 6232420 6243836 6259403 6421815 6434272 6439747 6480349 "
        "6581364 6588872 6598318 6613355 6631610 6903010 6984553 7346348",
    )
)
VOICE, PIANO = 52, 0  # "Choir Aahs", "Acoustic Grand Piano"


def items(root: Path) -> list[str]:
    """The songs below `root`, by path."""
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("lc*") if _FILE.search(path.as_posix()))
    return list({name_of(file): file for file in files}.values())


def name_of(item: str) -> str:
    """``lc6583477``, the number that OpenScore gave the song."""
    match = _FILE.search(item)
    assert match
    return match[1]


def read_lied(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """One song."""
    name = name_of(item)
    if name[2:] in OVERFULL:
        return {name: LeftOut("overfull bars")}
    return one_piece(name, lambda: voice_and_piano(read(root / item)))


def voice_and_piano(score: Score) -> Score:
    """The score with its two tracks; raises `LeftOut` where it has others."""
    tracks = [track for track in score.tracks if len(track.notes)]
    stems = [re.sub(r"\W*\d?\W*$", "", track.name) for track in tracks]
    is_song = len(tracks) == 2 or (len(tracks) == 3 and stems[1] == stems[2])
    if not is_song or not any(re.search(r"piano|klavier|harpsichord|cembalo|clavier", s, re.I) for s in stems[1:]):
        raise LeftOut("not for voice and piano")
    result = score.copy()
    result.markers = []
    result.tracks = [_track("Voice", VOICE, tracks[:1]), _track("Piano", PIANO, tracks[1:])]
    return result


def _track(name: str, program: int, parts: list[Track]) -> Track:
    notes = [notes_of(part) for part in parts]
    track = Track(name, program, False)
    set_notes(track, without_overlaps(Notes(*(np.concatenate(column) for column in zip(*notes, strict=True)))))
    return track
