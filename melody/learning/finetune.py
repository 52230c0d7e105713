"""Learn mine: a finished model, trained further on a folder of someone's own music, in minutes on a laptop.

The pieces are put on the tracks of the base, as `melody compose` does with a primer, and split by clusters of versions
anew, a tenth each for valid and test. The rate is low and constant, as the averaged weights do what a cosine would; the
base's own nats on valid are measured first, so that what is kept is never worse than the base.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from symusic import Track

from melody.bundle import LOCAL, Bundle, TrackInfo, open_bundle
from melody.config import TrainConfig, changed, check_config
from melody.corpus import TokenStore, prepare
from melody.corpus.duplicates import clusters, draw_split, interval_grams
from melody.corpus.pieces import READER
from melody.corpus.store import StoredPiece, write_store
from melody.errors import MelodyError
from melody.generation.primer.assignment import place_lines
from melody.generation.primer.kit import as_one_track, kit_for
from melody.generation.primer.primer_view import Seen, sounding
from melody.learning.configuration import plain_name
from melody.learning.export import export_run, refuse_bundle
from melody.learning.train import RUNS, check_torch, train_run
from melody.music.drumkit import as_hits, folded
from melody.music.quantize import as_written
from melody.music.score import GRID, Score, note_count, set_notes
from melody.tokens import EventTokenizer

if TYPE_CHECKING:
    from melody.training import TrainResult

STORES = Path("outputs/stores")
HELD_OUT = 0.1  # of the pieces, each for valid and for test
LEAST_PIECES = 10
NGRAM = 6  # as for any folder
STEPS_BETWEEN_EVALUATIONS = 25  # or more
MOST_LANES = 32
GENTLY: dict[str, Any] = {
    "optimizer": {"learning_rate": 5e-4, "warmup_steps": 20, "floor": 1.0},
    "ema_decay": 0.98,
    "max_passes": 1000,
    "checkpoint_minutes": 2.0,
}


@dataclass(frozen=True)
class FineTuned:
    """Result of fine-tuning."""

    base: str
    run: Path
    pieces: dict[str, int]  # by split
    left_out: dict[str, int]  # by reason
    training: "TrainResult"
    bundle: Bundle | None  # None where nothing was better than the base, or it was interrupted


def fine_tune(
    music: Path,
    base: str,
    *,
    minutes: float = 20.0,
    overrides: Sequence[str] = (),
    run: Path | None = None,
) -> FineTuned:
    """Train a model further on a folder or archive of music; a run that was stopped goes on.

    It is called BASE-FOLDER, unless an override says ``name=...``, and leaves a store, a run and a bundle of that name
    in ``outputs/``. Raises `MelodyError` where there is too little to learn from or a bundle of that name is there.
    """
    check_torch()
    known = open_bundle(base)
    known.read(known.weights_file)
    name = _name(known, music, overrides)
    run, target = run or RUNS / name, LOCAL / name
    if not (run / "last.safetensors").exists():
        refuse_bundle(target, force=False)
    if not (STORES / name / "store.json").is_file():
        prepare_store(music, known, STORES / name)
    store = TokenStore.open(STORES / name)
    training = train_run(config_of(known, base, name, store, plain_name(music.resolve().name), minutes, overrides), run)
    worth = training.helped and training.is_first and not training.interrupted
    return FineTuned(
        base=known.name,
        run=run,
        pieces={split: counts["pieces"] for split, counts in store.info["splits"].items()},
        left_out=store.info["report"]["reasons"],
        training=training,
        bundle=open_bundle(export_run(run, target, samples=0, force=True)) if worth else None,
    )


def _name(base: Bundle, music: Path, overrides: Sequence[str]) -> str:
    given = [change.removeprefix("name=") for change in overrides if change.startswith("name=")]
    own = music.resolve().name if music.is_dir() else music.name.split(".", 1)[0]
    name = given[-1] if given else re.sub(r"[^\w.-]+", "-", f"{base.name}-{own}")
    return check_config({"name": name, "corpus": ""}, name).name  # before it names folders


def config_of(
    base: Bundle, reference: str, name: str, store: TokenStore, music: str, minutes: float, overrides: Sequence[str]
) -> TrainConfig:
    """Return a gentle configuration for a store: the base's model, and lanes and evaluations as its size suggests."""
    train = store.info["splits"]["train"]
    tracks = ", ".join(track.name for track in base.tracks)
    lanes = max(4, min(MOST_LANES, 2 ** ((train["pieces"] // 2).bit_length() - 1)))
    window = 128
    passes = max(1, round(STEPS_BETWEEN_EVALUATIONS * lanes * window / train["tokens"]))
    values = GENTLY | {
        "name": name,
        "corpus": str(store.folder),
        "base": reference,
        "description": f"{tracks}: the model {base.name}, trained further on {train['pieces']} pieces of {music}.",
        "licence": f"fill in that of the music it learned from, {music}; that of the base {base.name} holds too",
        "tempo_qpm": base.tempo_qpm,
        "track_names": [track.name for track in base.tracks],
        "track_roles": [track.role for track in base.tracks if track.role],
        "style_rules": base.style_rules,
        "model": dict(base.settings["model"]),
        "data": {"batch_size": lanes, "window": window, "plan_dropout": 0.15, "channels": base.channels},
        "evaluation": {"every": passes, "patience": 6},
        "max_minutes": minutes,
    }
    return check_config(changed(values, overrides, name), name)


# ---- the pieces -----------------------------------------------------------------------------------------------------


def prepare_store(music: Path, base: Bundle, out: Path, least: int = LEAST_PIECES) -> TokenStore:
    """Read music into a store whose pieces have the tracks of a base. Raises `MelodyError` where they are too few."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = prepare(music, Path(folder) / "store")
        store = TokenStore.open(report.folder)
        read = [piece for split in store.splits for piece in _pieces(store, split)]
    hits = Seen(base).hits_alone
    fitted = {name: (on_tracks_of(score, base.tracks, hits), shifts) for name, score, shifts in read}
    scores = {name: (score, shifts) for name, (score, shifts) in fitted.items() if score is not None}
    misfits = {f"other tracks than those of {base.name}": len(read) - len(scores)}
    if len(scores) < least:
        raise MelodyError(_too_few(music, base, len(scores), least, report.reasons | misfits))
    labels = clusters([interval_grams(score, NGRAM) for score, _ in scores.values()])
    splits: dict[str, list[StoredPiece]] = {"train": [], "valid": [], "test": []}
    for (name, (score, shifts)), split in zip(scores.items(), draw_split(labels, 0, HELD_OUT), strict=True):
        splits[split].append(_stored(name, score, shifts))
    if not (splits["valid"] and splits["test"]):
        raise MelodyError(
            f"{music}: its pieces are versions of one or two tunes, so that none can be held out; add others"
        )
    reasons = {reason: count for reason, count in (report.reasons | misfits).items() if count}
    return write_store(out, out.name, EventTokenizer(), splits, report.to_dict() | {"reasons": reasons})


def _pieces(store: TokenStore, name: str) -> list[tuple[str, Score, tuple[int, int]]]:
    split, tokenizer = store.split(name), EventTokenizer()
    shifts = [(int(least), int(greatest)) for least, greatest in split.shifts]
    return [(own, tokenizer.decode(split.piece(i)[0]), shifts[i]) for i, own in enumerate(split.names)]


def on_tracks_of(score: Score, wanted: Sequence[TrackInfo], hits: bool = False) -> Score | None:
    """A quantised score on a model's tracks; None where the model has no place for one of its tracks.

    Played rhythms are those that were meant, as in a primer's view. A kit on several tracks is one; with `hits` its
    notes are hits, as a base has them that learned hits alone.
    """
    score = as_written(score)
    score = as_one_track(score, kit_for(score, wanted))
    placed = place_lines(score.tracks, wanted)
    if {line.track for line in placed.values()} != set(sounding(score)):
        return None
    result = Score(GRID)
    for events in ("time_signatures", "key_signatures", "tempos"):
        setattr(result, events, getattr(score, events))
    for place, info in enumerate(wanted):
        result.tracks.append(Track("", 0 if info.drums else info.program, info.drums))
        if place in placed:
            notes = placed[place].notes
            if info.drums and hits:
                notes = as_hits(notes._replace(pitch=folded(notes.pitch)))
            set_notes(result.tracks[-1], notes)
    return result


def _stored(name: str, score: Score, shifts: tuple[int, int]) -> StoredPiece:
    ids = READER.spell(score)
    return StoredPiece(name, ids.astype(np.uint16), READER.context(ids), note_count(score), shifts)


def _too_few(music: Path, base: Bundle, count: int, least: int, reasons: Mapping[str, int]) -> str:
    lost = ", ".join(f"{number} {reason}" for reason, number in reasons.items() if number)
    tracks = ", ".join(track.name for track in base.tracks)
    return f"{music}: {count} pieces to learn from; {least} or more are wanted" + (
        f" (left out: {lost}; {base.name} writes {tracks})" if lost else ""
    )
