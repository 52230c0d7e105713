"""Scores for intervals: they know how far a pitch is from what sounds, and not where."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from melody.jsb16.tokenizer import CHANNELS, LOWEST, VoicesTokenizer  # noqa: E402
from melody.models.intervals import IntervalHead  # noqa: E402
from melody.tokens import EventTokenizer  # noqa: E402
from melody.tokens.channels import layout_of  # noqa: E402

EVENTS, VOICES = EventTokenizer(), VoicesTokenizer()
PITCH = EVENTS.vocabulary.ids["Pitch"].start


def added(tokenizer: EventTokenizer | VoicesTokenizer, **context: int) -> np.ndarray:
    """What an interval head of random weights adds to logits (V,) in a context, by the names of its channels."""
    torch.manual_seed(0)
    head = IntervalHead(8, tokenizer.intervals(24))
    channels = torch.zeros(1, 1, len(tokenizer.channels), dtype=torch.int64)
    for name, value in context.items():
        channels[0, 0, [channel.name for channel in tokenizer.channels].index(name)] = value
    with torch.no_grad():
        head.scores.bias.normal_()
        return head(torch.zeros(1, 1, len(tokenizer.vocabulary)), torch.ones(1, 1, 8), channels)[0, 0].numpy()


def test_nothing_is_added_where_nothing_is_known() -> None:
    assert not added(EVENTS).any()
    assert not added(VOICES).any()


def test_scores_move_with_the_music() -> None:
    low = added(EVENTS, voice_0=1 + 60, bass=1 + 48, key=1 + 0, chord=1 + 0)
    high = added(EVENTS, voice_0=1 + 65, bass=1 + 53, key=1 + 5, chord=1 + 5)
    pitches = np.arange(128)
    assert low[PITCH + pitches[50:70]] == pytest.approx(high[PITCH + pitches[55:75]])
    assert low[PITCH + 50 : PITCH + 70] != pytest.approx(high[PITCH + 50 : PITCH + 70])


def test_only_pitches_get_scores_and_each_reference_adds_its_own() -> None:
    both = added(EVENTS, voice_0=1 + 60, voice_1=1 + 64)
    assert both == pytest.approx(added(EVENTS, voice_0=1 + 60) + added(EVENTS, voice_1=1 + 64), abs=1e-6)
    assert set(np.flatnonzero(both)) == set(range(PITCH + 60 - 24, PITCH + 64 + 24 + 1))


def test_a_minor_key_has_scores_of_its_own() -> None:
    assert added(EVENTS, key=1 + 2) != pytest.approx(added(EVENTS, key=1 + 12 + 2))


def test_each_voice_has_scores_of_its_own_and_a_rest_none() -> None:
    scores = added(VOICES, voice_S=1 + 67)
    soprano, bass = (VOICES.vocabulary.ids[voice] for voice in "SB")
    assert scores[soprano.start + 1 : soprano.stop].any()
    assert not np.allclose(scores[soprano.start : soprano.stop], scores[bass.start : bass.stop])
    assert not scores[[soprano.start, bass.start]].any()
    assert not added(VOICES, voice_S=129).any()


def test_the_view_names_the_channels_that_tell_of_pitches() -> None:
    view = EVENTS.intervals(12)
    assert [EVENTS.channels[column].name for column in view.columns][:2] == ["voice_0", "voice_1"]
    assert view.columns[-1] == layout_of().column["chord"]
    assert [CHANNELS[column].name for column in VOICES.intervals(12).columns] == [f"voice_{v}" for v in "SBTA"]
    assert VOICES.intervals(None) is None
    assert view.places[1 + 60, 60] == 12 == view.places[1 + 60, 61] - 1
    assert LOWEST == 36
