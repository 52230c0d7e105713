"""Sound: right length, right loudness, no clipping, silence where it is silent, and errors instead of crashes."""

import io
import subprocess
import sys
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.soundfonts import soundfont
from symusic import ControlChange, Note, Tempo, TimeSignature, Track

import melody.render
from melody.errors import LimitExceeded, MelodyError, UnreadableFile, UsageError
from melody.music.score import Score
from melody.render import sound, soundfonts
from melody.render.loudness import block_peaks, limiter_gain, loudness_lufs, normalized, true_peak_db

RATE = 44_100


def tune(quarters: int = 8, rest: int = 0, qpm: float = 120) -> Score:
    """A scale of quarters, with `rest` quarters of silence before the last."""
    score = Score(480)
    score.tempos = [Tempo(0, qpm=qpm)]
    score.time_signatures = [TimeSignature(0, 4, 4)]
    track = Track("Piano", 0, False)
    for index in range(quarters):
        late = rest if index == quarters - 1 else 0
        track.notes.append(Note(480 * (index + late), 480, 60 + index, 90))
    score.tracks.append(track)
    return score


def drums() -> Score:
    score = tune()
    track = Track("Drums", 0, True)
    for index in range(32):
        track.notes.append(Note(120 * index, 60, (36, 42, 38, 42)[index % 4], 127))
    score.tracks = [track]
    return score


def sine(frequency: float, amplitude: float = 1.0, seconds: float = 2.0, channels: int = 2) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    wave_ = amplitude * np.sin(2 * np.pi * frequency * time)
    return np.stack([wave_, wave_ * (channels == 2)], 1).astype(np.float32)


@pytest.fixture(scope="module", params=sound.ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is installed; the other is skipped by name."""
    code = f"import {request.param}"
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip(f"{request.param} or its library is not installed")
    return request.param


@pytest.fixture(scope="module")
def with_rest(engine: str) -> np.ndarray:
    """Seven quarters, ten seconds of rest, and one more."""
    return sound.synthesize(tune(rest=20), engine=engine)


def test_length_is_the_score_and_a_second_of_tail(with_rest: np.ndarray) -> None:
    assert with_rest.shape == (round((28 * 0.5 + 1.0) * RATE), 2)
    assert with_rest.dtype == np.float32


def test_sounds_where_notes_are_and_is_silent_in_a_long_rest(with_rest: np.ndarray) -> None:
    loudest = np.abs(with_rest).max(1)
    for second in (0.25, 1.25, 3.25, 13.75):
        assert loudest[round(second * RATE) : round((second + 0.2) * RATE)].max() > 0.1
    assert loudest[8 * RATE : 13 * RATE].max() < 0.005
    assert loudest[-100:].max() < 0.001  # the tail has rung out


def test_onsets_are_on_time(with_rest: np.ndarray) -> None:
    loud = np.flatnonzero(np.abs(with_rest).max(1) > 0.02)
    assert loud[0] < 0.015 * RATE  # a piano needs some milliseconds to be heard
    last = loud[loud > 10 * RATE][0]
    assert abs(last / RATE - 13.5) < 0.015


@pytest.mark.parametrize("score", [tune(), drums()], ids=["tune", "drums"])
def test_loudness_and_true_peak(engine: str, score: Score) -> None:
    samples = sound.synthesize(score, engine=engine)
    assert loudness_lufs(samples, RATE) == pytest.approx(-16, abs=0.3)
    assert true_peak_db(samples) < -1


def test_stereo(engine: str) -> None:
    score = tune()
    score.tracks[0].controls.append(ControlChange(0, 10, 0))  # pan hard left
    left, right = (sound.synthesize(score, engine=engine) ** 2).mean(0)
    assert left > 4 * right


def test_engines_agree_on_onsets_and_length_at_another_rate(engine: str) -> None:
    samples = sound.synthesize(tune(rest=4), sample_rate=32_000, engine=engine)
    assert len(samples) == round((12 * 0.5 + 1) * 32_000)
    loud = np.flatnonzero(np.abs(samples).max(1) > 0.02)
    assert abs(loud[loud > 5 * 32_000][0] / 32_000 - 5.5) < 0.015
    spectrum = np.abs(np.fft.rfft(samples[: 16_000 - 800, 0]))
    assert np.argmax(spectrum) / (15_200 / 32_000) == pytest.approx(523.25, abs=3)  # middle C's octave


def test_silent_notes_give_silence_of_the_right_length(engine: str) -> None:
    score = tune()
    score.tracks[0].controls.append(ControlChange(0, 7, 0))  # volume
    samples = sound.synthesize(score, engine=engine)
    assert len(samples) == 5 * RATE
    assert np.abs(samples).max() < 1e-3


def test_a_score_without_notes_or_too_long_is_refused() -> None:
    with pytest.raises(MelodyError, match="no notes"):
        sound.synthesize(Score(480))
    with pytest.raises(LimitExceeded, match="minutes"):
        sound.synthesize(tune(qpm=0.1))


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(20, 300)), max_size=5), st.integers(1, 9000))
def test_seconds_by_the_tempo_map(tempos: list[tuple[int, int]], tick: int) -> None:
    """Against the sum over single ticks."""
    score = Score(480)
    score.tempos = [Tempo(time, qpm=qpm) for time, qpm in tempos]
    qpm = np.full(tick, 120.0)
    for time, value in sorted(tempos, key=lambda t: t[0]):
        qpm[time:] = value
    assert sound.seconds_at(score, tick) == pytest.approx((60 / (qpm * 480)).sum(), rel=1e-5)


@pytest.mark.parametrize("suffix", sound.FORMATS)
def test_files_of_every_format(tmp_path, suffix: str) -> None:
    path = sound.render(drums(), tmp_path / f"take{suffix}")
    samples, sample_rate = soundfile.read(path, dtype="float32")
    assert sample_rate == RATE
    assert samples.shape[1] == 2
    assert len(samples) / RATE == pytest.approx(3780 / 960 + 1, abs=0.1)
    assert true_peak_db(samples) < -1
    assert loudness_lufs(samples, RATE) == pytest.approx(-16, abs=0.5)


def test_equal_scores_make_equal_bytes() -> None:
    first, second = sound.synthesize(drums()), sound.synthesize(drums())
    for audio_format in ("WAV", "FLAC", "MP3"):
        assert sound.encode(first, RATE, audio_format) == sound.encode(second, RATE, audio_format)


def test_two_minutes_of_ogg_do_not_crash() -> None:
    data = sound.encode(np.zeros((120 * RATE, 2), np.float32), RATE, "OGG")
    assert soundfile.info(io.BytesIO(data)).duration == pytest.approx(120, abs=0.1)


def test_wav_opens_in_the_standard_library(tmp_path) -> None:
    with wave.open(str(sound.render(tune(2), tmp_path / "take.wav"))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)


def test_nothing_is_overwritten_unasked(tmp_path) -> None:
    path = tmp_path / "take.wav"
    path.write_bytes(b"mine")
    with pytest.raises(MelodyError, match="exists"):
        sound.render(tune(2), path)
    assert path.read_bytes() == b"mine"
    assert sound.render(tune(2), path, force=True).stat().st_size > 1000


def test_unknown_suffix_rate_and_engine_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"\.wav"):
        sound.render(tune(), tmp_path / "take.aiff")
    with pytest.raises(UsageError, match="44100"):
        sound.synthesize(tune(), sample_rate=100)
    with pytest.raises(UsageError, match="fluidsynth"):
        sound.synthesize(tune(), engine="organ")
    with pytest.raises(MelodyError, match="44100"):
        sound.encode(np.zeros((10, 2), np.float32), 12_345, "MP3")


def test_the_package_itself_renders(tmp_path) -> None:
    assert melody.render(tune(2), tmp_path / "a.wav").exists()
    assert melody.render(tune(2), tmp_path / "b.wav").exists()  # also once the package is imported


# ---- bad fonts and bad days -----------------------------------------------------------------------------------------


def damaged_fonts() -> dict[str, bytes]:
    font = soundfonts.bundled().read_bytes()
    return {
        "truncated": font[:100_000],
        "empty": b"RIFF\x00\x00\x00\x00sfbk" + bytes(100),
        "scrambled": font[:-50_000] + np.random.default_rng(0).bytes(50_000),
    }


@pytest.mark.parametrize("damage", damaged_fonts())
def test_a_bad_font_costs_an_error(tmp_path, engine: str, damage: str) -> None:
    path = tmp_path / "bad.sf2"
    path.write_bytes(damaged_fonts()[damage])
    with pytest.raises(MelodyError, match=r"bad\.sf2: ") as caught:
        sound.synthesize(tune(2), path, engine=engine)
    assert "\n" not in str(caught.value)


def test_what_is_no_font_is_refused_before_any_work(tmp_path) -> None:
    (tmp_path / "text.sf2").write_text("not a font")
    with pytest.raises(UnreadableFile, match="is not a SoundFont"):
        sound.synthesize(tune(), tmp_path / "text.sf2")
    with pytest.raises(UnreadableFile, match="no such SoundFont"):
        sound.synthesize(tune(), tmp_path / "missing.sf2")


def test_memory_is_bounded_by_the_job() -> None:
    assert sound.memory_limit_bytes(10**6, 60 * RATE) < 1.2 * 2**30
    assert sound.memory_limit_bytes(2**31, 1800 * RATE) == sound.MEMORY_LIMIT_BYTES


def test_a_hanging_synthesizer_is_ended(monkeypatch) -> None:
    monkeypatch.setattr(sound, "time_limit_seconds", lambda duration: 0.01)
    with pytest.raises(MelodyError, match="took more than"):
        sound.synthesize(tune(2))


@pytest.fixture
def impostor(tmp_path, monkeypatch):
    """Put a module of a given text in a synthesizer's place, in the child process."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda name, text: (tmp_path / f"{name}.py").write_text(text)


def test_midirenderer_steps_in_where_fluidsynths_library_is_missing(impostor) -> None:
    impostor("fluidsynth", "raise ImportError('no library')")
    assert np.array_equal(sound.synthesize(tune(2)), sound.synthesize(tune(2), engine="midirenderer"))


def test_without_any_synthesizer_the_error_says_what_to_install(impostor) -> None:
    for name in sound.ENGINES:
        impostor(name, "raise ImportError('no library')")
    with pytest.raises(MelodyError, match="install midirenderer"):
        sound.synthesize(tune(2))


def test_a_crash_costs_an_error(impostor) -> None:
    impostor("midirenderer", "import os; os.abort()")
    with pytest.raises(MelodyError, match="crashed"):
        sound.synthesize(tune(2), engine="midirenderer")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process reliably")
def test_a_greedy_synthesizer_is_stopped(impostor) -> None:
    impostor("midirenderer", "bytearray(2**34)")
    with pytest.raises(MelodyError, match="MemoryError"):
        sound.synthesize(tune(2), engine="midirenderer")


def test_fonts_are_found_without_importing_pretty_midi() -> None:
    code = (
        "import sys; from melody.render import soundfonts; assert soundfonts.find().is_file(); "
        "assert soundfonts.bundled().name == 'TimGM6mb.sf2'; "
        "heavy = {'pretty_midi', 'scipy', 'matplotlib', 'soundfile', 'torch', 'music21'}; "
        "import melody.render.sound, melody.render.pianoroll; assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_known_fonts_come_first_and_compressed_ones_only_where_read(tmp_path, monkeypatch) -> None:
    head = soundfont()
    for name in ("Aaa.sf2", "TimGM6mb.sf2", "FluidR3_GM.sf2", "MuseScore_General.sf3"):
        (tmp_path / name).write_bytes(head)
    (tmp_path / "MuseScore_General.sf2").write_bytes(b"no font at all")
    (tmp_path / "GeneralUser.sf2").write_bytes(head[:-30])
    monkeypatch.setattr(soundfonts, "folders", lambda: iter([tmp_path / "missing", tmp_path]))
    assert soundfonts.find().name == "MuseScore_General.sf3"
    assert soundfonts.find(compressed=False).name == "FluidR3_GM.sf2"


# ---- loudness -------------------------------------------------------------------------------------------------------


def test_the_standards_reference_tone() -> None:
    """BS.1770: 997 Hz at full scale in one channel reads -3.01 LUFS; EBU Tech 3341: stereo at -23 dBFS reads -23."""
    assert loudness_lufs(sine(997, channels=1), RATE) == pytest.approx(-3.01, abs=0.05)
    assert loudness_lufs(sine(1000, 10 ** (-23 / 20), 20), RATE) == pytest.approx(-23.0, abs=0.1)


def test_gates_leave_silence_out() -> None:
    tone = sine(500, 0.1, 5)
    padded = np.concatenate([np.zeros_like(tone), tone, np.zeros_like(tone)])
    assert loudness_lufs(padded, RATE) == pytest.approx(loudness_lufs(tone, RATE), abs=0.4)
    assert loudness_lufs(np.zeros_like(tone), RATE) == -np.inf


def test_agrees_with_pyloudnorm() -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    random = np.random.default_rng(0)
    for colour in (0.0, 0.9, 0.99):  # white to red noise, swelling and fading
        noise = random.normal(0, 0.1, (4 * RATE, 2))
        spectrum = np.fft.rfft(noise, axis=0)
        spectrum /= np.maximum(1, np.arange(len(spectrum)))[:, None] ** (colour / 2)
        samples = np.fft.irfft(spectrum, axis=0) * np.linspace(0.01, 1, 4 * RATE)[:, None]
        expected = pyloudnorm.Meter(RATE).integrated_loudness(samples)
        assert loudness_lufs(samples, RATE) == pytest.approx(expected, abs=0.1)


def test_true_peak_sees_between_the_samples() -> None:
    """A sine at a quarter of the rate, sampled 45 degrees off its crests, is 3 dB higher than its samples."""
    phase = np.pi / 2 * np.arange(4000) + np.pi / 4
    samples = np.stack([np.sin(phase)] * 2, 1)
    assert np.abs(samples).max() == pytest.approx(0.7071, abs=1e-3)
    assert true_peak_db(samples[500:-500]) == pytest.approx(0, abs=0.2)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1), st.integers(1, 200))
def test_never_above_the_ceiling(seed: int, level: float, spikes: int) -> None:
    random = np.random.default_rng(seed)
    samples = random.normal(0, 0.01 * level, (RATE, 2)).astype(np.float32)
    samples[random.integers(0, RATE, spikes)] += random.choice([-1, 1], (spikes, 1)) * level
    assert true_peak_db(normalized(samples, RATE, -16, -2)) < -1.99
    gain = limiter_gain(len(samples), block_peaks(samples), 0.3)
    assert gain.min() >= 0
    assert gain.max() <= 1
    assert np.abs(samples * gain[:, None]).max() <= 0.3001


def test_music_without_peaks_is_only_scaled() -> None:
    tone = sine(440, 0.01)
    louder = normalized(tone, RATE, -16, -2)
    assert np.corrcoef(tone[:, 0], louder[:, 0])[0, 1] > 0.999999
    assert loudness_lufs(louder, RATE) == pytest.approx(-16, abs=0.01)
