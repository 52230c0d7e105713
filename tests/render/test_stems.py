"""The sound of a page: stems that together are the piece, and pages without it."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from support.pages import RATE, Seen, duo, endless, panel

from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.music.score import Score, bars, note_count
from melody.render import player, stems
from melody.render.loudness import loudness_lufs
from melody.render.player import page, write_page
from melody.render.sound import looped, render, seconds_at, synthesize


def test_stems_together_are_the_piece() -> None:
    sound = stems.sound_of(duo())
    parts = [soundfile.read(io.BytesIO(stem.data), dtype="float32")[0] for stem in sound.stems]
    mix = sum(stems.placed(part, stem.pan) for part, stem in zip(parts, sound.stems, strict=True)) * sound.gain
    whole = synthesize(duo(), sample_rate=RATE)
    assert mix.shape == whole.shape == (round(sound.seconds * RATE), 2)
    assert loudness_lufs(mix, RATE) == pytest.approx(loudness_lufs(whole, RATE), abs=0.7)
    assert np.corrcoef(mix.sum(1), whole.sum(1))[0, 1] > 0.97
    assert sound.stems[0].pan < -0.5
    assert sound.stems[1].pan > 0.5


def test_a_stem_has_one_track_and_all_else() -> None:
    score = duo()
    alone = list(stems.single_tracks(score))
    assert [[len(track.notes) for track in one.tracks] for one in alone] == [[8, 0], [0, 8]]
    assert all(len(one.tempos) == 1 and len(one.tracks[1].controls) == 1 for one in alone)
    assert note_count(score) == 16


@given(st.floats(-1, 1))
def test_mono_keeps_power_and_place(pan: float) -> None:
    mono = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    folded, found = stems.folded(stems.placed(mono, pan))
    assert found == pytest.approx(pan, abs=1e-3)
    if abs(pan) < 0.99:
        assert (folded**2).mean() == pytest.approx((mono**2).mean(), rel=1e-3)


def test_silence_and_opposites_make_no_noise() -> None:
    assert not stems.folded(np.zeros((10, 2), np.float32))[0].any()
    tone = np.sin(np.arange(100)).astype(np.float32)
    mono, _ = stems.folded(np.stack([tone, -0.999 * tone], 1))
    assert np.abs(mono).max() < 0.01


def test_without_mp3_stems_are_flac(monkeypatch) -> None:
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"FLAC": ""})
    sound = stems.sound_of(duo(1))
    assert sound.stems[0].data[:4] == b"fLaC"
    assert sound.delay_seconds == 0


def test_a_long_piece_is_without_sound_and_says_so(tmp_path: Path) -> None:
    (line,) = write_page([panel(endless())], tmp_path / "long.html")
    assert re.fullmatch(r".*long\.html: take without sound: the score lasts 11 minutes.*", line)
    seen = Seen((tmp_path / "long.html").read_text(encoding="utf-8"))
    assert seen.all("silent")
    assert not seen.all("play") + seen.all("mute")
    assert len(seen.all("system")) == 1


def test_a_page_holds_so_many_minutes_of_tracks(monkeypatch) -> None:
    monkeypatch.setattr(player, "MAX_TRACK_SECONDS", 5.0)
    text, left_out = page([panel(duo(1), str(number)) for number in (1, 2, 3)], "t")
    assert left_out == ["2 to 3 (2) without sound: a page holds 0 minutes of tracks"]
    assert len(Seen(text).all("play")) == 1


def test_no_synthesizer_leaves_a_page_without_sound(no_synthesizer: None) -> None:
    text, left_out = page([panel(duo())], "t")
    assert left_out == ["take without sound: no synthesizer works here"]
    assert Seen(text).all("silent")


def test_a_bad_soundfont_no_notes_and_too_many_are_refused(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UnreadableFile, match="no such SoundFont"):
        write_page([panel(duo())], tmp_path / "a.html", soundfont=tmp_path / "missing.sf2")
    with pytest.raises(MelodyError, match="no notes"):
        write_page([panel(Score(480))], tmp_path / "a.html")
    monkeypatch.setattr(player, "MAX_NOTES", 15)
    with pytest.raises(LimitExceeded, match="16 notes"):
        write_page([panel(duo())], tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def sounds(path: Path) -> np.ndarray:
    """The samples of a file (frames, 2)."""
    return np.asarray(soundfile.read(path)[0])


def test_stems_as_files_are_together_the_whole(tmp_path: Path) -> None:
    paths = stems.render_stems(duo(), tmp_path / "take.wav")
    assert [path.name for path in paths] == [
        "take.wav",
        *(f"take-{n}-{track.name}.wav" for n, track in enumerate(duo().tracks, 1)),
    ]
    whole, *parts = map(sounds, paths)
    assert np.abs(whole - np.sum(parts, axis=0)).max() < len(parts) / 2**15
    assert all(np.abs(part).max() > 0.01 for part in parts)
    with pytest.raises(MelodyError, match="exists"):
        stems.render_stems(duo(), tmp_path / "take.wav")


def test_a_loop_is_as_long_as_its_bars_and_rings_into_its_beginning(tmp_path: Path) -> None:
    score = duo()
    once, again = (render(score, tmp_path / f"{loop}.wav", loop=loop) for loop in (False, True))
    seconds = seconds_at(score, int(bars(score)[-1]))
    tail, loop = sounds(once), sounds(again)
    assert len(loop) == round(seconds * 44_100) < len(tail)
    assert np.abs(tail[len(loop) :]).max() > 0.001  # something rings on
    ringing = looped(tail.astype(np.float32), len(loop))
    ratio = float((ringing * loop).sum() / (ringing**2).sum())  # levelled anew
    assert np.abs(loop - ratio * ringing).max() < 0.05


def test_what_rings_on_comes_around() -> None:
    samples = np.arange(1, 8, dtype=np.float32)[:, None].repeat(2, axis=1)
    assert looped(samples, 3)[:, 0].tolist() == [1 + 4 + 7, 2 + 5, 3 + 6]
