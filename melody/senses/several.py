"""Several notes at once: piano, guitar, choirs, by the network of Basic Pitch (Bittner et al., ICASSP 2022).

Its ONNX file travels in the wheel of basic-pitch (Spotify, Apache-2.0); nothing else of that package is used, and
melody carries no copy. ``pip install --no-deps basic-pitch`` puts it where it is found here.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.errors import MelodyError
from melody.senses.pitch import RATE as PITCH_RATE
from melody.senses.pitch import PitchCurve
from melody.senses.recording import Samples, resampled
from melody.senses.tones import LOUDEST, SOFTEST, HeardTone

RATE, HOP, WINDOW = 22_050, 256, 43_844  # samples
EDGE, KEPT = 15, 141  # frames of a window that are left out at each side, and that are kept
LOWEST = 21  # pitch of the first of its 88 columns
ONSET, SOUNDING = 0.5, 0.3  # from which probability on a note begins, and sounds on
RELEASE, SHORTEST = 11, 5  # frames: below `SOUNDING` before a note has ended; least length
NOTICE = "heard by the network of Basic Pitch (Spotify, Apache-2.0)"
INSTALL = "pip install --no-deps basic-pitch"
LEAST_EXPLAINED = 0.8  # share of the sound that is overtones of one pitch, below which it is taken for several
FRAME = 2048  # samples of a spectrum at `PITCH_RATE`

Floats = NDArray[np.float64]


def model_path() -> Path | None:
    """Return where the network lies, or None where basic-pitch is not installed; it is never imported."""
    spec = find_spec("basic_pitch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "saved_models" / "icassp_2022" / "nmp.onnx"
        if path.is_file():
            return path
    return None


def heard_chords(samples: Samples, rate: int) -> list[HeardTone]:
    """Return all notes of a recording. Raises `MelodyError` where basic-pitch is not installed."""
    if model_path() is None:
        raise MelodyError(f"several notes at once are heard with a network of basic-pitch (Apache-2.0): {INSTALL}")
    note, onset = _activations(resampled(samples, rate, RATE))
    spans = _spans(note, _with_rises(onset, note))
    level = np.array([level for *_, level in spans])
    top = level.max(initial=1e-6)
    velocity = SOFTEST + (LOUDEST - SOFTEST) * np.clip(level / top, 0, 1)
    step = HOP / RATE
    tones = [
        HeardTone(first * step, stop * step, LOWEST + column, round(float(loud)))
        for (first, stop, column, _), loud in zip(spans, velocity, strict=True)
    ]
    return sorted(tones)


def explained(samples: Samples, rate: int, curve: PitchCurve) -> float:
    """Return the share of the sound, where it has a pitch, that lies on the overtones of this pitch."""
    sound = resampled(samples, rate, PITCH_RATE)
    frames = np.flatnonzero(curve.voiced)[:: max(1, int(curve.voiced.sum() // 400))]
    bins = np.fft.rfftfreq(FRAME, 1 / PITCH_RATE)
    shares = []
    for frame in frames:
        middle = round(float(curve.time[frame]) * PITCH_RATE)
        piece = sound[max(0, middle - FRAME // 2) : middle + FRAME // 2]
        if len(piece) < FRAME:
            continue
        power = np.abs(np.fft.rfft(piece * np.hanning(FRAME))) ** 2
        hz = 440 * 2 ** ((curve.pitch[frame] - 69) / 12)
        harmonic = np.maximum(1, np.round(bins / hz))
        near = np.abs(bins - harmonic * hz) <= np.maximum(2.5 * PITCH_RATE / FRAME, 0.02 * harmonic * hz)
        inside = (bins > 60) & (bins < 3000)
        shares.append(power[near & inside].sum() / max(power[inside].sum(), 1e-12))
    return float(np.median(shares)) if shares else 1.0


def _activations(sound: Samples) -> tuple[Floats, Floats]:
    """Return the probabilities (T, 88) that a note sounds and that one begins, a frame every `HOP` samples."""
    session = _session(str(model_path()))
    outputs = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
    padded = np.pad(sound, (EDGE * HOP, WINDOW))
    rows = []
    for start in range(0, max(1, len(sound)), KEPT * HOP):
        window = padded[start : start + WINDOW].reshape(1, WINDOW, 1)
        note, onset = session.run(outputs, {"serving_default_input_2:0": window})
        rows.append((note[0, EDGE : EDGE + KEPT], onset[0, EDGE : EDGE + KEPT]))
    count = len(sound) // HOP + 1
    note, onset = (np.concatenate(part)[:count].astype(np.float64) for part in zip(*rows, strict=True))
    return note, onset


@cache
def _session(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _with_rises(onset: Floats, note: Floats) -> Floats:
    """Return the onsets, and those that a steep rise of a note's own probability tells."""
    rise = np.minimum(note - np.pad(note, ((1, 0), (0, 0)))[:-1], note - np.pad(note, ((2, 0), (0, 0)))[:-2])
    rise = np.maximum(rise, 0)
    rise[:2] = 0
    top = rise.max(initial=0.0)
    return np.maximum(onset, rise / top * onset.max(initial=0.0)) if top else onset


def _spans(note: Floats, onset: Floats) -> list[tuple[int, int, int, float]]:
    """Return first frame, frame after the last, column and mean probability of each note, the last ones first."""
    padded = np.pad(onset, ((1, 1), (0, 0)))
    peaks = (onset >= ONSET) & (onset > padded[:-2]) & (onset >= padded[2:])
    left = note.copy()
    spans = []
    for first, column in np.argwhere(peaks)[::-1].tolist():
        quiet = left[first + 1 :, column] < SOUNDING
        run = np.flatnonzero(np.convolve(quiet, np.ones(RELEASE, np.int64))[: len(quiet)] == RELEASE)
        stop = first + 1 + (int(run[0]) - RELEASE + 1 if len(run) else len(quiet))
        if stop - first < SHORTEST:
            continue
        spans.append((first, stop, column, float(note[first:stop, column].mean())))
        left[first:stop, max(0, column - 1) : column + 2] = 0
    return spans
