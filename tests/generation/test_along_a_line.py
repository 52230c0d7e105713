"""`contour`: a new tune rises and falls along a line, from numbers, a file or a voice; models without one say so."""

from pathlib import Path

import numpy as np
import pytest

import melody
from melody.cli import run
from melody.errors import UsageError
from melody.formats.reading import read
from melody.generation import Composer
from melody.generation.contour import line_of, parse_contour
from melody.generation.settings import settings_from, settings_of
from melody.music.quantize import quantize
from melody.music.score import Score, bars, notes_of
from melody.studio.command import command_of
from melody.studio.schema import read_settings
from melody.tokens.contour import LEVELS, contour_of

RISING, FALLING = "-6 6", "6 -6"
TUNE = b"X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|\n"


@pytest.fixture(scope="module")
def folk() -> Composer:
    return melody.load("folk")


def slope(score: Score, first: int = 0) -> float:
    """Semitones from the first half of a tune, from a bar on, to its second."""
    notes = notes_of(quantize(score).tracks[0])
    lines = bars(quantize(score))
    start, end = int(lines[first]), int(lines[-1])
    late = notes.onset >= (start + end) / 2
    return float(notes.pitch[late].mean() - notes.pitch[~late & (notes.onset >= start)].mean())


def test_tunes_follow_the_line(folk: Composer) -> None:
    slopes = {
        line: [slope(take.score) for take in folk.compose(contour=line, bars=8, takes=6, seed=1)]
        for line in (RISING, FALLING)
    }
    assert np.mean(slopes[RISING]) > 2 > -2 > np.mean(slopes[FALLING])


def test_after_a_primer_too_which_is_told_as_it_is(folk: Composer) -> None:
    theme = read(TUNE)
    rising, falling = (
        np.mean([slope(take.score, 4) for take in folk.compose(theme, contour=line, bars=8, takes=6, seed=1)])
        for line in (RISING, FALLING)
    )
    assert rising > falling + 3
    told = folk._prepare(theme, settings_of({"contour": RISING, "bars": 4})).prefix.reader.plan.foreseen
    assert told is not None
    levels = told.column("contour").tolist()
    assert levels[: 4 * 96] == contour_of(quantize(theme)).tolist()
    assert levels[4 * 96] < levels[8 * 96 - 1] <= LEVELS


def test_a_line_is_numbers_or_words_of_them_and_what_is_none_costs_one_line() -> None:
    assert settings_of({"contour": "0, 4;7"}).contour == settings_of({"contour": [0, 4.0, 7]}).contour == (0, 4, 7)
    for bad, reason in (
        ("high", "semitones in a row"),
        ([1], "2 to 1,024 points"),
        ([0, 100], "within 64"),
        (3, "give"),
    ):
        with pytest.raises(UsageError, match=reason):
            settings_of({"contour": bad})
    assert read_settings({"contour": [0, 4, 7]}).contour == (0, 4, 7)  # as the studio's API has it
    with pytest.raises(UsageError, match="that of a new tune"):
        settings_of({"contour": [0, 1], "add": "bass"})


def test_a_model_that_follows_no_line_names_one_that_does() -> None:
    with pytest.raises(UsageError, match=r"`contour`: chorale follows no line; folk does"):
        melody.load("chorale").compose(contour=RISING)


def test_settings_with_a_line_compose_the_same_again_and_others_do_not_name_it(folk: Composer) -> None:
    take = folk.compose(contour=(0, 3.5, -2), bars=4, seed=2)[0]
    assert folk.recompose(take.settings).to_midi() == take.to_midi()
    assert settings_from(take.settings).contour == (0, 3.5, -2)
    assert "contour" not in settings_of({}).to_dict()
    assert "--contour '0 3.5 -2'" in command_of(take.settings, None)


def test_the_line_of_a_score_is_its_tune() -> None:
    line = line_of(read(TUNE), "x")
    assert len(line) == 64
    assert (line[0], max(line), line[-1]) == (60, 72, 60)
    with pytest.raises(UsageError, match="no pitched note"):
        line_of(Score(480), "x.mid")
    assert parse_contour(" 1 2\n3 ") == (1, 2, 3)


def test_the_command_line_reads_lines_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tune.abc").write_bytes(TUNE)
    assert run(["compose", "--contour", "tune.abc", "--bars", "4", "--seed", "1", "--out", "take.mid"]) == 0
    assert "model folk: it follows a contour" in capsys.readouterr().out
    assert run(["compose", "--replay", "take.mid", "--out", "again.mid"]) == 0
    assert Path("take.mid").read_bytes() == Path("again.mid").read_bytes()
    assert run(["compose", "--contour", "none.wav"]) == 1
    assert run(["compose", "--contour", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_a_voice_draws_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("swift_f0")
    from support.recordings import ODE, hum, wav

    from melody.senses.contour import line_of_recording

    line = line_of_recording(wav(hum(ODE)))
    pitches = [pitch for pitch, _ in ODE]
    assert len(line) == 64
    assert abs(line[0] - pitches[0]) < 0.5
    assert abs(max(line) - max(pitches)) < 0.7
    monkeypatch.chdir(tmp_path)
    Path("hum.wav").write_bytes(wav(hum(ODE)))
    assert run(["compose", "--contour", "hum.wav", "--bars", "4", "--seed", "1"]) == 0
    Path("silence.wav").write_bytes(wav(np.zeros(16_000, np.float32)))
    assert run(["compose", "--contour", "silence.wav"]) == 1
    assert "a silent recording" in capsys.readouterr().err
