"""Samples during training, for TensorBoard: eight bars from nothing, always by the same seed.

It goes the way that a finished model goes, through a step graph of 8-bit weights, and draws no random numbers of
torch's or numpy's own generators: a run's weights are the same with it and without.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.config import TrainConfig
from melody.corpus import TokenStore
from melody.corpus.draw_conditions import density_limits
from melody.learning.export import tracks_of
from melody.learning.model_files import model_files
from melody.music.score import Score
from melody.tokens import Channel, EventTokenizer

if TYPE_CHECKING:
    from melody.training import Sample

BARS, SEED = 8, 0
PIECES = 200  # of the training music, by which the tracks are known
SAMPLE_RATE = 22_050  # Hz
DOTS_PER_INCH = 72


@dataclass(frozen=True)
class RunSampler:
    """See `melody.training.loop.Sampler`."""

    config: TrainConfig
    store: TokenStore
    channels: Sequence[Channel]  # that the model is told

    def __call__(self, weights: Mapping[str, NDArray[np.float32]], stop: Callable[[], bool]) -> "Sample | None":
        """Compose with these weights, and show it; None where `stop` says so in between."""
        from melody.training import Sample

        score = compose(weights, self.config, self._settings)
        if stop():
            return None
        image = picture(score)
        return None if stop() else Sample(image, sound(score), SAMPLE_RATE)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The settings of a bundle that follow from the corpus, and the content of its vocabulary."""
        tokenizer, train = EventTokenizer(), self.store.split("train")
        scores = [tokenizer.decode(train.piece(index)[0]) for index in range(min(PIECES, len(train)))]
        counts = np.bincount(train.ids, minlength=len(tokenizer.vocabulary)).tolist()
        return {
            "tracks": [asdict(track) for track in tracks_of(scores, self.config.track_names, self.config.track_roles)],
            "channels": [channel.name for channel in self.channels],
            "density_limits": density_limits(train),
            "styles": self.store.styles,
            "vocabulary": {"tokens": list(tokenizer.vocabulary.tokens), "counts": counts},
        }


def compose(weights: Mapping[str, NDArray[np.float32]], config: TrainConfig, known: Mapping[str, Any]) -> Score:
    """Eight bars from nothing, with a bundle that lives as long as it takes."""
    from melody.generation import Composer

    files = {"vocabulary.json": json.dumps(known["vocabulary"]).encode()}
    files |= model_files(weights, config, known["channels"])
    settings = {
        **known,
        "name": config.name,
        "model": config.model.model_dump(mode="json"),
        "tokenizer": EventTokenizer().config,
        "vocabulary_hash": EventTokenizer.vocabulary.hash,
        "tempo_qpm": config.tempo_qpm,
        "style_rules": list(config.style_rules),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    with TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        composer = Composer(Bundle(Path(folder), settings), engine="onnx" if "step.onnx" in files else "torch")
        return composer.compose(bars=BARS, seed=SEED)[0].score


def picture(score: Score) -> NDArray[np.uint8]:
    """The piano roll of a score, shape (height, width, 3)."""
    from melody.render.pianoroll import figure

    roll = figure(score)
    roll.set_dpi(DOTS_PER_INCH)
    roll.canvas.draw()
    return np.asarray(roll.canvas.buffer_rgba())[..., :3].copy()


def sound(score: Score) -> NDArray[np.float32]:
    """A score as one channel of sound, shape (frames,)."""
    from melody.render.sound import synthesize

    mono: NDArray[np.float32] = synthesize(score, sample_rate=SAMPLE_RATE).mean(axis=1, dtype=np.float32)
    return mono
