"""The corpus of piano music: whose hand plays what, what kind of piece it is, what is left out, and the whole of it."""

from pathlib import Path

import numpy as np
import pytest
from symusic import Note, Track

from melody.corpus import piano, prepare
from melody.corpus.piano import two_hands
from melody.corpus.pieces import LeftOut
from melody.music.hands import in_left_hand
from melody.music.score import Score, notes_of

TPQ = 96
HEADER = (
    "!!!AGN: {genre}\n!!!OTL: {title}\n"
    "**kern\t**kern\t**dynam\n*part1\t*part1\t*\n*staff2\t*staff1\t*\n*Ipiano\t*Ipiano\t*\n"
)


def kern(bars: int, genre: str = "Secular", title: str = "Nameless") -> str:
    bar = "4C\t4ee\tp\n4E\t4ff\t.\n4G\t4gg\tf\n4E\t4ee\t.\n={n}\t={n}\t={n}\n"
    body = "".join(bar.format(n=n) for n in range(2, bars + 2))
    return HEADER.format(genre=genre, title=title) + "*M4/4\t*M4/4\t*\n=1\t=1\t=1\n" + body + "*-\t*-\t*-\n"


def written(folder: Path, name: str, text: str) -> str:
    path = folder / "kern" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path.relative_to(folder).as_posix()


def track(rows: list[tuple[int, int]], bars: int = 40) -> Track:
    result = Track("", 0, False)
    for bar in range(bars):
        result.notes.extend([Note((4 * bar + onset) * TPQ, TPQ, pitch, 80) for onset, pitch in rows])
    return result


def test_each_staff_is_a_hand_and_dynamics_are_heard(tmp_path: Path) -> None:
    item = written(tmp_path, "one.krn", kern(20))
    ((name, score),) = piano.read_piano(item, tmp_path).items()
    assert name == "piece/one"
    assert isinstance(score, Score)
    right, left = score.tracks
    assert (right.name, left.name) == piano.HANDS
    assert notes_of(right).pitch[:4].tolist() == [76, 77, 79, 76]
    assert notes_of(left).pitch[:4].tolist() == [48, 52, 55, 52]
    for hand in (right, left):
        assert notes_of(hand).velocity[:4].tolist() == [49, 49, 96, 96]


@pytest.mark.parametrize(
    ("genre", "title", "kind"),
    [
        ("Secular; Mazurka", "No. 3", "mazurka"),
        ("", "Wanda-mazour op. 10", "mazurka"),
        ("Etude", "Etude in C major", "etude"),
        ("Secular", "Grande Valse brillante", "waltz"),
        ("Secular", "Nokturn", "nocturne"),
        ("Secular", "Marzenie", "piece"),
        ("Sacred", "Kyrie", "piece"),
        ("Secular; Minuet", "Menuetto", "dance"),
    ],
)
def test_the_kind_of_a_piece_is_found_in_what_its_file_says(tmp_path: Path, genre: str, title: str, kind: str) -> None:
    item = written(tmp_path, "no-1.krn", kern(1, genre, title))
    assert piano.name_of(item, tmp_path) == f"{kind}/no-1"


def test_notes_on_other_staves_than_two_go_to_the_hands_that_can_play_them() -> None:
    score = Score(TPQ)
    score.tracks.extend([track([(0, 72), (0, 76), (0, 48), (2, 74), (2, 43), (2, 50)])])
    right, left = two_hands(score).tracks
    assert set(notes_of(right).pitch.tolist()) == {72, 76, 74}
    assert set(notes_of(left).pitch.tolist()) == {48, 43, 50}


def test_no_hand_reaches_beyond_its_span_where_the_other_could_help() -> None:
    rng = np.random.default_rng(3)
    onset = np.repeat(np.arange(60) * 24, 4)
    pitch = np.concatenate(
        [np.concatenate([rng.choice(range(36, 48), 2), rng.choice(range(64, 76), 2)]) for _ in range(60)]
    )
    left = in_left_hand(onset, pitch)
    assert (left == (pitch < 56)).all()
    assert in_left_hand([], []).shape == (0,)


def test_what_is_short_off_the_grid_or_for_one_hand_is_left_out() -> None:
    short, loose = Score(TPQ), Score(TPQ)
    short.tracks.append(track([(0, 60)], bars=20))
    with pytest.raises(LeftOut, match="fewer than 100"):
        two_hands(short)
    quintuplets = Track("", 0, False)
    quintuplets.notes.extend([Note(number * TPQ // 5, 5, 60 + number % 5, 80) for number in range(300)])
    loose.tracks.extend([quintuplets, track([(0, 40)])])
    with pytest.raises(LeftOut, match="off the grid"):
        two_hands(loose)


@pytest.mark.slow
def test_the_whole_corpus_is_what_the_recipe_says(data_folder: Path, tmp_path: Path) -> None:
    report = prepare("piano", tmp_path / "store", local=data_folder / "piano.tar.xz")
    missing = [drop for drop in report.dropped if drop.reason == "not there"]
    assert all(drop.name.startswith("rag/") for drop in missing)
    assert sum(report.pieces.values()) + len(missing) == 1113
    assert np.isclose(report.lossless, 1.0)
