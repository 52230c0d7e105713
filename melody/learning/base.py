"""The weights of a finished model as those from which another one starts that may be told more than it was.

A channel that the base was not told starts at zeros, which say nothing; so do the values of one that has more of
them, as `sounding` has for more voices, and the scores of intervals to voices that the base did not have.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import open_bundle
from melody.errors import MelodyError
from melody.tokens.channels import Channel
from melody.tokens.contract import Tokenizer
from melody.tokens.intervals import IntervalView

if TYPE_CHECKING:
    from melody.training import Base

SCORES = "intervals.scores"


def base_of(name: str, tokenizer: Tokenizer) -> "Base":
    """The weights of a bundle, to train further as a model of these tokens and channels.

    Raises `MelodyError` where it knows other tokens or is damaged.
    """
    from melody.engine.weights import weights_of
    from melody.training import Base

    bundle = open_bundle(name)
    if bundle.tokenizer.vocabulary.hash != tokenizer.vocabulary.hash:
        raise MelodyError(f"{name}: has learned other tokens than those of the corpus; prepare it without `miditok`")
    weights = dict(weights_of(bundle))
    known = {channel.name: number for number, channel in enumerate(bundle.tokenizer.channels)}
    prefix = next(key for key in weights if key.endswith("channels.0.weight")).removesuffix("0.weight")
    nothing = np.zeros((0, weights[f"{prefix}0.weight"].shape[1]), np.float32)
    tables = {channel: weights.pop(f"{prefix}{number}.weight") for channel, number in known.items()}
    new = set[str]()
    for number, channel in enumerate(tokenizer.channels):
        own = f"{prefix}{number}.weight"
        weights[own] = _of_rows(tables.get(channel.name, nothing), channel.size)
        if channel.name not in known:
            new.add(own)
    widest = bundle.settings["model"].get("intervals")
    before, now = bundle.tokenizer.intervals(widest), tokenizer.intervals(widest)
    if before and now and before.scores != now.scores:
        theirs, ours = _scores_of(before, bundle.tokenizer.channels), _scores_of(now, tokenizer.channels)
        for name in (f"{SCORES}.weight", f"{SCORES}.bias"):
            scores = weights[name].reshape(len(before.tokens), before.scores, -1)  # (kinds, scores, D or 1)
            moved = np.zeros((len(scores), now.scores, scores.shape[2]), np.float32)
            for reference in theirs.keys() & ours.keys():
                moved[:, ours[reference]] = scores[:, theirs[reference]]
            weights[name] = moved.reshape(-1, *weights[name].shape[1:])
    return Base(bundle.name, bundle.settings["files"][bundle.weights_file], weights, frozenset(new))


def _of_rows(table: NDArray[Any], size: int) -> NDArray[Any]:
    """A channel's table (values, D) with as many values more as it has now; those say nothing."""
    more = np.zeros((max(0, size - len(table)), table.shape[1]), np.float32)
    return np.concatenate([table, more])


def _scores_of(view: IntervalView, channels: tuple[Channel, ...]) -> dict[str, slice]:
    """Return the places of the scores of each reference, by the channel that tells of it."""
    ends = [*view.first[1:].tolist(), len(view.places)]
    told = [view.places[first:end] for first, end in zip(view.first.tolist(), ends, strict=True)]
    begins = [int(places.min()) for places in told]
    names = [channels[column].name for column in view.columns.tolist()]
    spans = zip(begins, [*begins[1:], view.scores], strict=True)
    return {name: slice(*span) for name, span in zip(names, spans, strict=True)}
