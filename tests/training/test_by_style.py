"""What a bundle says of its styles: the instruments, the tempo and the meter of most of their pieces."""

from symusic import Note, Tempo, TimeSignature, Track

from melody.learning.export import by_style
from melody.music.score import Score


def piece(program: int, qpm: float, meter: tuple[int, int]) -> tuple[str, Score]:
    score = Score(24)
    track = Track("", program, False)
    track.notes.append(Note(0, 240, 60, 80))
    score.tracks.append(track)
    score.tempos = [Tempo(0, qpm=qpm)]
    score.time_signatures = [TimeSignature(0, 1, 4), TimeSignature(24, *meter)]
    return "", score


def test_most_pieces_of_a_style_decide_and_a_default_tempo_says_nothing() -> None:
    known = [piece(30, 140, (4, 4)), piece(30, 150, (4, 4)), piece(29, 160, (3, 4)), piece(0, 120, (3, 4))]
    told = by_style(known, [1, 1, 1, 2], ["rock", "waltz", "none"])
    assert told == {
        "rock": {"programs": [30], "tempo_qpm": 150.0, "meter": [4, 4]},
        "waltz": {"programs": [0], "meter": [3, 4]},
    }


def test_styles_that_are_all_alike_need_no_word() -> None:
    assert by_style([piece(0, 120, (4, 4)), piece(0, 120, (4, 4))], [1, 2], ["a", "b"]) == {}
    assert by_style([piece(0, 120, (4, 4))], [0], []) == {}
