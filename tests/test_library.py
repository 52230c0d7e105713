"""The library does what the command line does: bytes and paths, every kind of file, takes that say what they are."""

import json
from pathlib import Path

import numpy as np
import pytest
from symusic import Tempo, TimeSignature, Track

import melody
from melody.formats.midi import check
from melody.generation.take_files import KINDS
from melody.music.score import Notes, Score, set_notes


@pytest.fixture(scope="module")
def theme() -> Score:
    score = Score(480)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=92)]
    track = Track("Melody", 40, False)
    set_notes(track, Notes(np.arange(8) * 480, np.full(8, 480), np.arange(60, 68), np.full(8, 84)))
    score.tracks.append(track)
    return score


@pytest.fixture(scope="module")
def take(theme: Score) -> melody.Take:
    return melody.load("chorale").compose(theme, bars=2, seed=3)[0]


def test_bytes_are_read_as_paths_are(theme: Score, tmp_path: Path):
    data = melody.write(theme)
    path = melody.write(theme, tmp_path / "theme.mid")
    assert path.read_bytes() == data
    assert melody.read(data) == melody.read(path) == melody.read(bytearray(data))
    assert melody.read_file(b"X:1\nT:Tune\nK:C\nCDEF|\n").title == "Tune"
    with pytest.raises(melody.UnreadableFile, match="<bytes>: a damaged PNG picture"):
        melody.read(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(melody.UnreadableFile, match="<bytes>: is empty"):
        melody.read(b"")


def test_a_take_is_bytes_and_a_dictionary(take: melody.Take, tmp_path: Path):
    assert isinstance(take, melody.Take)
    assert melody.write(take, tmp_path / "take.mid").read_bytes() == take.to_midi() == melody.write(take)
    assert check(take.to_midi()) == []
    known = json.loads(json.dumps(take.to_dict()))
    assert (known["seed"], known["take"], known["notes"]) == (3, 1, take.notes)
    assert known["settings"]["bars"] == 2


def test_a_title_and_texts_go_along(take: melody.Take):
    reading = melody.read_file(take.to_midi(title="Song", texts=["by nobody"]))
    assert reading.title == "Song"
    assert "by nobody" in [text.text for text in reading.texts]


@pytest.mark.parametrize("suffix", [suffix for suffix in KINDS if suffix != ".svg"])
def test_every_kind_of_file_is_written_by_its_suffix(take: melody.Take, theme: Score, tmp_path: Path, suffix: str):
    for number, piece in enumerate((take, theme)):
        first = melody.write(piece, tmp_path / f"{number}{suffix}")
        again = melody.render(piece, tmp_path / f"{number}-again{suffix}")
        assert first.stat().st_size > 60
        assert again.stat().st_size > 60
        with pytest.raises(melody.MelodyError, match="exists"):
            melody.write(piece, first)
        melody.write(piece, first, force=True)


def test_other_suffixes_are_refused_before_anything_is_written(take: melody.Take, tmp_path: Path):
    with pytest.raises(melody.UsageError, match=r"end the name in \.mid"):
        melody.write(take, tmp_path / "take.docx")
    assert not list(tmp_path.iterdir())


def test_errors_of_the_library_do_not_name_options(theme: Score, tmp_path: Path):
    path = melody.write(theme, tmp_path / "theme.mid")
    with pytest.raises(melody.MelodyError, match=r"exists; choose another name, or pass `force`$"):
        melody.write(theme, path)


def test_the_version_stands_alike_everywhere():
    root = Path(melody.__file__).parents[1]
    named = {
        "pyproject.toml": f'version = "{melody.__version__}"',
        "CITATION.cff": f"version: {melody.__version__}",
        "CHANGELOG.md": f"## [{melody.__version__}] - ",
    }
    assert not [name for name, line in named.items() if line not in (root / name).read_text(encoding="utf-8")]
