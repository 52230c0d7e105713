"""Decoders by name. A new one is a module with a `Decoder`, a line here, and its name in `Settings.decoder`."""

from collections.abc import Mapping

from melody.generation.decoders.beam import BeamSearch
from melody.generation.decoders.contract import Continuation, Decoder
from melody.generation.decoders.rewriting import Rewriting
from melody.generation.decoders.sampling import Sampled
from melody.generation.decoders.stochastic_beam import StochasticBeamSearch

DECODERS: Mapping[str, Decoder] = {
    "sampling": Sampled(),
    "beam": BeamSearch(),
    "rewriting": Rewriting(),
    "stochastic_beam": StochasticBeamSearch(),
}

__all__ = ["DECODERS", "Continuation", "Decoder"]
