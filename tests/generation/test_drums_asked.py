"""A track that the file calls pitched goes on as drums where the musician says so."""

import pytest
from support.primers import part, primer, tune

import melody
from melody.errors import UsageError
from melody.generation.model_choice import choose, shipped


def beats():
    """A kit on a melodic channel, without a name that says so."""
    return part("Beats", [(36, 42), 42, (38, 42), 42] * 2)


@pytest.mark.parametrize("mapping", [{"Beats": ("Drums",)}, {"1": ("drums",)}])
def test_pitches_go_on_as_drums_where_asked(mapping):
    given = primer(beats(), tune("Lead"))
    assert choose(given, shipped(), mapping=mapping).bundle.name == "band"  # in which the lead goes on too
    (take,) = melody.load("drums").compose(given, bars=1, seed=1, mapping=mapping)
    assert take.score.tracks[0].is_drum
    assert not take.score.tracks[1].is_drum
    assert take.places == (("Beats", ("Drums",)),)
    assert not given.tracks[0].is_drum


def test_without_it_the_model_of_drums_has_nothing_to_go_on_from():
    with pytest.raises(melody.MelodyError, match="pitched tracks alone"):
        melody.load("drums").compose(primer(beats(), tune("Lead")), bars=1, seed=1)


def test_an_unknown_track_is_named():
    with pytest.raises(UsageError, match="map Hats: no such track"):
        melody.load("drums").compose(primer(beats()), bars=1, seed=1, mapping={"Hats": ("Drums",)})
