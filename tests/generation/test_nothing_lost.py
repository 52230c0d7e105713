"""The promise to musicians: after `compose` every note, controller and text of the primer is there, at its time."""

from fractions import Fraction

import pytest
from support.odd_primers import odd_primer
from support.preserved import changed_states, losses, states

import melody
from melody.formats.midi import Reading, check
from melody.music.score import bars

QUICK, ALL = 30, 250
CHANNELS = 15  # of pitched tracks


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
    seam = Fraction(take.first_new_tick, take.score.tpq)
    assert losses(data, written, seam) == []
    if not _share_channels(reading):
        assert changed_states(data, written, (seam, seam)) == []
    assert check(written) == []


def _share_channels(reading: Reading) -> bool:
    """Return True where tracks of a take may meet on a channel: many of them, or kits from several channels."""
    kits = {c for c, track in zip(reading.channels, reading.score.tracks, strict=True) if track.is_drum}
    return len(reading.score.tracks) > CHANNELS or len(kits) > 1


@pytest.mark.parametrize("seed", range(0, 60, 2))
def test_around_a_gap_all_sounds_as_it_did(seed: int, composers: dict[str, melody.Composer]) -> None:
    data = odd_primer(seed)
    reading = melody.read_file(data)
    if len(bars(reading.score)) < 4 or _share_channels(reading):
        pytest.skip("no gap here, or channels that several tracks share")
    name, _ = melody.choose_model(reading.score)
    composer = composers.setdefault(name, melody.load(name))
    (take,) = composer.compose(reading.score, fill=(2, 2), seed=seed)
    assert take.resumes_tick is not None
    stretch = (Fraction(take.first_new_tick, take.score.tpq), Fraction(take.resumes_tick, take.score.tpq))
    written = take.to_midi(given=reading)
    assert changed_states(data, written, stretch) == []
    given = {note[:3] for note in states(data)}
    new = [note for note in states(written) if note[:3] not in given]
    assert all(stretch[0] <= time < stretch[1] for time, *_ in new)
    pedals = [(bend, controls.get(64, 0), controls.get(66, 0), controls.get(69, 0)) for *_, bend, controls in new]
    assert set(pedals) <= {(0, 0, 0, 0)}


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
