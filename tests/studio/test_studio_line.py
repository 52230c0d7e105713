"""A line that is drawn in the page, by pointer and by keys, and the tunes that rise and fall along it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import PROGRAM, Browser
from support.studio_page import SHOWN, composed, drag, drop, seen

import melody

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: nothing can show that the page works"),
]
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36, "Delete": 46}
CONTOURS = "studio.takes.takes.map((take) => take.told.settings.contour)"
POINTS = 16


def press(browser: Browser, name: str, times: int = 1) -> None:
    for _ in range(times):
        browser.press(name, name, KEYS[name])


def stroke(browser: Browser, within: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw with the mouse between two places, shares of the paper's width and height."""
    paper = f"document.querySelector('{within} .paper')"
    x, y, wide, tall = browser.evaluate(
        f"(() => {{ {paper}.scrollIntoView({{ block: 'center' }}); const b = {paper}.getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    drag(browser, *((x + a * wide, y + b * tall) for a, b in (start, end)))


def slopes(browser: Browser) -> list[float]:
    """Semitones by which the new tune of each take rises from its first half to its second."""
    scores: list[dict[str, Any]] = browser.evaluate("studio.takes.takes.map((take) => take.score)")
    result = []
    for score in scores:
        first = score["take"]["first_new_tick"]
        onset, pitch = np.array([[n[0], n[2]] for track in score["tracks"] for n in track["notes"] if n[0] >= first]).T
        behind = onset >= (first + score["bars"][-1]) / 2
        result.append(float(pitch[behind].mean() - pitch[~behind].mean()))
    return result


def test_a_new_tune_follows_a_line_that_is_drawn(page: tuple[Browser, str, list[str]]) -> None:
    browser, _, _ = page
    stroke(browser, "#start", (0.02, 0.95), (0.98, 0.05))
    seen(browser, "line-drawn")
    browser.evaluate("document.querySelector('.way.wide .strong').click()")
    composed(browser)
    rising = browser.evaluate(CONTOURS)
    assert len(rising) == 4
    assert len(rising[0]) == POINTS
    assert (np.diff(rising[0]) > 0).all()
    rises = slopes(browser)

    browser.evaluate("(studio.showTake(0), studio.keep(1))")
    browser.wait(f"{SHOWN} && studio.session && studio.session.at === 1")
    browser.evaluate("studio.compose.choose('continue')")
    stroke(browser, "#compose", (0.02, 0.05), (0.98, 0.95))
    seen(browser, "line-beside")
    browser.evaluate("void studio.quietly(studio.go())")
    composed(browser)
    assert (np.diff(browser.evaluate(CONTOURS)[0]) < 0).all()
    assert browser.evaluate("studio.takes.takes[0].did") == "+ 8 bars, along a line"
    falls = slopes(browser)
    assert np.mean(rises) > np.mean(falls) + 2, (rises, falls)


def test_a_line_is_drawn_and_rubbed_out_by_keys(page: tuple[Browser, str, list[str]], tmp_path: Path) -> None:
    browser, _, _ = page
    melody.write(melody.load("folk").compose(bars=4, seed=1)[0].score, tmp_path / "tune.mid")
    drop(browser, tmp_path / "tune.mid")
    browser.wait(SHOWN)
    at = browser.evaluate("studio.sound.now")
    browser.evaluate("document.querySelector('#compose .paper').focus()")
    press(browser, "ArrowDown", 5)
    said = "document.querySelector('#said').textContent"
    assert browser.evaluate(said) == "Point 1 of 16: 5 semitones below the middle"
    press(browser, "End")
    assert browser.evaluate(said) == "Point 16 of 16: 5 semitones below the middle"
    press(browser, "ArrowUp", 10)
    assert browser.evaluate(said) == "Point 16 of 16: 5 semitones above the middle"
    assert browser.evaluate("studio.compose.request().body.settings.contour") == [
        round(-5 + 10 * point / 15, 1) for point in range(POINTS)
    ]
    press(browser, "Delete")  # this point follows the others again
    assert browser.evaluate("studio.compose.request().body.settings.contour") == [-5] * POINTS
    assert browser.evaluate("[studio.sound.now, studio.roll.selection, studio.session.at]") == [at, None, 1]
    browser.press("Tab", "Tab", 9)
    browser.press(" ", "Space", 32)
    assert browser.evaluate(said) == "The line is gone."
    assert browser.evaluate("'contour' in studio.compose.request().body.settings") is False
    assert browser.evaluate("document.activeElement.className") == "paper"
