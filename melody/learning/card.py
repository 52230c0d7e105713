"""Figures of `melody evaluate` in a bundle's settings and on its card."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melody.bundle import open_bundle
from melody.bundle.model_card import model_card
from melody.corpus import TokenStore, open_store

if TYPE_CHECKING:
    from melody.evaluation.evaluate import Evaluation

CARD = "README.md"
PARTS = re.compile(r"^(?=## )", re.MULTILINE)


def add_figures(settings: dict[str, Any], found: "Evaluation") -> None:
    """Put figures into a bundle's settings; those that were not asked for stay as they were."""
    settings["scores"][f"{found.split}_nats_per_note"] = found.likelihood.nats_per_note
    counts = settings.get("count_model", {}) | {found.split: found.count_model.nats_per_note}
    settings["count_model"] = counts | {"context": found.count_model.context}
    if found.split != "test":
        return
    if found.chords is not None:
        settings["chords_told"] = found.chords
    if found.music is not None:
        settings["statistics"], settings["samples"] = found.statistics, found.samples
    if found.form is not None:
        settings["continuations"] = found.form.to_dict()
    if found.feel is not None:
        settings["feel"] |= found.feel.in_short


def write_card(folder: Path, settings: dict[str, Any], store: TokenStore) -> None:
    """Write settings and card of a bundle; sections that somebody wrote below the card's own ones stay."""
    (folder / "bundle.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    path, card = folder / CARD, model_card(settings, store.info)
    own = {part.splitlines()[0] for part in PARTS.split(card)[1:]}
    written = PARTS.split(path.read_text(encoding="utf-8"))[1:] if path.is_file() else []
    kept = [part for part in written if part.splitlines()[0] not in own]
    path.write_text("".join([card, *(f"\n{part}" for part in kept)]), encoding="utf-8")


def renew_card(model: str | Path, found: "Evaluation") -> Path:
    """Put what was found of a bundle, with the default settings, on its card; return the path of that."""
    bundle = open_bundle(model)
    settings = dict(bundle.settings)
    add_figures(settings, found)
    write_card(bundle.folder, settings, open_store(settings.get("corpus", "")))
    return bundle.folder / CARD
