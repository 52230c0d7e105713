"""More tracks than a model has voices in its channels: it is not told of them, and all that is given stays."""

from dataclasses import asdict

import numpy as np
import pytest
from symusic import Note, TimeSignature, Track

from melody.bundle import TrackInfo
from melody.music.score import Score
from tests.support.fakes import UniformComposer, fake_bundle

NAMES = ["One", "Two", "Three", "Four", "Five", "Six"]


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> UniformComposer:
    bundle = fake_bundle(tmp_path_factory.mktemp("six"))
    means = np.linspace(76, 46, len(NAMES))
    bundle.settings["tracks"] = [
        asdict(TrackInfo(name, 0, False, lowest=36, highest=96, mean=float(mean), polyphony=1))
        for name, mean in zip(NAMES, means, strict=True)
    ]
    return UniformComposer(bundle)


def band() -> Score:
    score = Score(480)
    score.time_signatures = [TimeSignature(0, 4, 4)]
    for number, name in enumerate(NAMES):
        track = Track(name, 0, False)
        track.notes.extend([Note(480 * beat, 480, 76 - 6 * number + beat % 3, 80) for beat in range(16)])
        score.tracks.append(track)
    return score


@pytest.mark.parametrize("tracks", [(), ("Five",), ("One", "Six")])
def test_bars_are_filled_whichever_tracks(composer: UniformComposer, tracks: tuple[str, ...]):
    (take,) = composer.compose(band(), fill=(2, 3), tracks=tracks, seed=1, best_of=1)
    for old, new in zip(band().tracks, take.score.tracks, strict=True):
        outside = [note for note in new.notes if not 1920 <= note.time < 3 * 1920]
        assert outside == [note for note in old.notes if not 1920 <= note.time < 3 * 1920]
        if tracks and old.name not in tracks:
            assert list(new.notes) == list(old.notes)


def test_tracks_are_composed_around_the_last_ones(composer: UniformComposer):
    theme = band()
    theme.tracks = [track for track in theme.tracks if track.name in ("Five", "Six")]
    (take,) = composer.compose(theme, with_tracks=["Five", "Six"], seed=1)
    kept = {track.name: list(track.notes) for track in take.score.tracks}
    assert all(kept[track.name] == list(track.notes) for track in theme.tracks)
    assert all(kept[name] for name in NAMES[:4])
