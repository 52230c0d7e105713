"""The pictures of the studio in the gallery, made again where MELODY_PICTURES names a folder.

    MELODY_PICTURES=outputs/gallery pytest tests/studio/test_studio_pictures.py -m slow

A chorale from nothing, a corner of it tried, the other way taken, and two voices of four bars composed anew.
"""

import time
from pathlib import Path

import pytest
from support.browser import PROGRAM, Browser
from support.studio_page import HEARD, PICTURES, composed, key

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROGRAM is None or not PICTURES, reason="no Chromium, or no MELODY_PICTURES: nothing to paint"),
]
BEGIN = "studio.run({ model: 'chorale', settings: { bars: 8, key: 'D minor' }, takes: 4, seed: 11 }, 'from nothing')"


def kept(browser: Browser, number: int, state: int) -> None:
    composed(browser)
    browser.evaluate(f"studio.keep({number})")
    browser.wait(f"studio.session && studio.session.at === {state}")


def select(browser: Browser, first: int, last: int, *tracks: int) -> None:
    browser.evaluate(f"studio.select({{ from: {first}, to: {last}, tracks: new Set({list(tracks)}) }})")


def test_the_pictures_of_the_gallery(page: tuple[Browser, str, list[str]]) -> None:
    browser, _, _ = page
    folder = Path(PICTURES or "")
    browser.evaluate(f"(document.body.classList.remove('empty'), void {BEGIN})")
    kept(browser, 1, 1)
    browser.evaluate("studio.change('PATCH', '', { name: 'Chorale in D' })")
    browser.evaluate("studio.compose.values.seed = '5'")
    select(browser, 2, 4, 1)
    key(browser, "g")
    kept(browser, 2, 2)
    browser.evaluate("studio.goTo(1)")
    browser.evaluate("studio.select(null)")
    key(browser, "g")
    kept(browser, 1, 3)
    browser.evaluate("studio.roll.fit()")
    select(browser, 8, 12, 0, 1)
    key(browser, "g")
    composed(browser)
    browser.evaluate("Promise.all(studio.takes.takes.map((take) => studio.sound.ready(take.score)))")
    browser.evaluate("studio.seek(studio.shown.bars[8] + 2 * studio.shown.tpq)")
    browser.evaluate("studio.showTake(2, true)")
    browser.wait(HEARD)
    browser.wait("studio.sound.now > studio.shown.secondAt(studio.shown.bars[9])")
    browser.press(" ", "Space", 32)
    for name, scheme in (("studio", "light"), ("studio-dark", "dark")):
        browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(0.5)
        browser.picture(folder / f"{name}.png")
    browser.size(390, 844, mobile=True, scale=2)
    browser.evaluate("studio.roll.revealBars(8, 12)")
    time.sleep(0.5)
    browser.picture(folder / "studio-phone.png")
