"""Learn mine: weights that start from a base, a run that keeps the best, and what a musician gets to read."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from symusic import Track

pytest.importorskip("torch")

import torch
from support.tiny_bundle import VOICES, tiny_files, tiny_weights, write_bundle
from support.tunes import tune

import melody
from melody.bundle import TrackInfo, open_bundle
from melody.cli import run
from melody.corpus import TokenStore
from melody.learning import fine_tune
from melody.learning.base import base_of
from melody.learning.finetune import on_tracks_of, prepare_store
from melody.models import build
from melody.music.drumkit import HIT
from melody.music.quantize import quantize
from melody.music.score import Notes, Score, notes_of, set_notes
from melody.tokens import EventTokenizer
from melody.training import Base, evaluate, load_best
from melody.training.checkpoint import load_newest

WANTED = [TrackInfo(*voice) for voice in VOICES]
QUICK = [
    "precision=32-true",
    "threads=1",
    "tensorboard=false",
    "max_passes=3",
    "optimizer.learning_rate=0.02",
    "evaluation.every=1",
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle and a folder of music."""
    folder = tmp_path_factory.mktemp("workshop")
    write_bundle(folder / "tiny")
    for seed in range(16):
        melody.write(tune(seed), folder / "mine" / f"{seed}.mid")
    return folder


@pytest.fixture
def inside(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with a place of its own for what comes out."""
    monkeypatch.chdir(tmp_path)
    return workshop


def tuned(workshop: Path, *overrides: str, **options: Any) -> Any:
    return fine_tune(workshop / "mine", str(workshop / "tiny"), overrides=[*QUICK, *overrides], **options)


def nats_of_base(workshop: Path, store: TokenStore) -> float:
    """Cost of the base's weights, as its bundle has them, on the valid split."""
    from melody.corpus import AugmentedSource, shift_tables

    options = dict(open_bundle(workshop / "tiny").settings["model"])
    tokenizer = EventTokenizer()
    base = base_of(str(workshop / "tiny"), tokenizer)
    model = build(
        options.pop("name"), len(tokenizer.vocabulary), [channel.size for channel in tokenizer.channels], **options
    )
    model.load_state_dict({name: torch.from_numpy(weight).float() for name, weight in base.weights.items()})
    split = store.split("valid")
    found = evaluate(model, AugmentedSource(split, shift_tables(tokenizer, split), transpose=False))
    assert found is not None
    return found.nats_per_note


def evaluations(folder: Path) -> list[dict[str, str]]:
    with (folder / "evaluations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_starts_from_the_base_learns_and_composes(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(inside / "mine"), *QUICK, "--from", str(inside / "tiny"), "--minutes", "5"]) == 0
    out = capsys.readouterr().out
    rows = evaluations(Path("outputs/runs/tiny-mine"))
    before = nats_of_base(inside, TokenStore.open("outputs/stores/tiny-mine"))
    assert [row["step"] for row in rows][:1] == ["0"]
    assert float(rows[0]["nats_per_note"]) == pytest.approx(before, rel=1e-6)
    after = min(float(row["nats_per_note"]) for row in rows)
    assert after < 0.8 * before
    assert f"{before:.4f} nats per note before, {after:.4f} after" in out
    assert "melody compose --model tiny-mine" in out
    bundle = open_bundle("tiny-mine")
    base = bundle.settings["base"]
    weights = open_bundle(inside / "tiny").settings["files"]["weights.safetensors"]
    assert (base["name"], base["sha256"]) == ("tiny", weights)
    assert base["test_nats_per_note"] > bundle.settings["scores"]["test_nats_per_note"]
    card = (bundle.folder / "README.md").read_text()
    assert "High, Low: the model tiny, trained further on 12 pieces of mine." in card
    assert "Random weights" not in card  # what the base says of itself
    assert "- **Base**: `tiny`" in card
    assert f"| its base, tiny | {base['valid_nats_per_note']:.4f} |" in card
    take = melody.load("tiny-mine").compose(bars=2, seed=1)[0]
    assert [track.name for track in take.score.tracks] == ["High", "Low"]


def test_it_goes_on_bit_for_bit(inside: Path) -> None:
    whole = tuned(inside, "name=whole")
    assert tuned(inside, "name=parts", "max_passes=1").training.exit_code == 0
    again = tuned(inside, "name=parts")
    assert again.training.helped
    assert again.training.base_nats_per_note == whole.training.base_nats_per_note
    assert again.training.best_nats_per_note == whole.training.best_nats_per_note
    for name in ("last", "best"):
        one, other = (load_newest(Path("outputs/runs") / run_, name) for run_ in ("whole", "parts"))
        assert one is not None
        assert other is not None
        assert [key for key in one[0] if not torch.equal(one[0][key], other[0][key])] == []
    assert open_bundle("parts").settings["files"]["step.onnx"] == open_bundle("whole").settings["files"]["step.onnx"]


def test_its_minutes_are_all_it_takes(inside: Path) -> None:
    result = tuned(inside, "max_passes=1000", "evaluation.patience=null", minutes=0.02)
    assert result.training.stopped == "max_minutes"
    seconds = float(evaluations(result.run)[-1]["seconds"])
    assert 1.2 <= seconds < 4  # a step and an evaluation come on top
    steps = load_newest(result.run, "last")[1]["progress"]["step"]  # type: ignore[index]
    assert tuned(inside, "max_passes=1000", "evaluation.patience=null", minutes=0.02).training.stopped == "max_minutes"
    assert load_newest(result.run, "last")[1]["progress"]["step"] == steps  # type: ignore[index]


def test_what_does_not_help_leaves_the_base(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harm = ["optimizer.learning_rate=30", "optimizer.warmup_steps=0", "evaluation.patience=2", "max_passes=9"]
    arguments = ["train", str(inside / "mine"), *QUICK, *harm, "--from", str(inside / "tiny")]
    assert run(arguments) == 0
    assert re.search(r"on 2 held-out pieces: tiny \w+ the better model", capsys.readouterr().out)
    folder = Path("outputs/runs/tiny-mine")
    rows = evaluations(folder)
    assert len(rows) == 3  # the base, and two that were no better
    weights, info = load_best(folder)
    assert info["valid"]["nats_per_note"] == float(rows[0]["nats_per_note"]) == info["base_nats_per_note"]
    base = tiny_weights()
    assert all(np.array_equal(weights[name].numpy(), base[name].astype(np.float32)) for name in weights)
    assert not Path("outputs/bundles").exists()


def test_a_run_has_one_base(inside: Path, tmp_path: Path) -> None:
    tuned(inside, "max_passes=1")
    shutil.copytree(inside / "mine", tmp_path / "mine")
    write_bundle(tmp_path / "tiny", tiny_files(tiny_weights(seed=1)))
    with pytest.raises(melody.ConfigError, match=r"outputs/runs/tiny-mine: its run has base = \w+, the configuration"):
        tuned(tmp_path)


def test_a_bundle_that_is_there_is_not_replaced(inside: Path) -> None:
    write_bundle(Path("outputs/bundles/tiny-mine"))
    with pytest.raises(melody.MelodyError, match="outputs/bundles/tiny-mine"):
        tuned(inside)
    assert not Path("outputs/runs").exists()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["train", *arguments, *QUICK]) in (1, 2)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "Traceback" not in message
    return message


def test_too_little_and_other_tracks_are_refused(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, drums = tmp_path / "few", tmp_path / "drums"
    for seed in range(4):
        melody.write(tune(seed), few / f"{seed}.mid")
    for seed in range(12):
        score = tune(seed)
        hit = Track("Drums", 0, True)
        set_notes(hit, Notes(np.arange(8) * 480, np.full(8, 120), np.full(8, 36), np.full(8, 90)))
        score.tracks.append(hit)
        melody.write(score, drums / f"{seed}.mid")
    base = ["--from", str(inside / "tiny")]
    assert "4 pieces to learn from; 10 or more" in refused(capsys, str(few), *base)
    assert "12 other tracks than those of tiny; tiny writes High, Low" in refused(capsys, str(drums), *base)
    assert "no model 'chorla'" in refused(capsys, str(few), "--from", "chorla")
    assert "neither a folder" in refused(capsys, str(tmp_path / "nothing"), *base)
    assert "name: string should match" in refused(capsys, str(few), "name=../up", *base)
    assert "write base=chorale" in refused(capsys, "configs/folk.yaml", "--from", "chorale")
    assert not Path("outputs/stores").exists()


def test_training_without_torch_is_one_line(
    inside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("melody.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    message = refused(capsys, str(inside / "mine"), "--from", str(inside / "tiny"))
    assert "training needs lightning_fabric: pip install 'melody[train]'" in message


def test_a_base_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    from support.counting import Counting, configuration

    from melody.training import train

    weights = {"embedding.weight": np.zeros((11, 16), np.float16)}
    with pytest.raises(melody.ConfigError, match="other: its weights do not fit"):
        train(
            configuration(),
            Counting([9, 8]),
            Counting([7], augment=False),
            11,
            [4],
            tmp_path,
            base=Base("other", "0", weights),
        )


def two_tracks(low_first: bool) -> Score:
    score = quantize(tune(3))
    if low_first:
        score.tracks = [score.tracks[1], score.tracks[0]]
    return score


def test_pieces_go_to_the_tracks_of_the_base(inside: Path) -> None:
    for low_first in (False, True):
        placed = on_tracks_of(two_tracks(low_first), WANTED)
        assert placed is not None
        assert [notes_of(track).pitch.mean() > 60 for track in placed.tracks] == [True, False]
    alone = two_tracks(low_first=False)
    alone.tracks = [alone.tracks[1]]
    placed = on_tracks_of(alone, WANTED)
    assert placed is not None
    assert [len(track.notes) for track in placed.tracks] == [0, 24]
    crowd = two_tracks(low_first=False)
    crowd.tracks = [*crowd.tracks, crowd.tracks[0].copy()]
    assert on_tracks_of(crowd, WANTED) is None


def groove(seed: int) -> Score:
    """A kit on three tracks, with lengths and second sounds of its own."""
    generator = np.random.default_rng(seed)
    score = Score(480)
    for name, drum in (("Kick", 35), ("Snare", 40), ("Hats", 42)):
        onset = np.sort(generator.choice(32, 16, replace=False)) * 240
        columns = (onset, np.full(16, 200 + drum), np.full(16, drum), np.full(16, 90))
        score.tracks.append(Track(name, 0, True))
        set_notes(score.tracks[-1], Notes(*(column.astype(np.int64) for column in columns)))
    return score


def test_a_folder_of_drums_becomes_hits_for_a_model_of_hits(tmp_path: Path) -> None:
    for seed in range(12):
        melody.write(groove(seed), tmp_path / "mine" / f"{seed}.mid")
    store = prepare_store(tmp_path / "mine", open_bundle("drums"), tmp_path / "store")
    split = store.split("train")
    for number in range(len(split)):
        score = EventTokenizer().decode(split.piece(number)[0])
        notes = notes_of(score.tracks[0])
        assert len(score.tracks) == 1
        assert len(notes.onset) == 48
        assert set(notes.duration.tolist()) == {HIT}
        assert set(notes.pitch.tolist()) == {36, 38, 42}
    counts = np.array(json.loads((open_bundle("drums").folder / "vocabulary.json").read_text())["counts"])
    assert (counts[np.unique(split.ids)] > 0).all()  # nothing that the base never saw


def test_drums_keep_their_lengths_for_a_model_that_knows_lengths() -> None:
    wanted = open_bundle("drums").tracks
    as_they_are, as_hits = (on_tracks_of(quantize(groove(0)), wanted, hits) for hits in (False, True))
    assert as_they_are is not None
    assert as_hits is not None
    assert 40 in notes_of(as_they_are.tracks[0]).pitch
    assert notes_of(as_they_are.tracks[0]).duration.max() > HIT
    assert set(notes_of(as_hits.tracks[0]).duration.tolist()) == {HIT}


def test_the_store_holds_out_whole_pieces(inside: Path) -> None:
    store = prepare_store(inside / "mine", open_bundle(inside / "tiny"), Path("store"))
    names = [name for split in ("train", "valid", "test") for name in store.split(split).names]
    assert sorted(names) == sorted(f"{seed}.mid" for seed in range(16))
    assert [len(store.split(split)) for split in ("valid", "test")] == [2, 2]
    ids = store.split("train").piece(0)[0]
    assert len(EventTokenizer().decode(ids).tracks) == 2


def test_a_base_is_known_by_the_file_that_holds_its_weights(tmp_path: Path) -> None:
    files = {name: data for name, data in tiny_files().items() if name != "weights.safetensors"}
    bare, older = write_bundle(tmp_path / "bare", files), write_bundle(tmp_path / "older")
    for folder, name in ((bare, "step.onnx"), (older, "weights.safetensors")):
        base = base_of(str(folder), EventTokenizer())
        assert base.sha256 == open_bundle(folder).settings["files"][name]
        assert sum(weight.size for weight in base.weights.values()) == sum(w.size for w in tiny_weights().values())
