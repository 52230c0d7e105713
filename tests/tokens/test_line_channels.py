"""Channels of lines: direction and size of the last move, and the range of late, by hand and in C."""

import numpy as np
from support.bars import split_of
from symusic import Track

from melody.corpus import AugmentedSource, shift_tables
from melody.music.score import GRID, Notes, Score, set_notes
from melody.tokens import EventTokenizer, Plan
from melody.tokens.channels import names_of
from melody.tokens.lines import LONGEST, MOST_AWAY, NAMES, REACH, lines_of
from melody.tokens.whole_pieces import lines_of as fast_lines_of

TOKENIZER = EventTokenizer(names_of(["read", "lines"]))
STEP, SKIP, LEAP = 0, 1, 2


def ids_of(*voices: list[int]) -> list[int]:
    """Quarters in each voice, over a pedal, so that tracks are named at each position."""
    pedal = [[30] * len(voices[0])]
    score = Score(GRID)
    for pitches in (*voices, *pedal):
        track = Track("", 0, False)
        count = len(pitches)
        set_notes(track, Notes(np.arange(count) * GRID, np.full(count, GRID), np.array(pitches), np.full(count, 82)))
        score.tracks.append(track)
    return TOKENIZER.encode(score).tolist()


def after_notes(ids: list[int], pitch: int) -> list[tuple[int, ...]]:
    """The channels right after each note of a pitch."""
    token = TOKENIZER.vocabulary.ids["Pitch"][pitch]
    rows = lines_of(ids)
    return [tuple(rows[place].tolist()) for place, one in enumerate(ids) if one == token]


def move(up: bool, size: int, times: int) -> int:
    return 1 + (3 * up + size) * LONGEST + times - 1


def test_moves_have_a_direction_a_size_and_a_run() -> None:
    ids = ids_of([60, 62, 64, 64, 67, 60, 48])
    assert after_notes(ids, 60)[0] == (0, 1, 1)
    assert after_notes(ids, 62) == [(move(True, STEP, 1), 1, 3)]
    assert after_notes(ids, 64) == [(move(True, STEP, 2), 1, 5)] * 2  # a repeated note is no move
    assert after_notes(ids, 67) == [(move(True, SKIP, 3), 1, 8)]
    assert after_notes(ids, 60)[1] == (move(False, LEAP, 1), 8, 1)
    assert after_notes(ids, 48) == [(move(False, LEAP, 2), 1 + MOST_AWAY, 1)]


def test_each_track_has_its_own_line_and_between_them_none_is_told() -> None:
    ids = ids_of([72, 74, 76], [48, 47, 45])
    assert after_notes(ids, 76) == [(move(True, STEP, 2), 1, 5)]
    assert after_notes(ids, 45) == [(move(False, STEP, 2), 4, 1)]
    position = TOKENIZER.vocabulary.ids["Position"]
    assert all(not row.any() for row, one in zip(lines_of(ids), ids, strict=True) if one in position)


def test_only_the_last_notes_count() -> None:
    ids = ids_of([84, *[60, 62] * (REACH // 2)])
    assert after_notes(ids, 62)[-1][1] == 1
    assert after_notes(ids, 62)[-2][1] > 1


def test_reader_training_and_core_tell_the_same() -> None:
    generator = np.random.default_rng(3)
    ids = np.array(ids_of(*generator.integers(40, 80, (3, 50)).tolist()), np.uint16)
    assert np.array_equal(fast_lines_of(ids), lines_of(ids.tolist()))
    reader, rows = TOKENIZER.reader(Plan()), []
    for token in ids.tolist():
        reader.read(token)
        rows.append(reader.context[-len(NAMES) :].copy())
    assert np.array_equal(np.array(rows), lines_of(ids.tolist()))
    split = split_of(ids)
    source = AugmentedSource(split, shift_tables(TOKENIZER, split), transpose=False)
    told, context = source.fetch(0, generator)
    assert np.array_equal(context[:, -len(NAMES) :], lines_of(told.tolist()))
