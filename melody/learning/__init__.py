"""Learning: a configuration becomes a run, a run a bundle, a bundle one of your own.

Here corpus, training, engine and composing meet; nothing imports torch before something is trained.
"""

from melody.learning.export import export_run
from melody.learning.finetune import FineTuned, fine_tune
from melody.learning.rewriter_model import learn_rewriter
from melody.learning.runs import Run, find_runs
from melody.learning.taste_model import learn_taste
from melody.learning.tokenizers import tokenizer_of
from melody.learning.train import RUNS, train_from_config, train_run

__all__ = [
    "RUNS",
    "FineTuned",
    "Run",
    "export_run",
    "find_runs",
    "fine_tune",
    "learn_rewriter",
    "learn_taste",
    "tokenizer_of",
    "train_from_config",
    "train_run",
]
