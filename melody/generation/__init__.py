"""From a primer to takes: what the model is told, rules on its logits, decoders, and the composer."""

from melody.generation.assemble import NewNote
from melody.generation.composer import Composer
from melody.generation.sampling import Sampling
from melody.generation.settings import Settings
from melody.generation.take import Take

__all__ = ["Composer", "NewNote", "Sampling", "Settings", "Take"]
