"""`--keep bars`: the primer's bars again to the note, every fourth with new pitches; drums stay as they are."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import write_styles
from symusic import Note, Track

from melody.errors import UsageError
from melody.generation import Composer
from melody.generation.settings import settings_of
from melody.music.score import Score, notes_of

TPQ = 480
BAR = 4 * TPQ
HITS = [(0, 36), (1, 38), (2, 36), (3, 38), (3.5, 42)]
WALK = [(0, 36), (1, 40), (2, 43), (3, 41)]


def band(bars: int = 2) -> Score:
    score = Score(TPQ)
    for name, program, rows in (("Drums", 0, HITS), ("Bass", 33, WALK)):
        track = Track(name, program, name == "Drums")
        for bar in range(bars):
            track.notes.extend([Note(int(bar * BAR + at * TPQ), 240, pitch + bar, 80) for at, pitch in rows])
        score.tracks.append(track)
    return score


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(write_styles(tmp_path_factory.mktemp("bundles"), ["band"]) / "band")


def rows_of(track: Track, bar: int) -> list[tuple[int, int]]:
    """Place in the bar and pitch of each note that begins in a bar."""
    notes = notes_of(track)
    inside = notes.take((notes.onset >= bar * BAR) & (notes.onset < (bar + 1) * BAR))
    return sorted(zip((inside.onset - bar * BAR).tolist(), inside.pitch.tolist(), strict=True))


def test_bars_come_again_and_every_fourth_has_pitches_of_its_own(composer: Composer) -> None:
    takes = composer.compose(band(), keep="bars", bars=8, seed=1, takes=3)
    for take in takes:
        drums, bass = take.score.tracks
        for bar in range(8):
            assert rows_of(drums, 2 + bar) == rows_of(drums, bar % 2)
            same = rows_of(bass, 2 + bar) == rows_of(bass, bar % 2)
            assert [at for at, _ in rows_of(bass, 2 + bar)] == [at for at, _ in rows_of(bass, bar % 2)]
            assert same or bar % 4 == 3
    varied = [[pitch for _, pitch in rows_of(take.score.tracks[1], 5)] for take in takes]
    assert len({tuple(one) for one in varied}) > 1
    usual = np.concatenate([notes_of(track).pitch for track in band().tracks[1:]])
    assert all(usual.min() - 5 <= pitch <= usual.max() + 5 for one in varied for pitch in one)


def test_what_would_change_the_bars_is_refused() -> None:
    for option in ({"chords": "C"}, {"density": "low"}, {"strict_key": True}, {"no_repeat": 4}):
        with pytest.raises(UsageError, match="keep"):
            settings_of({"keep": "bars", **option})


def test_bars_of_another_meter_have_nothing_to_repeat(composer: Composer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bar of the primer is as long"):
        composer.compose(band(), keep="bars", meter=(3, 4), seed=1)
