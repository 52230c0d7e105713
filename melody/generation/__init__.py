"""From a primer to takes: rules and samplers on logits, the decode loop, beam search, and the composer."""

from melody.generation.assemble import NewNote
from melody.generation.composer import Composer, Take
from melody.generation.decoders.samplers import Sampling
from melody.generation.settings import Settings

__all__ = ["Composer", "NewNote", "Sampling", "Settings", "Take"]
