"""What `melody evaluate` finds goes onto the card of a model, and what somebody wrote below stays."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from melody.bundle import bundle as bundles
from melody.evaluation.evaluate import CountFigure, Evaluation
from melody.evaluation.likelihood import Likelihood
from melody.learning import card

CORPUS = {"name": "band", "splits": {"train": {"pieces": 3, "notes": 1000}}}


def test_a_card_is_renewed_and_keeps_what_was_written_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "band"
    shutil.copytree(bundles.SHIPPED / "band", folder)
    monkeypatch.setattr(card, "open_store", lambda corpus: SimpleNamespace(info=CORPUS))
    likelihood = Likelihood(21, 100, 300, 250.0, 260.0)
    chords = {"untold": 2.5, "told": 2.25, "plan": 0.125}
    found = Evaluation(
        "band", "test", 0, 16, 0, likelihood, CountFigure(9.5, 2), [], [], None, form=None, feel=None, chords=chords
    )
    before = (folder / card.CARD).read_text(encoding="utf-8")
    path = card.renew_card(folder, found)
    text = path.read_text(encoding="utf-8")
    assert "| 2.5000 |" in text
    assert "without shared harmony 2.5000, with that of each piece 2.2500; the chords themselves cost 0.1250" in text
    written = before[before.index("## What still gives it away") :]
    assert text.endswith(written)
    assert text.count("## What follows a primer") == 1  # figures that were not asked for stay
    settings = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    assert settings["chords_told"] == chords
    card.renew_card(folder, replace(found, split="valid"))
    assert json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["scores"]["valid_nats_per_note"] == 2.5
    assert path.read_text(encoding="utf-8").count("## What still gives it away") == 1
