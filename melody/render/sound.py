"""Scores as sound: FluidSynth where its library is, midirenderer otherwise, at -16 LUFS with a second of tail.

The score goes to the synthesizer as the MIDI bytes that melody writes, so what is heard is what a DAW gets. The
synthesizer works in a child process with limits of time and memory (`sound_worker`): a bad SoundFont costs an error,
nothing else. Samples are (frames, 2) float32; the sound lasts from tick 0 to `TAIL_SECONDS` after the last note's end.
The same score, SoundFont and engine give the same bytes, but for OGG, whose streams carry a random number.
"""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melody.errors import LimitExceeded, MelodyError, UsageError
from melody.formats.midi.writer import dumps
from melody.music.score import Score, bars, end_tick, rescale
from melody.render import soundfonts
from melody.render.loudness import normalized
from melody.storage.files import refuse_overwrite, write_bytes

TAIL_SECONDS = 1.0
FADE_SECONDS = 0.5  # the last of the tail
TARGET_LUFS = -16.0
CEILING_DB = -2.0  # half a dB to spare below -1 for what MP3 and OGG add
MAX_SECONDS = 1800.0
MEMORY_LIMIT_BYTES = 6 * 2**30  # of any job; see `memory_limit_bytes`
FAILED, NOT_INSTALLED = 1, 2  # exit codes of the worker
ENGINES = ("fluidsynth", "midirenderer")  # in order of preference
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".mp3": "MP3", ".ogg": "OGG"}
WRITE_BLOCK_FRAMES = 65_536  # libsndfile's OGG encoder overflows the stack on one long write

Samples = NDArray[np.float32]


def render(
    score: Score,
    path: str | os.PathLike[str],
    soundfont: str | os.PathLike[str] | None = None,
    sample_rate: int = 44_100,
    force: bool = False,
    loop: bool = False,
) -> Path:
    """Write the score as sound to `path`, its format by suffix (.wav, .flac, .mp3, .ogg); return the path.

    A `loop` is as long as the bars of the score, and what rings on sounds at its beginning.

    Raises `MelodyError` where the file exists (unless `force`), the suffix is unknown, or the synthesizer fails.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: no sound format of that suffix; end the name in {', '.join(FORMATS)}")
    refuse_overwrite(path, force)
    samples = synthesize(score, soundfont, sample_rate, loop=loop)
    return write_bytes(path, encode(samples, sample_rate, FORMATS[path.suffix.lower()]), force=force)


def synthesize(
    score: Score,
    soundfont: str | os.PathLike[str] | None = None,
    sample_rate: int = 44_100,
    engine: str | None = None,
    loop: bool = False,
) -> Samples:
    """The score as stereo samples (frames, 2), loudness and peak in order.

    `engine` (fluidsynth or midirenderer) is chosen by what is installed where not given. Raises `MelodyError` for a
    score without notes, `LimitExceeded` beyond half an hour, `UnreadableFile` for what is no SoundFont.
    """
    (raw,) = unlevelled([score], soundfont, sample_rate, engine)
    if loop:
        raw = looped(raw, loop_frames(score, sample_rate))
    return normalized(raw, sample_rate, TARGET_LUFS, CEILING_DB)


def unlevelled(
    scores: Sequence[Score],
    soundfont: str | os.PathLike[str] | None = None,
    sample_rate: int = 44_100,
    engine: str | None = None,
) -> Iterator[Samples]:
    """Each score as the synthesizer plays it, (frames, 2), all as long as the longest with its tail.

    One child process does them all. Raises as `synthesize`.
    """
    if not 8_000 <= sample_rate <= 96_000:
        raise UsageError(f"sample_rate must lie in 8000..96000 Hz, got {sample_rate}; 44100 suits most")
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"sound engine {engine!r} is unknown; choose {' or '.join(ENGINES)}")
    frames = round((max(map(sounding_seconds, scores)) + TAIL_SECONDS) * sample_rate)
    engines = [(name, _font(soundfont, name)) for name in ([engine] if engine else ENGINES)]
    for raw in _run_worker([midi_with_tail(score) for score in scores], engines, sample_rate, frames):
        yield _faded(raw, sample_rate)


def loop_frames(score: Score, sample_rate: int) -> int:
    """Return the frames of the bars of a score, to the nearest one."""
    return round(seconds_at(score, int(bars(score)[-1])) * sample_rate)


def looped(samples: Samples, frames: int) -> Samples:
    """Samples of so many frames: what rings on beyond them sounds at the beginning, as when it is played again."""
    whole = np.pad(samples, ((0, -len(samples) % frames), (0, 0)))
    result: Samples = whole.reshape(-1, frames, samples.shape[1]).sum(0)
    return result


def sounding_seconds(score: Score) -> float:
    """Return the end of the last note in seconds. Raises `MelodyError` without notes or past `MAX_SECONDS`."""
    end = end_tick(score)
    if not end:
        raise MelodyError("the score has no notes, so there is nothing to hear; give it some")
    seconds = seconds_at(score, end)
    if seconds > MAX_SECONDS:
        raise LimitExceeded(
            f"the score lasts {seconds / 60:.0f} minutes; sound is made up to {MAX_SECONDS / 60:.0f}; cut it"
        )
    return seconds


def seconds_at(score: Score, tick: int) -> float:
    """The time of a tick in seconds by the tempo map; 120 quarters per minute until the first tempo."""
    seconds, last_tick, qpm = 0.0, 0, 120.0
    for tempo in sorted(score.tempos, key=lambda t: t.time):
        if tempo.time >= tick:
            break
        seconds += (tempo.time - last_tick) * 60 / (qpm * score.tpq)
        last_tick, qpm = int(tempo.time), float(tempo.qpm)
    return seconds + (tick - last_tick) * 60 / (qpm * int(score.tpq))


def encode(samples: Samples, sample_rate: int, audio_format: str, **compression: Any) -> bytes:
    """The samples (frames, channels) as a file of the format WAV or FLAC (16 bits), MP3 or OGG.

    `compression` goes to libsndfile: `compression_level` in [0, 1), `bitrate_mode`.
    """
    import soundfile

    buffer = io.BytesIO()
    channels = samples.shape[1]
    try:
        with soundfile.SoundFile(buffer, "w", sample_rate, channels, format=audio_format, **compression) as file:
            for start in range(0, len(samples), WRITE_BLOCK_FRAMES):
                file.write(samples[start : start + WRITE_BLOCK_FRAMES])
    except soundfile.LibsndfileError as error:
        raise MelodyError(f"{audio_format} at {sample_rate} Hz: {error.error_string}; 44100 Hz fits all") from error
    return buffer.getvalue()


def midi_with_tail(score: Score) -> bytes:
    """The score as MIDI with one more, empty track that ends after the tail: midirenderer stops at the last event."""
    midi = dumps(score)
    tracks, tpq = struct.unpack(">HH", midi[10:14])
    last_qpm = max(score.tempos, key=lambda t: t.time).qpm if len(score.tempos) else 120.0
    end = rescale(end_tick(score), score.tpq, tpq) + round((TAIL_SECONDS + 0.1) * last_qpm / 60 * tpq)
    chunk = _variable_length(end) + b"\xff\x2f\x00"
    return midi[:10] + struct.pack(">H", tracks + 1) + midi[12:] + b"MTrk" + struct.pack(">I", len(chunk)) + chunk


def _variable_length(value: int) -> bytes:
    digits = [value & 127]
    while value := value >> 7:
        digits.append(128 | value & 127)
    return bytes(reversed(digits))


def _font(soundfont: str | os.PathLike[str] | None, engine: str) -> str:
    return str(soundfonts.find(soundfont, compressed=engine == "fluidsynth"))


def _faded(samples: Samples, sample_rate: int) -> Samples:
    fade = min(len(samples), round(FADE_SECONDS * sample_rate))
    samples[len(samples) - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32))[:, None] ** 2
    return samples


def _run_worker(
    midis: Sequence[bytes], engines: Sequence[tuple[str, str]], sample_rate: int, frames: int
) -> Iterator[Samples]:
    """Synthesize in a child process. Raises `MelodyError` for whatever goes wrong there."""
    try:
        with tempfile.TemporaryDirectory(prefix="melody-") as name:
            for path in _work_in(Path(name), midis, engines, sample_rate, frames):
                samples = np.fromfile(path, "<f4").reshape(-1, 2)
                if len(samples) != frames or not np.isfinite(samples).all():
                    raise MelodyError(f"{engines[0][1]}: the synthesizer gave damaged sound; try another `soundfont`")
                yield samples
    except OSError as error:
        place = error.filename or "the folder for temporary files"
        raise MelodyError(f"{place}: cannot write: {error.strerror or error}; make room, or set TMPDIR") from error


def _work_in(
    folder: Path, midis: Sequence[bytes], engines: Sequence[tuple[str, str]], sample_rate: int, frames: int
) -> list[Path]:
    """The files of samples that the child makes of a job which is laid down in `folder`."""
    files = [folder / f"{number}.mid" for number in range(len(midis))]
    for file, midi in zip(files, midis, strict=True):
        file.write_bytes(midi)
    outs = [file.with_suffix(".samples") for file in files]
    job = {
        "engines": engines,
        "midis": list(map(str, files)),
        "outs": list(map(str, outs)),
        "sample_rate": sample_rate,
        "frames": frames,
        "memory_limit_bytes": memory_limit_bytes(max(os.path.getsize(font) for _, font in engines), frames),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    _wait_for_worker(folder / "job.json", time_limit_seconds(len(midis) * frames / sample_rate), engines[0][1])
    return outs


def time_limit_seconds(duration_seconds: float) -> float:
    """Return the time that the synthesizer may take: it is some 50 times faster than music, less when busy."""
    return 60 + duration_seconds


def memory_limit_bytes(font_bytes: int, frames: int) -> int:
    """Return the memory for a synthesizer: a process, the font (packed ones grow sixfold), the whole piece."""
    return min(MEMORY_LIMIT_BYTES, 2**30 + 6 * font_bytes + 48 * frames)


def _wait_for_worker(job: Path, limit_seconds: float, soundfont: str) -> None:
    # -P keeps this folder off the child's import path
    command = [sys.executable, "-P", str(Path(__file__).with_name("sound_worker.py")), str(job)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise MelodyError(
            f"{soundfont}: the synthesizer took more than {limit_seconds:.0f} s; try another `soundfont`"
        ) from error
    lines = done.stderr.decode(errors="replace").split("\n")
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
    if done.returncode == NOT_INSTALLED:
        raise MelodyError(reason)
    if done.returncode not in (0, FAILED):
        reason = f"the synthesizer crashed (exit code {done.returncode})"
    if done.returncode:
        raise MelodyError(f"{soundfont}: no sound came of it: {reason}; try another `soundfont`")
