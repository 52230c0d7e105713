"""Articulation: a staccato track goes on staccato, a legato one legato, and the written lengths stay as they are."""

from functools import cache

import numpy as np
import pytest
from support.primers import kit, part, primer
from symusic import ControlChange, Pedal, Track

from melody.generation import Composer, Take
from melody.generation.articulation import ALL, shares_of
from melody.music.score import notes_of, set_notes

BASS = [40, 40, 43, 45]


def lasting(track: Track, share: float) -> Track:
    """The track with notes that sound for a share of their length."""
    notes = notes_of(track)
    set_notes(track, notes._replace(duration=np.round(notes.duration * share).astype(np.int64)))
    return track


@cache
def takes(share: float) -> list[Take]:
    """Takes behind drums and a bass that plays quarters, each for a share of it."""
    return Composer("band").compose(primer(kit(), lasting(part("Bass", 4 * BASS, 33), share)), bars=4, seed=2, takes=4)


@pytest.mark.parametrize("share", [0.9, 0.95, 1.0])
def test_a_bass_goes_on_as_short_as_it_was(share: float) -> None:
    found: list[float] = []
    for take in takes(share):
        sounds, written = (notes_of(one.tracks[1]).duration for one in (take.score, take.notation))
        assert set(sounds[:32].tolist()) == {round(480 * share)}  # the primer's own stay as they are
        found += (sounds[32:] / written[32:]).tolist()
    assert found == pytest.approx(np.full(len(found), share), abs=0.01)


def test_notes_come_one_by_one_as_they_stand_in_the_take() -> None:
    given = primer(kit(), lasting(part("Bass", 4 * BASS, 33), 0.9))
    stream = Composer("band").stream(given, bars=4, seed=2, humanize=0.0)
    (take,) = Composer("band").compose(given, bars=4, seed=2, humanize=0.0)
    new = [tuple(row[1:5]) for row in stream if row.track == 1]
    assert new == list(zip(*(column[32:].tolist() for column in notes_of(take.score.tracks[1])), strict=True))


def test_lengths_that_are_seldom_go_by_all_of_them() -> None:
    written = part("Bass", BASS, 33)
    written.notes[0].duration = 960
    played = lasting(written.copy(), 0.8)
    assert shares_of(played, written) == pytest.approx({480: 0.8, ALL: 0.8})


def test_nothing_becomes_longer_than_it_is_written() -> None:
    written = part("Keys", BASS, 4)
    assert shares_of(lasting(written.copy(), 1.2), written) == {480: 1.0, ALL: 1.0}


def test_drums_and_who_plays_with_the_pedal_are_left_alone() -> None:
    written = part("Piano", BASS, 0)
    by_pedal, by_controller = lasting(written.copy(), 0.4), lasting(written.copy(), 0.4)
    by_pedal.pedals.append(Pedal(0, 960))
    by_controller.controls.append(ControlChange(0, 64, 127))
    assert shares_of(by_pedal, written) == shares_of(by_controller, written) == {}
    assert shares_of(kit(), kit()) == {}
