"""Loops: the last bar leads into the first one, and a file that is played over and over never stumbles."""

import json

import numpy as np
import pytest
from support.primers import primer, tune

import melody
from melody.errors import UsageError
from melody.generation import Composer
from melody.music.score import bars, end_tick


@pytest.fixture(scope="module")
def folk() -> Composer:
    return melody.load("folk")


def test_a_loop_has_its_bars_and_no_ending(folk: Composer):
    take = folk.compose(bars=8, meter=(4, 4), seed=3, loop=True)[0]
    assert len(bars(take.score)) == 9
    assert end_tick(take.score) <= 8 * 4 * 480
    assert take.candidates == 4
    assert take.nats_after is not None
    assert take.nats_after > 0
    again = folk.recompose(json.loads(json.dumps(take.settings)))
    assert again.to_midi() == take.to_midi()
    assert "loop" not in folk.compose(bars=2, seed=3)[0].settings


def test_of_several_the_one_that_leads_on_is_kept(folk: Composer):
    """Beginnings come more easily behind a loop than behind an ending: they cost the model fewer nats."""
    nats = {}
    for best_of in (1, 8):
        takes = folk.compose(bars=8, meter=(4, 4), seed=5, takes=6, loop=True, best_of=best_of, by="likelihood")
        nats[best_of] = np.mean([(take.nats_after or 0) + take.notes * take.nats_per_note for take in takes])
    assert nats[8] < nats[1]


def test_after_a_primer_the_return_is_to_its_beginning(folk: Composer):
    whole, alone = (
        folk.compose(primer(tune()), bars=4, seed=1, loop=True, best_of=1, only_new=only_new)[0]
        for only_new in (False, True)
    )
    assert whole.nats_after != alone.nats_after  # alone, the new bars return to themselves
    assert len(bars(whole.score)) - 1 == 8
    assert len(bars(alone.score)) - 1 == 4


def test_only_new_bars_at_the_end_can_be_a_loop(folk: Composer):
    with pytest.raises(UsageError, match="`loop` is about the end of new bars"):
        folk.compose(primer(tune()), fill=(2, 3), loop=True)
