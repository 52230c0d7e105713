"""The pitch of a voice over time, by SwiftF0 (Nieradzik 2025, arXiv:2508.18440), whose ONNX model its wheel carries."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError
from melody.senses.recording import Samples, resampled

RATE = 16_000
LOUDNESS_STEP = 0.005
VOICED = 0.5  # confidence from which on a frame has a pitch

Floats = NDArray[np.float64]


class PitchCurve(NamedTuple):
    """Frames of 16 ms: time in seconds, pitch in semitones (69 = 440 Hz), confidence in [0, 1], level in dB.

    `loudness` is the level in dB in finer steps, of `LOUDNESS_STEP` seconds.
    """

    time: Floats
    pitch: Floats
    confidence: Floats
    level: Floats
    loudness: Floats
    source: Any  # the result of SwiftF0

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Return which frames have a pitch."""
        return self.confidence >= VOICED


def pitch_curve(samples: Samples, rate: int) -> PitchCurve:
    """Return the pitch of a recording of one voice. Raises `MelodyError` where swift-f0 is not installed."""
    heard = resampled(samples, rate, RATE)
    result = _detector().detect(heard, RATE)
    pitch = 69 + 12 * np.log2(np.maximum(result.pitch_hz, 1.0) / 440)
    return PitchCurve(result.timestamps, pitch, result.confidence, result.loudness_db, _loudness(heard), result)


def _loudness(samples: Samples) -> Floats:
    """Return the level in dB every `LOUDNESS_STEP` seconds, of three steps each."""
    size = round(LOUDNESS_STEP * RATE)
    count = len(samples) // size
    power = np.square(samples[: count * size], dtype=np.float64).reshape(count, size).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(np.convolve(power, np.ones(3) / 3)[1 : count + 1], 1e-10)))


@cache
def _detector() -> Any:
    try:
        from swift_f0 import SwiftF0
    except ImportError as error:
        raise MelodyError("a recording is heard with swift-f0: pip install 'melody[audio-in]'") from error
    return SwiftF0(threads=1)
