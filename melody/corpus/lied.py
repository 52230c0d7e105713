"""Songs for voice and piano from OpenScore: two tracks, Voice and Piano, both staves of the piano in one.

Read from the project's MusicXML, or from MIDI made of it with the dynamics as velocities. Songs for more than a voice
and one keyboard instrument are left out, and so are those whose bars are fuller than their meter.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from melody.corpus.openscore import joined, number_of, numbered
from melody.corpus.pieces import LeftOut, one_piece
from melody.errors import MelodyError
from melody.formats.reading import read
from melody.music.score import Score

KIND = "lc"  # how the numbers of songs begin
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
    return numbered(root, KIND)


def read_lied(item: str, root: Path) -> Mapping[str, Score | MelodyError]:
    """One song."""
    name = number_of(item, KIND)
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
    result.tracks = [joined("Voice", VOICE, tracks[:1]), joined("Piano", PIANO, tracks[1:])]
    return result
