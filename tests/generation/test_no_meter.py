"""Music whose file knows no bars: a meter of one beat throughout is read in 4/4, and that is said."""

import numpy as np
import pytest
from symusic import Note, Tempo, TimeSignature, Track

import melody
from melody.music.score import Score, bars


def song(bars_of_a_beat: int, meter: tuple[int, int] = (1, 4)) -> Score:
    score, track = Score(480), Track("Lead", 73, False)
    score.time_signatures, score.tempos = [TimeSignature(0, *meter)], [Tempo(0, qpm=100)]
    track.notes.extend([Note(480 * beat, 480, 67 + (0, 2, 4, 5)[beat % 4], 80) for beat in range(bars_of_a_beat)])
    score.tracks.append(track)
    return score


def test_it_is_continued_in_whole_bars():
    theme = song(16)
    (take,) = melody.load("folk").compose(theme, bars=4, seed=1)
    assert "the meter is 1/4 throughout: read, and continued, as 4/4" in take.messages
    stated = [(m.time, m.numerator, m.denominator) for m in take.score.time_signatures]
    assert stated == [(0, 1, 4), (16 * 480, 4, 4)]
    lines = bars(take.score)
    assert np.diff(lines[lines >= take.first_new_tick]).tolist() == [1920] * 4
    assert list(take.score.tracks[0].notes)[:16] == list(theme.tracks[0].notes)


@pytest.mark.parametrize(("beats", "meter"), [(4, (1, 4)), (16, (2, 4)), (16, (4, 4))])
def test_other_music_keeps_its_meter(beats: int, meter: tuple[int, int]):
    (take,) = melody.load("folk").compose(song(beats, meter), bars=4, seed=1)
    assert not [message for message in take.messages if "throughout" in message]


def test_the_seam_states_the_meter_of_the_bars_that_follow():
    """A primer whose last bar is cut short by the change of meter that stands behind it."""
    theme = song(8, (4, 4))
    theme.time_signatures.append(TimeSignature(8 * 480, 3, 4))
    (take,) = melody.load("folk").compose(theme, bars=2, seed=1)
    lines = bars(take.score)
    assert np.diff(lines[lines >= take.first_new_tick]).tolist() == [1440] * 2
