"""Fixtures of pages."""

import pytest
from support.pages import HOSTILE, duo, panel

from melody.errors import MelodyError
from melody.render import player
from melody.render.player import Figure, page


@pytest.fixture
def no_synthesizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where none is installed; sound takes most of a page's time."""

    def fails(*_: object) -> None:
        raise MelodyError("no synthesizer works here")

    monkeypatch.setattr(player, "sound_of", fails)


@pytest.fixture(scope="module")
def duo_page() -> str:
    panels = [panel(duo(name=HOSTILE), HOSTILE), panel(duo(), "second", figures=[Figure("key", "E minor", "home")])]
    text, left_out = page(panels, HOSTILE, HOSTILE)
    assert left_out == []
    return text
