"""A clip begins under the controllers and bends that its first bar stood under."""

from symusic import ControlChange, Note, PitchBend, Track

from melody.music.score import Score, clip

BAR = 1920


def test_controllers_and_bends_in_force_stand_at_the_start() -> None:
    track = Track("Lead", 0, False)
    track.notes = [Note(480 * n, 480, 60, 80) for n in range(12)]
    track.controls = [
        ControlChange(*control)
        for control in ((0, 101, 0), (0, 100, 0), (0, 6, 12), (0, 7, 90), (100, 7, 80), (BAR, 7, 70), (2 * BAR, 10, 1))
    ]
    track.pitch_bends = [PitchBend(50, 5), PitchBend(60, 6), PitchBend(BAR + 9, 7)]
    score = Score(480)
    score.tracks.append(track)
    (part,) = clip(score, 1, 2).tracks
    assert [(c.time, c.number, c.value) for c in part.controls] == [
        (0, 101, 0),
        (0, 100, 0),
        (0, 6, 12),
        (0, 7, 80),
        (0, 7, 70),
    ]
    assert [(b.time, b.value) for b in part.pitch_bends] == [(0, 6), (9, 7)]
    assert len(track.controls) == 7
