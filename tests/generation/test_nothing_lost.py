"""The promise to musicians: after `compose` every note, controller and text of the primer is there, at its time."""

from fractions import Fraction

import pytest
from support.odd_primers import odd_primer
from support.preserved import losses

import melody
from melody.formats.midi import check

QUICK, ALL = 30, 250


@pytest.fixture(scope="module")
def composers() -> dict[str, melody.Composer]:
    """The shipped models that were asked for."""
    return {}


@pytest.mark.parametrize("seed", [*range(QUICK), *(pytest.param(n, marks=pytest.mark.slow) for n in range(QUICK, ALL))])
def test_an_odd_primer_is_whole_in_its_take(seed: int, composers: dict[str, melody.Composer]) -> None:
    data = odd_primer(seed)
    reading = melody.read_file(data)
    name, _ = melody.choose_model(reading.score)
    composer = composers.setdefault(name, melody.load(name))
    (take,) = composer.compose(reading.score, bars=2, seed=seed)
    written = take.to_midi(given=reading)
    assert take.notes
    assert losses(data, written, Fraction(take.first_new_tick, take.score.tpq)) == []
    assert check(written) == []


def test_the_generator_is_odd_enough() -> None:
    """Every oddity that the property is to hold for occurs among the quick ones."""
    files = [odd_primer(seed) for seed in range(QUICK)]
    assert len({data[12:14] for data in files}) >= 10  # resolutions
    assert {data[9] for data in files} == {0, 1, 2}  # types
    readings = [melody.read_file(data) for data in files]
    assert sum(bool(reading.beside.events) for reading in readings) >= 5
    assert sum(bool(len(reading.beside.messages)) for reading in readings) >= 5
    assert sum(bool(reading.beside.silent) for reading in readings) >= 5
    assert sum(any(track.is_drum for track in reading.score.tracks) for reading in readings) >= 5
    assert all(odd_primer(seed) == data for seed, data in enumerate(files))
