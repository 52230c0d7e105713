"""Hummed notes come back with rhythm, tempo, meter and key, from any kind of recording; what is no tune is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.recordings import ODE, RATE, WALTZ, hum, speech, wav

from melody.cli import run
from melody.errors import LimitExceeded, MelodyError, UnreadableFile, UsageError
from melody.formats.reading import read_file
from melody.music.quantize import as_written, quantize
from melody.music.score import GRID, bars, meters, notes_of
from melody.senses import recording, several
from melody.senses.hearing import hear_samples
from melody.senses.rhythm import heard_rhythm
from melody.senses.sensed import Listening, listening_from

pytest.importorskip("swift_f0")


def grid_of(score) -> list[tuple[int, int]]:
    """Pitch and onset in grid ticks, as a model sees them, from the first note on."""
    notes = notes_of(quantize(as_written(score)).tracks[0])
    return list(zip(notes.pitch.tolist(), (notes.onset - notes.onset[0]).tolist(), strict=True))


def meant(notes: list[tuple[int, float]]) -> list[tuple[int, int]]:
    onset = np.concatenate([[0], np.cumsum([length for _, length in notes])])
    return [(pitch, round(at * GRID)) for (pitch, _), at in zip(notes, onset, strict=False)]


@pytest.mark.parametrize(("notes", "meter"), [(ODE, (4, 4)), (WALTZ, (3, 4))])
def test_a_hum_comes_back_with_its_rhythm(notes, meter):
    heard = hear_samples(hum(notes, qpm=96, tuning=0.3), RATE, known=Listening(meter=meter))
    assert grid_of(heard.score) == meant(notes)
    assert heard.rhythm.qpm == pytest.approx(96, rel=0.02)
    assert heard.tuning == pytest.approx(0.3, abs=0.05)
    assert heard.key.name in ("C major", "G major")
    assert meters(heard.score)[-1][1:] == meter


def test_noise_and_vibrato_leave_the_notes():
    heard = hear_samples(hum(ODE, vibrato=0.5, noise=0.05), RATE)
    assert [note.pitch for note in heard.notes] == [pitch for pitch, _ in ODE]
    onsets = 0.3 + np.cumsum([0, *(0.6 * length for _, length in ODE[:-1])])
    assert np.abs(np.array([note.onset for note in heard.notes]) - onsets).max() < 0.05


def test_the_feel_of_a_hand_stays_in_the_notes():
    late = [(pitch, 1.08 if index % 2 else 0.92) for index, (pitch, _) in enumerate(ODE[:8] * 2)]
    heard = hear_samples(hum(late, qpm=90), RATE, known=Listening(90, (4, 4)))
    onset = notes_of(heard.score.tracks[0]).onset
    assert (onset % 480 != 0).any()
    assert grid_of(heard.score) == meant([(pitch, 1) for pitch, _ in late])


def test_a_tempo_that_drifts_keeps_its_bars():
    steps = np.linspace(1.0, 0.8, 40)
    onset = np.concatenate([[0], np.cumsum(0.6 * steps)])
    rhythm = heard_rhythm(onset, meter=(4, 4))
    assert np.diff(rhythm.units).tolist() == [12] * 40


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_any_kind_of_recording_is_a_music_file(kind):
    reading = read_file(wav(hum(ODE), kind), "hum")
    assert len(reading.score.tracks[0].notes) == len(ODE)
    assert any("quarters a minute was guessed" in remark for remark in reading.remarks)


def test_a_given_tempo_and_meter_are_taken():
    reading = read_file(wav(hum(ODE, qpm=100)), "hum", Listening(50, (3, 4)))
    assert reading.score.tempos[0].qpm == pytest.approx(50, rel=0.03)
    assert meters(reading.score)[-1][1:] == (3, 4)
    assert not any("guessed" in remark for remark in reading.remarks)
    with pytest.raises(UsageError, match="halves, quarters"):
        read_file(wav(hum(ODE)), "hum", Listening(None, (5, 32)))


def test_a_low_hum_is_lifted_and_a_whistle_lowered():
    for shift, octaves in ((-18, 1), (30, -1)):
        heard = hear_samples(hum([(pitch + shift, length) for pitch, length in ODE]), RATE)
        moved = notes_of(heard.score.tracks[0]).pitch - np.array([note.pitch for note in heard.notes])
        assert set(moved.tolist()) == {12 * octaves}
        assert any("octave" in remark for remark in heard.remarks)


# ---- several notes at once -------------------------------------------------------------------------------------------


def chords() -> np.ndarray:
    voices = [
        hum([(pitch, 2) for pitch in line], vibrato=0)
        for line in ((60, 62, 64, 60), (64, 67, 67, 64), (67, 71, 72, 67))
    ]
    return sum(voices) / 3


def test_one_line_is_not_taken_for_several_nor_chords_for_one():
    from melody.senses.pitch import pitch_curve

    shares = [several.explained(sound, RATE, pitch_curve(sound, RATE)) for sound in (hum(ODE), chords())]
    assert shares[0] > several.LEAST_EXPLAINED + 0.1
    assert shares[1] < several.LEAST_EXPLAINED


def test_without_the_network_chords_give_a_line_and_a_word(monkeypatch):
    monkeypatch.setattr("melody.senses.hearing.model_path", lambda: None)
    monkeypatch.setattr("melody.senses.several.model_path", lambda: None)
    with pytest.raises(UnreadableFile, match=r"several notes at once.*pip install --no-deps basic-pitch"):
        hear_samples(chords(), RATE)
    with pytest.raises(MelodyError, match="--no-deps basic-pitch"):
        hear_samples(chords(), RATE, known=Listening(polyphonic=True))


@pytest.mark.skipif(several.model_path() is None, reason="basic-pitch is not installed")
def test_chords_are_heard_whole():
    heard = hear_samples(chords(), RATE)
    begun = {round((note.onset - 0.3) / 1.2): set() for note in heard.notes}
    for note in heard.notes:
        begun[round((note.onset - 0.3) / 1.2)].add(note.pitch)
    assert {60, 64, 67} <= begun[0]
    assert {62, 67, 71} <= begun[1]


# ---- what is no tune -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wav(np.zeros(3 * RATE, np.float32)), "silent recording"),
        (wav(speech()), "as in speech"),
        (wav(hum(ODE[:2])), "only 2 notes were heard"),
        (
            wav(0.1 * np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32)),
            "heard in it|as in speech",
        ),
        (wav(hum(ODE))[:44], "without a sample|damaged"),
        (wav(hum(ODE), "FLAC")[:60], "a damaged FLAC recording"),
        (b"OggS" + b"\x00" * 200, "a damaged OGG recording"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a damaged WAV recording"),
        (b"FORM\x00\x00\x00\x10AIFF" + b"\x00" * 16, "a damaged AIFF recording"),
        (b"ID3\x04" + b"\x9d" * 90, "a damaged MP3 recording"),
    ],
)
def test_what_is_no_tune_costs_one_line(data: bytes, reason: str):
    with pytest.raises(UnreadableFile, match=reason) as caught:
        read_file(data, "x.wav")
    assert str(caught.value).startswith("x.wav: ")
    assert str(caught.value).isprintable()


def test_a_voice_that_glides_is_a_tune_to_those_who_say_so():
    heard = hear_samples(speech(), RATE, known=Listening(polyphonic=False))
    assert "the voice glides much; check the notes" in heard.remarks


def test_two_hours_cost_one_line(tmp_path: Path, capsys):
    path = tmp_path / "concert.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC") as file:
        for _ in range(120):
            file.write(np.zeros(60 * 8000, np.int16))
    assert run(["compose", str(path), "--bars", "2", "--out", str(tmp_path / "take.mid")]) == 1
    said = capsys.readouterr().err.strip()
    assert "melody hears no more" in said
    assert len(said.splitlines()) == 1


def test_decoding_stops_at_its_limit_whatever_the_header_says(monkeypatch):
    monkeypatch.setattr(recording, "MAX_SECONDS", 2.0)
    with pytest.raises(LimitExceeded, match="melody hears no more"):
        read_file(wav(hum(ODE)), "long.wav")
    lying = bytearray(wav(hum(ODE)[:RATE]))
    lying[40:44] = struct.pack("<I", 2**31)  # two gigabytes of samples, it says
    assert len(recording.decode(bytes(lying), "x")[0]) == RATE


def test_resampling_keeps_a_tone_and_removes_what_would_fold():
    t = np.arange(44_100) / 44_100
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    new = recording.resampled(tone, 44_100, 16_000)
    assert np.abs(new - np.sin(2 * np.pi * 440 * np.arange(len(new)) / 16_000))[100:-100].max() < 1e-3
    high = np.sin(2 * np.pi * 9_500 * t).astype(np.float32)
    assert np.abs(recording.resampled(high, 44_100, 16_000))[100:-100].max() < 0.05


# ---- the command line ------------------------------------------------------------------------------------------------


def test_compose_goes_on_from_a_hum_and_replays_it(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("hum.wav").write_bytes(wav(hum(ODE)))
    known = ["--meter", "4/4", "--tempo", "100"]
    assert (
        run(["compose", "hum.wav", "--model", "chorale", "--with", "1", "--seed", "3", *known, "--out", "take.mid"])
        == 0
    )
    assert run(["compose", "--replay", "take.mid", "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == Path("take.mid").read_bytes()
    assert "the same bytes" in capsys.readouterr().out
    assert run(["compose", "take.mid", "--polyphonic"]) == 2
    assert "are for recordings" in capsys.readouterr().err


def test_inspect_draws_what_it_heard(tmp_path: Path, capsys):
    (tmp_path / "hum.wav").write_bytes(wav(hum(ODE)))
    assert run(["inspect", str(tmp_path / "hum.wav"), "--out", str(tmp_path / "hum.png")]) == 0
    assert (tmp_path / "hum.png").read_bytes().startswith(b"\x89PNG")
    assert "--tempo says it" in capsys.readouterr().err
    (tmp_path / "x.abc").write_text("X:1\nK:C\nCDEF|\n")
    assert run(["inspect", str(tmp_path / "x.abc"), "--out", str(tmp_path / "x.png")]) == 2


def test_what_was_known_survives_json_and_nonsense_does_not():
    known = Listening(90.0, (3, 4), True)
    assert listening_from({"tempo_qpm": 90.0, "meter": [3, 4], "polyphonic": True}) == known
    assert listening_from(known.to_dict()) == known
    for bad in ({"tempo_qpm": "fast"}, {"meter": [3, 5]}, {"meter": [1, 2, 3]}, {"tempo_qpm": -1}):
        with pytest.raises((ValueError, TypeError)):
            listening_from(bad)


def test_the_bars_of_a_pickup_are_where_they_were_hummed():
    notes = [(67, 1), *[(60, 1), (64, 1), (67, 1), (72, 1)] * 3, (60, 3)]
    score = hear_samples(hum(notes), RATE, known=Listening(100, (4, 4))).score
    lines = bars(score)
    assert {int(line) for line in lines[:3]} <= {0, 480, 480 + 1920, 1920, 3840}
