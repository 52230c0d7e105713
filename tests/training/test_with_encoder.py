"""A model with an encoder: it trains on what pieces are told as wholes, exports, and composes around what is given."""

from pathlib import Path

import numpy as np
import pytest
from support.tunes import tune

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.corpus import AugmentedSource, open_store, shift_tables
from melody.corpus.augment import GivenGrid
from melody.corpus.draw_conditions import ConditionTeller
from melody.engine import open_engine
from melody.engine.told import start_for
from melody.learning.base import base_of
from melody.tokens import EventTokenizer, Plan
from melody.tokens.conditions import Conditions

CONFIG = """
name: encoded
corpus: {store}
track_names: [High, Low]
model: {{name: encoder_decoder, hidden_size: 16, layers: 2, encoder_size: 8, encoder_layers: 1, steps: 64}}
data: {{batch_size: 2, window: 32}}
evaluation: {{batch_size: 2}}
max_passes: 1
sample_every: 1
threads: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoded")
    for seed in range(12):
        melody.write(tune(seed), folder / "music" / f"{seed}.mid")
    assert run(["prepare", str(folder / "music"), "--out", str(folder / "store"), "--workers", "1"]) == 0
    (folder / "encoded.yaml").write_text(CONFIG.format(store=folder / "store"))
    assert run(["train", str(folder / "encoded.yaml"), "--run", str(folder / "run")]) == 0
    assert run(["export", str(folder / "run"), "--out", str(folder / "bundle"), "--samples", "0"]) == 0
    return folder


def test_what_is_told_moves_with_the_piece(folder: Path) -> None:
    split, tokenizer = open_store(folder / "store").split("train"), EventTokenizer()
    tables = shift_tables(tokenizer, split)
    teller = ConditionTeller(split, tokenizer, (1.0, 2.0))
    given = GivenGrid.of(tokenizer, 64)
    source = AugmentedSource(split, tables, transpose=False, teller=teller, given=given)
    drawn = [source.fetch(0, np.random.default_rng(seed))[2]["told"] for seed in range(20)]  # type: ignore[misc]
    assert {one.shape for one in drawn} == {(64, len(given.columns))}
    assert any(one.any() for one in drawn)
    column = given.view.names.index("given_0")
    told = next(teller.draw(0, np.random.default_rng(seed)) for seed, one in enumerate(drawn) if one[:, column].any())
    plain, moved = (given.told(told, tables, shift - tables.lowest)["told"][:, column] for shift in (0, 1))
    pitches = (plain > 0) & (plain < 129)
    if pitches.any() and tables.lowest < 1 <= split.shifts.max():
        assert (moved[pitches] == plain[pitches] + 1).all()


def test_its_sample_reaches_tensorboard(folder: Path) -> None:
    (events,) = (folder / "run" / "tensorboard").iterdir()
    assert b"audio/wav" in events.read_bytes()


def test_its_bundle_is_of_few_bits_and_can_be_trained_further(folder: Path) -> None:
    bundle = open_bundle(folder / "bundle")
    assert {"step.onnx", "encoder.safetensors"} < set(bundle.settings["files"])
    assert "weights.safetensors" not in bundle.settings["files"]
    base = base_of(str(folder / "bundle"), bundle.tokenizer)
    assert sum(weight.size for weight in base.weights.values()) == bundle.settings["parameters"]
    assert not base.new


def test_it_composes_around_what_is_given(folder: Path) -> None:
    composer = melody.load(folder / "bundle")
    song = tune(3)
    (first,), (again,) = (composer.compose(song, fill=(2, 3), seed=7, best_of=1) for _ in range(2))
    assert first.to_midi() == again.to_midi()
    lines = melody.music.score.bars(first.score)  # what is told changes nothing outside the gap
    for part in ((0, 1), (3, len(lines) - 1)):
        kept, as_it_was = (melody.music.score.clip(score, *part) for score in (first.score, song))
        assert [list(map(str, track.notes)) for track in kept.tracks] == [
            list(map(str, track.notes)) for track in as_it_was.tracks
        ]
    (beam,) = composer.compose(song, bars=1, seed=1, beam_width=2)
    assert beam.notes >= 0


def test_an_engine_starts_from_what_its_readers_are_told(folder: Path) -> None:
    bundle = open_bundle(folder / "bundle")
    engine, tokenizer = open_engine(bundle), bundle.tokenizer
    table = Conditions(200, tokenizer.voices)
    table.tell("chord", 5, 48)
    told, untold = (tokenizer.reader(Plan(foreseen=one)) for one in (table, None))
    carry = start_for(engine, [told, untold])
    alone, empty = start_for(engine, [told]), engine.start(1)
    for part, one, other in zip(carry, alone, empty, strict=True):
        assert all(np.array_equal(row, own) for row, own in zip(part, [*one, *other], strict=True))
    assert not np.array_equal(alone[0], empty[0])
