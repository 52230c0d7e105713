"""Training: lanes and windows, loss, schedule, evaluation, checkpoints and the loop that joins them.

It knows tokens, windows and carries, and no notes but their number (for nats per note).
"""

from melody.training.checkpoint import load_best
from melody.training.evaluate import HeldOutCost, evaluate
from melody.training.job import Sampler, TrainResult
from melody.training.lanes import Lanes, PieceSource, Window
from melody.training.log import Sample
from melody.training.loop import train
from melody.training.warm_start import Base

__all__ = [
    "Base",
    "HeldOutCost",
    "Lanes",
    "PieceSource",
    "Sample",
    "Sampler",
    "TrainResult",
    "Window",
    "evaluate",
    "load_best",
    "train",
]
