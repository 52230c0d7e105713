"""Channels of counterpoint: how a voice that moves stood to the one under way, by hand and in C."""

import numpy as np
from support.bars import split_of
from symusic import Track

from melody.corpus import AugmentedSource, shift_tables
from melody.music.score import GRID, Notes, Score, set_notes
from melody.tokens import EventTokenizer, Plan
from melody.tokens.channels import names_of
from melody.tokens.counterpoint import counterpoint_of
from melody.tokens.whole_pieces import counterpoint_of as fast_counterpoint_of

TOKENIZER = EventTokenizer(names_of(["read", "counterpoint"]))
VOICES = 4
FIFTH, OCTAVE = 1 + 7, 1 + 0


def ids_of(*voices: list[int]) -> list[int]:
    """Quarters in each voice; 0 is a rest."""
    score = Score(GRID)
    for pitches in voices:
        track = Track("", 0, False)
        onset = np.flatnonzero(pitches)
        length = np.full(len(onset), GRID)
        set_notes(track, Notes(onset * GRID, length, np.array(pitches)[onset], np.full(len(onset), 82)))
        score.tracks.append(track)
    return TOKENIZER.encode(score).tolist()


def before_notes(ids: list[int], pitch: int) -> list[list[int]]:
    """The channels that are told right before each note of a pitch."""
    token = TOKENIZER.vocabulary.ids["Pitch"][pitch]
    rows = counterpoint_of(ids, VOICES)
    return [rows[place - 1].tolist() for place, one in enumerate(ids) if one == token]


def test_a_voice_that_moves_tells_how_it_stood():
    ids = ids_of([67, 69, 69], [60, 62, 60], [48, 50, 53])
    assert before_notes(ids, 62) == [[FIFTH, 0, 0, 0]]  # 67 stood a fifth above 60
    assert before_notes(ids, 50) == [[FIFTH, OCTAVE, 0, 0]]  # 67 over 48, 60 over 48
    assert before_notes(ids, 53) == [[0, OCTAVE, 0, 0]]  # 69 stays


def test_intervals_count_from_the_lower_to_the_upper():
    """A voice that has crossed stands a fourth where it would stand a fifth."""
    ids = ids_of([60, 62], [67, 69])
    assert before_notes(ids, 69) == [[1 + 5, 0, 0, 0]]
    assert before_notes(ids, 67) == [[0, 0, 0, 0]]  # nothing was before


def test_reader_training_and_core_tell_the_same():
    generator = np.random.default_rng(3)
    pitches = generator.integers(40, 80, (5, 50)) * (generator.random((5, 50)) < 0.8)
    ids = np.array(ids_of(*pitches.tolist()), np.uint16)
    wanted = counterpoint_of(ids.tolist(), VOICES)
    assert wanted.any()
    assert np.array_equal(fast_counterpoint_of(ids, VOICES), wanted)
    reader, rows = TOKENIZER.reader(Plan()), []
    for token in ids.tolist():
        reader.read(token)
        rows.append(reader.copy().context[-VOICES:].copy())
    assert np.array_equal(np.array(rows), wanted)
    split = split_of(ids)
    source = AugmentedSource(split, shift_tables(TOKENIZER, split), transpose=False)
    told, context = source.fetch(0, generator)
    assert np.array_equal(context[:, -VOICES:], counterpoint_of(told.tolist(), VOICES))
