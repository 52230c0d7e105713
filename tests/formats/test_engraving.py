"""Pages and MusicXML in other programs: music21, MuseScore, verovio; and beside a take."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from support.short_scores import line, mixed, score_of, xml
from support.strategies import grid_score

import melody
from melody.cli.output import Report
from melody.cli.takes import Output, refuse_existing, write_take
from melody.corpus.chorale import read_chorale
from melody.errors import MelodyError
from melody.formats import engraving
from melody.formats.engraving import svg_pages, write_svg
from melody.formats.musicxml.writer import write_musicxml
from melody.music.quantize import quantize
from melody.music.score import GRID, Score, note_count

chorale = cache(read_chorale)


# ---- other programs --------------------------------------------------------------------------------------------------


def test_music21_reads_the_same_notes(tmp_path: Path) -> None:
    music21 = pytest.importorskip("music21")
    score = mixed()
    stream = music21.converter.parse(write_musicxml(score, tmp_path / "a.musicxml"), forceSource=True)
    flute = stream.parts[0].stripTies().flatten().notes
    flute = [note for note in flute if not isinstance(note, music21.harmony.ChordSymbol)]
    assert [(note.offset * GRID, note.pitch.midi) for note in flute] == [
        (n.time, n.pitch) for n in score.tracks[0].notes
    ]
    assert [c.figure for c in stream.recurse().getElementsByClass("ChordSymbol")] == ["D", "A7", "Eø7"]


def test_musescore_plays_the_same_notes(tmp_path: Path) -> None:
    program = shutil.which("mscore3") or shutil.which("musescore3")
    if program is None:
        pytest.skip("MuseScore 3 is not installed")
    given = {"mixed": mixed(), "chorale": quantize(chorale("bach/bwv276.mxl"))}
    for name, score in given.items():
        write_musicxml(score, tmp_path / f"{name}.musicxml", open_score=True)  # on one channel unisons are one note
    jobs = [{"in": str(tmp_path / f"{name}.musicxml"), "out": str(tmp_path / f"{name}.mid")} for name in given]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [program, "-j", str(tmp_path / "jobs.json")]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    for name, score in given.items():
        played = quantize(melody.read(tmp_path / f"{name}.mid"))
        assert onsets(played) == onsets(score)


def onsets(score: Score) -> set[tuple[int, int, bool]]:
    return {(n.time, n.pitch, t.is_drum) for t in score.tracks for n in t.notes}


def test_verovio_engraves_every_note() -> None:
    pytest.importorskip("verovio")
    score = mixed()
    pages = svg_pages(score, title="Mixed")
    assert "Mixed" in pages[0]
    heads = sum(page.count('class="note"') for page in pages)
    ties = sum(note.find("tie[@type='stop']") is not None for note in xml(score, tidy=True).iter("note"))
    assert heads == note_count(score) + ties
    assert pages == svg_pages(score, title="Mixed")  # the same bytes


def test_long_pieces_take_several_pages(tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    paths = write_svg(score_of(line(*[60, 72] * 400, ticks=12)), tmp_path / "long.svg")
    assert [path.name for path in paths[:2]] == ["long.svg", "long-page2.svg"]
    assert all(path.is_file() for path in paths)
    with pytest.raises(MelodyError, match="exists"):
        write_svg(score_of(line(60)), tmp_path / "long.svg")


def test_without_verovio_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    with pytest.raises(MelodyError, match=r"pip install 'melody\[notation\]'"):
        svg_pages(grid_score((0, 24, 60, 80)))


# ---- beside a take ---------------------------------------------------------------------------------------------------


def test_compose_writes_them_beside_the_midi(tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    (take,) = melody.load("chorale").compose(bars=2, seed=1)
    output = Output(Report(as_json=True), [".musicxml", ".svg", ".dawproject"], None, False)
    files = write_take(output, take, tmp_path / "take.mid", None)
    assert {name: Path(path).name for name, path in files.items()} == {
        "midi": "take.mid",
        "musicxml": "take.musicxml",
        "svg": "take.svg",
        "dawproject": "take.dawproject",
    }
    assert note_count(melody.read(files["musicxml"])) == take.notes


def test_compose_refuses_a_page_before_composing_where_verovio_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    with pytest.raises(MelodyError, match="verovio"):
        refuse_existing(Output(Report(as_json=True), [".svg"], None, False), [tmp_path / "take.mid"])
