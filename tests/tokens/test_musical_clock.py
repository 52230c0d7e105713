"""Musical clocks: beats by the meter, bars by their tokens, phrases of four bars from the first whole one."""

import numpy as np
import pytest
from support.tunes import tune

from melody.errors import ConfigError
from melody.tokens import EventTokenizer
from melody.tokens.channels import names_of
from melody.tokens.clock import beat_ticks, clock_view
from melody.tokens.views import views_of

TOLD = EventTokenizer(names_of(("read", "phrase")))


@pytest.mark.parametrize(
    ("meter", "ticks"), [((4, 4), 24), ((2, 2), 48), ((3, 8), 12), ((6, 8), 36), ((12, 8), 36), ((9, 16), 18)]
)
def test_a_beat_is_the_meters_own(meter: tuple[int, int], ticks: int):
    assert beat_ticks(*meter) == ticks


def test_the_tables_tell_where_a_tune_stands():
    ids = TOLD.encode(tune(3))
    context = TOLD.context(ids)
    view = clock_view(TOLD.vocabulary, TOLD.channels)
    position, meter, phrase = (context[:, column] for column in view.columns)
    (starts,) = np.nonzero(view.bars[ids])
    assert [TOLD.vocabulary.tokens[ids[start]] for start in starts] == ["Bar"] * 8
    beats = view.beats[meter, position]
    known = meter > 0
    assert np.array_equal(beats[known], 1 + (position[known] - 1) // 24)
    four = view.phrases[phrase]
    assert [int(four[start + 2]) for start in starts[1:]] == [1] * 3 + [2] * 4


@pytest.mark.parametrize(
    ("channels", "missing"), [(("read",), "phrase"), (("position", "phrase"), "meter"), (("key",), "position, meter")]
)
def test_a_channel_that_is_not_told_is_named(channels: tuple[str, ...], missing: str):
    tokenizer = EventTokenizer(names_of(channels))
    with pytest.raises(ConfigError, match=f"add {missing}.* to data.channels"):
        views_of(tokenizer, {"name": "clockwork_lstm"})


def test_other_models_ask_for_no_clock():
    assert views_of(EventTokenizer(), {"name": "residual_lstm", "intervals": None}) == {"intervals": None}
