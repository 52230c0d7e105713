"""What is foreseen: the table a model is told from, and the conditions that training draws from real pieces."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import scores

from melody.corpus.chorale import read_chorale
from melody.corpus.draw_conditions import ConditionDraw, onsets_per_quarter, without_some_tracks
from melody.errors import ConfigError
from melody.music.quantize import quantize
from melody.music.score import Notes, Score, bars, transpose
from melody.tokens import EventTokenizer, Plan
from melody.tokens.channels import REST, event_channels, layout_of, names_of, reading, wishing
from melody.tokens.conditions import Conditions

TOKENIZER = EventTokenizer(names_of(["read", "foreseen", "contour"]))
READ, FORESEEN, CHANNELS = reading(), wishing(), event_channels()
PLACE = layout_of(TOKENIZER.names).column
DRAW = ConditionDraw((1.0, 1.75), contours=True)
BACH = ("bach/bwv269.mxl", "bach/bwv66.6.mxl", "bach/bwv153.1.mxl")


@cache
def chorale(name: str) -> Score:
    return quantize(read_chorale(name))


def column(table: Conditions, name: str) -> list[int]:
    return table.column(name).tolist()


def line(*notes: tuple[int, int, int]) -> Notes:
    onset, duration, pitch = np.array(notes, np.int64).reshape(-1, 3).T
    return Notes(onset, duration, pitch, np.full(len(onset), 80))


def test_a_given_line_tells_what_sounds_what_comes_and_when() -> None:
    table = Conditions(100)
    table.tell_notes(1, line((0, 24, 60), (48, 24, 64)), np.ones(100, bool))
    assert column(table, "given_1") == [61] * 24 + [REST] * 24 + [65] * 24 + [REST] * 28
    assert column(table, "next_1") == [65] * 48 + [0] * 52
    waits = column(table, "wait_1")
    assert waits[0] == 6 == waits[11]  # 48 to 37 ticks
    assert waits[42:48] == [1] * 6
    assert set(waits[48:]) == {0}
    assert set(column(table, "given_0")) == set(column(table, "next_0")) == {0}


def test_what_is_not_known_is_not_told() -> None:
    table, known = Conditions(96), np.zeros(96, bool)
    known[48:] = True
    table.tell_notes(0, line((0, 24, 60), (24, 36, 62), (60, 12, 64), (72, 24, 65)), known)
    assert column(table, "given_0") == [0] * 60 + [65] * 12 + [66] * 24  # the note over the gap's end stays unknown
    assert column(table, "next_0") == [65] * 60 + [66] * 12 + [0] * 24


def test_of_a_chord_the_highest_note_is_told() -> None:
    table = Conditions(24)
    table.tell_notes(0, line((0, 24, 60), (0, 24, 67), (0, 12, 64)), np.ones(24, bool))
    assert set(column(table, "given_0")) == {68}


def test_a_note_past_the_table_is_no_harm() -> None:
    table = Conditions(24)
    table.tell_notes(0, line((30, 10, 60)), np.ones(24, bool))
    assert set(column(table, "given_0")) == {REST}


@settings(max_examples=40)
@given(scores(), st.integers(0, 2**32 - 1))
def test_a_reader_tells_at_each_token_the_row_of_its_tick(score: Score, seed: int) -> None:
    ids = TOKENIZER.encode(score)
    table = Conditions(int(TOKENIZER.ticks(ids).max()) + 1)
    table.values[:] = np.random.default_rng(seed).integers(0, 4, table.values.shape)
    context = TOKENIZER.context(ids, Plan(foreseen=table))
    assert (context[:, len(READ) : len(READ) + len(FORESEEN)] == table.values[TOKENIZER.ticks(ids)]).all()


def test_past_the_end_of_a_table_its_last_row_holds() -> None:
    table = Conditions(1)
    table.tell("style", 2)
    ids = TOKENIZER.encode(chorale(BACH[0]))
    assert set(TOKENIZER.context(ids, Plan(foreseen=table))[:, PLACE["style"]].tolist()) == {2}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(BACH), st.integers(-5, 5), st.integers(0, 2**32 - 1))
def test_conditions_of_a_transposed_piece_are_transposed(name: str, shift: int, seed: int) -> None:
    ids = TOKENIZER.encode(chorale(name))
    moved = TOKENIZER.encode(transpose(chorale(name), shift))
    drawn, expected = (DRAW(one, np.random.default_rng(seed), 3) for one in (ids, moved))
    _, tables = TOKENIZER.shift_tables([shift])
    for place, table in enumerate(tables[len(READ) : len(READ) + len(FORESEEN)]):
        assert table[0][drawn[:, place]].tolist() == expected[:, place].tolist(), FORESEEN[place].name


@pytest.mark.parametrize("name", BACH)
def test_conditions_are_granted_by_the_piece(name: str) -> None:
    """All that is told of given notes and density is so; each kind of condition occurs, and none at all does too."""
    score = chorale(name)
    ids = TOKENIZER.encode(score)
    ticks, lines = TOKENIZER.ticks(ids), bars(score)
    dense = 1 + np.searchsorted(DRAW.density_limits, onsets_per_quarter(score, lines))
    sounding = [{(n.time, n.time + n.duration): n.pitch for n in track.notes} for track in score.tracks]
    seen = set()
    for seed in range(60):
        drawn = DRAW(ids, np.random.default_rng(seed), 3)
        told = drawn.any(axis=0)
        seen |= {FORESEEN[place].name for place in np.flatnonzero(told)} or {"nothing"}
        for tick, row in zip(ticks.tolist(), drawn, strict=True):
            density = row[PLACE["density"] - len(READ)]
            assert density in (0, dense[min(np.searchsorted(lines, tick, side="right") - 1, len(dense) - 1)])
            for voice in range(4):
                pitch = row[PLACE[f"given_{voice}"] - len(READ)] - 1
                if 0 <= pitch < 128:
                    assert any(s <= tick < e and p == pitch for (s, e), p in sounding[voice].items())
        for place, channel in enumerate(FORESEEN):
            assert 0 <= drawn[:, place].min() <= drawn[:, place].max() < channel.size
    assert seen >= {channel.name for channel in FORESEEN}


def test_channels_have_names_of_their_own() -> None:
    assert len({channel.name for channel in CHANNELS}) == len(CHANNELS) == len(PLACE)


def test_a_track_beyond_those_that_a_model_is_told_of_is_not_told() -> None:
    table = Conditions(48, voices=2)
    table.tell_notes(4, line((0, 24, 60)), np.ones(48, bool))
    assert not table.values.any()


@pytest.mark.parametrize("voices", [1, 4, 9])
def test_selected_channels_say_what_they_say_among_all(voices: int) -> None:
    ids = TOKENIZER.encode(chorale(BACH[1]))
    everything = EventTokenizer(names_of(["read", "foreseen", "repetition"], voices))
    whole = everything.context(ids)
    for wanted in (["read"], ["repetition", "position"], ["voice_0", "key", "recalled", "ago"], ["times"]):
        some = EventTokenizer(names_of(wanted, voices))
        columns = [everything.names.index(name) for name in some.names]
        assert (some.context(ids) == whole[:, columns]).all()
        assert [everything.channels[column] for column in columns] == [
            channel._replace(size=everything.channels[column].size)
            for channel, column in zip(some.channels, columns, strict=True)
        ]


def test_an_unknown_channel_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"channel 'positon' is unknown; did you mean position\?"):
        names_of(["positon"])
    for names in (("given_99",), ("key", "key")):
        with pytest.raises(ConfigError):
            _ = layout_of(names).channels


@pytest.mark.parametrize("seed", range(20))
def test_a_piece_may_be_told_without_some_of_its_tracks(seed: int) -> None:
    ids = TOKENIZER.encode(chorale(BACH[0]))
    whole, some = TOKENIZER.decode(ids), TOKENIZER.decode(without_some_tracks(ids, np.random.default_rng(seed)))
    left = [place for place, track in enumerate(some.tracks) if len(track.notes)]
    assert len(some.tracks) == 4
    assert 0 < len(left) < 4
    assert all(some.tracks[place].notes == whole.tracks[place].notes for place in left)
