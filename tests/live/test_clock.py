"""Ticks to seconds and back: by known tempos, and by the pulses of another's clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melody.live.clock import FASTEST_QPM, ClockFollower, TempoMap


def test_seconds_of_a_tempo_map_by_hand():
    there = TempoMap([(0, 120), (960, 60), (1440, 240)], start=10)
    assert [there.seconds_at(tick) for tick in (0, 480, 960, 1440, 1920)] == [10, 10.5, 11, 12, 12.25]


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 5000), st.floats(20, 400)), max_size=5),
    st.floats(0, 50_000),
)
def test_a_tempo_map_leads_back(changes: list[tuple[int, float]], tick: float):
    ticks = np.cumsum([step for step, _ in changes]).tolist()
    there = TempoMap([(0, 100), *zip(ticks, [qpm for _, qpm in changes], strict=True)], start=3)
    assert there.tick_at(there.seconds_at(tick)) == pytest.approx(tick, abs=1e-4)


def test_a_follower_takes_the_jitter_out_of_a_clock():
    follower, chance = ClockFollower(120), np.random.default_rng(1)
    follower.start()
    pulse = 60 / 93 / 24
    for number in range(100):
        follower.pulse(50 + number * pulse + chance.uniform(-0.002, 0.002))
    assert follower.qpm == pytest.approx(93, rel=0.01)
    assert follower.seconds_at(120 * 20) == pytest.approx(50 + 120 * pulse, abs=0.004)


def test_a_follower_follows_a_new_tempo_within_a_quarter_and_starts_again():
    follower, now = ClockFollower(120), 0.0
    follower.start()
    for qpm in [60] * 48 + [140] * 48:
        now += 60 / qpm / 24
        follower.pulse(now)
    assert follower.qpm == pytest.approx(140, rel=0.001)
    follower.stop()
    follower.pulse(now + 1)
    assert not follower.running
    follower.locate(1920)
    follower.resume()
    follower.pulse(now + 5)
    assert follower.tick_at(now + 5) == pytest.approx(1920)
    assert follower.is_lost(now + 7)


def test_a_flood_of_pulses_is_no_tempo_and_passes():
    follower = ClockFollower(120)
    follower.start()
    for number in range(100_000):
        follower.pulse(number / 1_000_000)  # a tenth of a second
    assert follower.qpm <= FASTEST_QPM
    assert follower.tick_at(0.1) < 3 * 480
    for number in range(48):
        follower.pulse(0.2 + number * 60 / 90 / 24)
    assert follower.qpm == pytest.approx(90, rel=0.01)


def test_pulses_that_come_together_after_a_delay_all_count():
    follower = ClockFollower(120)
    follower.start()
    for number in range(48):
        follower.pulse(max(number, 20 if 12 < number < 20 else 0) * 60 / 120 / 24)
    assert follower.tick_at(47 * 60 / 120 / 24) == pytest.approx(47 * 20, abs=2)
