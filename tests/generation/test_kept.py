"""Events beside a score, at the seam: none of them acts on new notes, and in a gap they come back."""

import numpy as np
import pytest

from melody.formats.midi import Text
from melody.formats.midi.beside import CONDUCTOR, Beside, Event
from melody.generation.kept import beside_across, texts_across
from melody.generation.seam import Seam

START, RESUMES = 1920, 3840
END, GAP = Seam(START, None, frozenset([0])), Seam(START, RESUMES, frozenset([0]), maps_stay=True)
PRESSURE, TOUCH, CONTROL = 0xD, 0xA, 0xB


def row(tick: int, kind: int, first: int, second: int = 0, track: int = 0) -> tuple[int, int, int]:
    """A channel message as `Beside` has it."""
    return tick, track, kind << 20 | first << 8 | second


def across(seam: Seam, *rows: tuple[int, int, int], tpq: int = 480) -> list[tuple[int, int, int]]:
    """The channel messages that are written."""
    others = Beside(480, 1, messages=np.array(rows, np.int64).reshape(-1, 3))
    return [tuple(found) for found in beside_across(others, seam, tpq).messages.tolist()]


def test_pressure_is_let_go_where_new_music_begins() -> None:
    assert across(END, row(900, PRESSURE, 80)) == [row(900, PRESSURE, 80), row(START, PRESSURE, 0)]
    assert across(END, row(900, TOUCH, 60, 80)) == [row(900, TOUCH, 60, 80), row(START, TOUCH, 60, 0)]


def test_what_was_let_go_needs_nothing() -> None:
    rows = [row(900, PRESSURE, 80), row(901, TOUCH, 60, 9), row(950, PRESSURE, 0), row(950, TOUCH, 60, 0)]
    assert across(END, *rows) == rows


def test_nothing_acts_behind_the_seam() -> None:
    assert across(END, row(START + 1, PRESSURE, 80), row(START + 1, CONTROL, 7, 0, track=3)) == []


def test_in_a_gap_pressure_goes_with_its_notes_and_comes_back_behind_it() -> None:
    rows = [row(900, PRESSURE, 80), row(2000, PRESSURE, 99), row(RESUMES, PRESSURE, 5)]
    assert across(GAP, *rows) == [rows[0], row(START, PRESSURE, 0), row(RESUMES, PRESSURE, 99), rows[2]]


def test_tracks_beside_a_gap_keep_all() -> None:
    rows = [row(900, PRESSURE, 80, track=1), row(2000, PRESSURE, 99, track=1)]
    assert across(GAP, *rows) == rows


def test_ticks_are_those_of_the_take() -> None:
    later = Seam(2 * START, None, frozenset([0]))
    assert across(later, row(901, PRESSURE, 0), tpq=960) == [row(1802, PRESSURE, 0)]


@pytest.mark.parametrize("kind", [0x07, 0x09])
def test_texts_behind_the_seam_move_to_it(kind: int) -> None:
    label = Event(5000, CONDUCTOR, bytes([0xFF, kind, 1, 65]))
    assert beside_across(Beside(480, 1, events=(label,)), END, 480).events == (label._replace(tick=START),)
    assert beside_across(Beside(480, 1, events=(label,)), GAP, 480).events == (label,)
    assert texts_across([Text(5000, "A")], 480, END, 480) == [Text(START, "A")]
    assert texts_across([Text(5000, "A")], 480, GAP, 960) == [Text(10000, "A")]


def test_system_exclusive_messages_behind_the_seam_are_left_out() -> None:
    given = (Event(100, CONDUCTOR, b"\xf0\x02\x7d\xf7"), Event(5000, CONDUCTOR, b"\xf0\x02\x7d\xf7"))
    assert beside_across(Beside(480, 1, events=given), END, 480).events == given[:1]


def volume(tick: int, level: int) -> Event:
    """The master volume of all instruments."""
    return Event(tick, CONDUCTOR, b"\xf0\x07\x7f\x7f\x04\x01\x00" + bytes([level]) + b"\xf7")


def test_a_fade_of_the_master_volume_ends_at_the_seam() -> None:
    fade = (volume(0, 100), volume(1800, 60), volume(1900, 0))
    assert beside_across(Beside(480, 1, events=fade), END, 480).events == (*fade, volume(START, 100))
    assert beside_across(Beside(480, 1, events=fade[:1]), END, 480).events == fade[:1]
    late = (volume(1000, 50),)  # for most of the time as loud as can be
    written = beside_across(Beside(480, 1, events=late), END, 480).events
    assert written[1].message == b"\xf0\x07\x7f\x7f\x04\x01\x7f\x7f\xf7"
