"""A track of the primer with a name of the model's and no notes comes in where its plan says so; others stay empty."""

from symusic import Note, Track

from melody.generation import Composer
from melody.music.score import Score, notes_of

TPQ, GIVEN, BARS = 480, 4, 12
MELODY = 1


def intro(*empty: str) -> Score:
    """Chords of a piano, and tracks without notes."""
    score = Score(TPQ)
    piano = Track("Piano", 0, False)
    for beat in range(0, 4 * GIVEN, 2):
        root = (48, 45, 53, 55)[beat // 4 % 4]
        piano.notes.extend([Note(beat * TPQ, 2 * TPQ, root + step, 80) for step in (0, 4, 7, 12)])
    score.tracks.append(piano)
    score.tracks.extend([Track(name, 73, False) for name in empty])
    return score


def test_an_empty_tune_comes_in_behind_an_intro() -> None:
    entries = []
    for seed in range(6):
        (take,) = Composer("pop").compose(intro("melody", "Unheard"), bars=BARS, seed=seed)
        tune = notes_of(take.score.tracks[MELODY])
        assert take.score.tracks[MELODY].program == 73
        assert not len(take.score.tracks[MELODY + 1].notes)
        assert any(message == "empty in the primer, may come in: Melody" for message in take.messages)
        if len(tune.onset):
            assert tune.onset.min() >= take.first_new_tick
            entries.append(int(tune.onset.min() - take.first_new_tick) // (4 * TPQ))
    assert len(entries) >= 3
    assert any(entries)  # not always at once


def test_who_is_not_there_does_not_come_in() -> None:
    (take,) = Composer("pop").compose(intro(), bars=BARS, seed=0)
    assert len(take.score.tracks) == 1
    assert not [message for message in take.messages if "may come in" in message]


def test_empty_tracks_stay_empty_where_the_primer_is_kept() -> None:
    (take,) = Composer("pop").compose(intro("Melody"), bars=BARS, seed=0, keep="bars")
    assert not len(take.score.tracks[MELODY].notes)
