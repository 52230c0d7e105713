"""The models that the studio offers: those that can be read, looked at again where a file has changed."""

from pathlib import Path

import pytest

from melody.bundle import bundle as bundles_here
from melody.studio.composing import bundles


def test_a_model_whose_file_leads_nowhere_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "folk" in bundles()
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "bundle.json").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(bundles_here, "LOCAL", tmp_path)
    assert "folk" in bundles()
    assert "gone" not in bundles()
