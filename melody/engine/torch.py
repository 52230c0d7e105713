"""The reference engine: the model that was trained, stepped token by token in torch, in 32-bit floats."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.engine import Carry, Logits
from melody.engine.weights import weights_of
from melody.errors import UnreadableFile
from melody.models import build
from melody.models.carry import flatten, unflatten
from melody.tokens.views import views_of


class TorchEngine:
    """See `melody.engine.Engine`. The model may be given as it is, or is built from a bundle's weights."""

    kind = "torch"

    def __init__(self, model: Bundle | torch.nn.Module) -> None:
        self._model = (model_of(model) if isinstance(model, Bundle) else model).eval()
        initial = flatten(self._model.start(1))  # type: ignore[operator]
        self._names = list(initial)
        self._initial = tuple(part.detach().numpy() for part in initial.values())

    def start(self, batch: int) -> Carry:
        """The carry before the first token of a piece."""
        return tuple(np.repeat(part, batch, axis=0) for part in self._initial)

    @property
    def steps(self) -> int:
        """Steps of a piece that its encoder reads; 0 for a model without one."""
        return getattr(self._model, "steps", 0)

    @torch.inference_mode()
    def start_told(self, told: NDArray[np.integer]) -> Carry:
        """The carry before pieces of which this is given (B, steps, F), for a model with an encoder."""
        condition = {"told": torch.from_numpy(np.asarray(told, np.int64))}
        carry = flatten(self._model.start(len(told), condition))  # type: ignore[operator]
        return tuple(carry[name].numpy() for name in self._names)

    @torch.inference_mode()
    def step(self, ids: NDArray[np.integer], context: NDArray[np.integer], carry: Carry) -> tuple[Logits, Carry]:
        """See `melody.engine.Engine`."""
        nest = unflatten({name: torch.from_numpy(part) for name, part in zip(self._names, carry, strict=True)})
        tokens = torch.from_numpy(np.asarray(ids, np.int64))[:, None]  # (B, 1)
        channels = torch.from_numpy(np.asarray(context, np.int64))[:, None]  # (B, 1, C)
        with use_onednn(enabled=False):  # for single steps its set-up costs more than it gains
            logits, after = self._model(tokens, nest, channels)
        parts = flatten(after)
        return logits[:, 0].numpy(), tuple(parts[name].numpy() for name in self._names)


@contextmanager
def use_onednn(enabled: bool) -> Iterator[None]:
    """Let torch use oneDNN in the block, or do without. (torch's own `flags` warn about other devices.)"""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = enabled  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before


def model_of(bundle: Bundle) -> torch.nn.Module:
    """Return a bundle's model. Raises `UnreadableFile` where its weights are of another."""
    options: dict[str, Any] = dict(bundle.settings["model"])
    views = views_of(bundle.tokenizer, options)
    name = options.pop("name")
    path = bundle.folder / bundle.weights_file
    weights = {name: torch.from_numpy(weight) for name, weight in weights_of(bundle).items()}
    sizes = [channel.size for channel in bundle.tokenizer.channels]
    options |= {"channel_sizes": sizes, **views}
    make = partial(build, name, vocabulary_size=len(bundle.tokenizer.vocabulary), **options)
    with torch.device("meta"):  # shapes without memory: nothing is built that the weights do not fill
        shapes = {name: part.shape for name, part in make().state_dict().items()}
    if shapes != {name: part.shape for name, part in weights.items()}:
        raise UnreadableFile(f"{path}: does not fit the model that bundle.json describes; export its run again")
    model = make()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UnreadableFile(f"{path}: does not fit the model that bundle.json describes: {error}") from error
    return model
