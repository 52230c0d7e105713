"""A finished model as the base of one that is told of more voices, and of plans for each of them."""

import numpy as np
import torch

from melody.bundle import open_bundle
from melody.engine.torch import model_of
from melody.learning.base import base_of
from melody.learning.short_weights import _rows_known
from melody.models import build
from melody.tokens import EventTokenizer
from melody.tokens.channels import names_of
from melody.tokens.views import views_of
from melody.training.warm_start import take_over


def test_a_base_of_two_hands_says_the_same_as_a_model_of_four_parts_while_two_of_them_are_silent() -> None:
    bundle = open_bundle("piano")
    tokenizer = EventTokenizer(names_of([*bundle.channels, "read", "foreseen", "parts"], 4))
    base = base_of("piano", tokenizer)
    options = dict(bundle.settings["model"])
    sizes = [channel.size for channel in tokenizer.channels]
    options |= views_of(tokenizer, options)
    model = build(options.pop("name"), len(tokenizer.vocabulary), sizes, **options).eval()
    take_over(model, base)
    new = {tokenizer.channels[int(name.split(".")[-2])].name for name in base.new}
    assert new >= {"voice_2", "voice_3", "given_3", "part_0", "part_3"}
    assert not new & set(bundle.channels)

    generator = torch.Generator().manual_seed(3)
    before = bundle.tokenizer.channels
    tokens = torch.randint(len(tokenizer.vocabulary), (2, 12), generator=generator)
    told = torch.stack([torch.randint(channel.size, (2, 12), generator=generator) for channel in before], dim=2)
    places = {channel.name: number for number, channel in enumerate(tokenizer.channels)}
    wide = torch.zeros((2, 12, len(sizes)), dtype=torch.long)
    wide[:, :, [places[channel.name] for channel in before]] = told
    small = model_of(bundle).eval()
    with torch.no_grad():
        expected, _ = small(tokens, small.start(2), told)
        found, _ = model(tokens, model.start(2), wide)
    torch.testing.assert_close(found, expected)


def test_the_values_that_a_base_of_two_hands_knows_are_the_first_ones_of_more() -> None:
    bundle = open_bundle("piano")
    tokenizer = EventTokenizer(names_of([*bundle.channels, "read"], 4))
    known = _rows_known(bundle, tokenizer)
    sizes = {"token": len(tokenizer.vocabulary)} | {channel.name: channel.size for channel in tokenizer.channels}
    assert len(known) == sum(sizes.values())
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1].tolist(), strict=True))
    rows = {name: known[first[name] : first[name] + size] for name, size in sizes.items()}
    assert sizes["sounding"] == 1 + 2**4
    assert rows["sounding"][:5].any()
    assert not rows["sounding"][5:].any()
    assert not rows["voice_3"].any()
    assert rows["voice_1"].any()
