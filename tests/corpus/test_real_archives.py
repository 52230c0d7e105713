"""The recipes on the real archives, where these lie beside the checkout."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from support.made_music import ARCHIVES, CORPORA

from melody.corpus import pop, prepare
from melody.corpus.archives import opened
from melody.corpus.pieces import LeftOut
from melody.corpus.recipe import READERS, load_pieces
from melody.errors import MelodyError
from melody.music.quantize import quantize
from melody.music.score import GRID, Score, bars, notes_of
from melody.tokens import EventTokenizer

TRACKS = {"folk": 1, "pop": 3, "drums": 1, "lead": 2, "lied": 2, "quartet": 4}


@pytest.fixture(scope="module", params=ARCHIVES)
def corpus(request: pytest.FixtureRequest, data_folder: Path) -> Iterator[tuple[str, Path]]:
    """The name of a recipe and a folder with some of its music."""
    name: str = request.param
    with opened(data_folder / ARCHIVES[name], lambda path: _is_sampled(path)) as folder:
        yield name, folder


def _is_sampled(path: str) -> bool:
    """One piece in thirty of each archive, with what belongs to it."""
    song = re.search(r"(\d{3})(?:\.mid|/[a-z_]+\.txt)$", path)
    return path.endswith("info.csv") or crc32((song[1] if song else path).encode()) % 30 == 0


def pieces_of(name: str, root: Path) -> dict[str, Score | MelodyError]:
    reader = READERS[name]
    assert reader.items
    found: dict[str, Score | MelodyError] = {}
    for item in [item for item in reader.items(root) if not item.startswith("music21:")][:30]:
        found |= reader.read(item, root)
    return found


def test_pieces_read_as_their_recipe_promises(corpus: tuple[str, Path]) -> None:
    name, root = corpus
    found, known = pieces_of(name, root), load_pieces(CORPORA / name)
    assert len(found) >= 2
    for piece, score in found.items():
        if not isinstance(score, Score):
            assert isinstance(score, LeftOut)
            assert known.left_out[piece] == score.reason
            continue
        assert piece in known.split_of or known.left_out[piece] == "duplicate"
        assert len(score.tracks) == TRACKS[name]
        canonical = quantize(score)
        assert EventTokenizer().decode(EventTokenizer().encode(canonical)) == canonical


def test_the_repair_of_pop_agrees_with_another_one(data_folder: Path) -> None:
    wanted = partial(re.search, r"(?:/|^)0[0-4][05](?:\.mid|/\w+\.txt)$")
    agreeing, shared = [], []
    with opened(data_folder / ARCHIVES["pop"], lambda path: bool(wanted(path))) as folder:
        root = next(folder.glob("*/aligned")).parent
        for item in pop.items(root):
            mine, other = pop.song(root / item), pop.read(root / "aligned" / Path(item).name)
            onset, reference = notes_of(mine.tracks[0]).onset, notes_of(other.tracks[0]).onset * GRID // 480
            count = min(len(onset), len(reference))
            shift = GRID * round(np.median(reference[:count] - onset[:count]) / GRID)
            agreeing.append(np.mean(np.abs(reference[:count] - onset[:count] - shift) <= 2))
            lines = set((bars(other) * GRID // 480 - shift).tolist())
            shared.append(len(lines & set(bars(mine).tolist())) / len(bars(mine)))
    assert len(agreeing) == 9
    assert np.mean(agreeing) > 0.97
    assert np.mean(shared) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_corpus_is_as_its_recipe_says(name: str, data_folder: Path, tmp_path: Path) -> None:
    report = prepare(name, tmp_path / "store", local=data_folder / ARCHIVES[name])
    assert report.differences == []
    assert report.reasons == dict(Counter(load_pieces(CORPORA / name).left_out.values()))
    if name != "drums":  # whose split is the published one
        assert report.shared_clusters == 0
