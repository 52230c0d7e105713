"""The page that plays, in a browser, where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import PROGRAM, Browser, chromium, hosts_of
from support.ears import SPY
from support.pages import HOSTILE, duo, panel

from melody.render import player
from melody.render.player import write_page

PLAYING = "document.querySelectorAll('.take')[{}].classList.contains('playing')"
NOW = "document.querySelectorAll('.now')[0].textContent"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, list[str], Path]]:
    """A browser without a network, on a page of two takes of eight seconds."""
    if PROGRAM is None:
        pytest.skip("no Chromium here: nothing can show that the page plays")
    folder = tmp_path_factory.mktemp("browser")
    write_page([panel(duo(16, HOSTILE), HOSTILE), panel(duo(16), "second")], folder / "page.html")
    with chromium(folder) as (browser, requests):
        browser.before_scripts(SPY)
        browser.open(folder / "page.html")
        yield browser, requests, folder


@pytest.fixture
def browser(opened: tuple[Browser, list[str], Path]) -> Browser:
    """The page as if just opened."""
    browser, _, folder = opened
    browser.open(folder / "page.html")
    return browser


def heard(channel: int, at_least: float) -> str:
    return f"loudness().length && loudness()[{channel}] >= {at_least}"


def silent(channel: int) -> str:
    return f"loudness()[{channel}] < 0.02"


def test_it_plays_and_mutes_and_solos(browser: Browser) -> None:
    browser.click(".play")
    browser.wait(heard(0, 0.05))
    browser.wait(heard(1, 0.05))
    assert browser.evaluate("decoded") == pytest.approx([9.0, 9.0], abs=0.06)
    assert browser.evaluate("document.querySelectorAll('.sounds').length") > 0
    browser.click("[data-track='0'] .mute")
    browser.wait(silent(0))
    assert browser.evaluate(heard(1, 0.05))
    browser.click("[data-track='0'] .solo")  # beats mute
    browser.wait(f"{heard(0, 0.05)} && {silent(1)}")
    assert browser.evaluate("document.querySelector('[data-track=\"0\"] .solo').getAttribute('aria-pressed')") == "true"
    browser.click("[data-track='0'] .solo")
    browser.click("[data-track='1'] .mute")
    browser.wait(f"{silent(0)} && {silent(1)}")


def test_a_click_on_the_roll_seeks_and_the_cursor_goes_on(browser: Browser) -> None:
    browser.click(".system", 0.75)
    assert browser.evaluate(NOW) in ("0:05", "0:06")
    left = "Number.parseFloat(document.querySelector('.cursor.here').style.left)"
    before = browser.evaluate(left)
    assert before == pytest.approx(75, abs=1)
    browser.click(".play")
    browser.wait(f"{left} > {before} + 1")
    browser.wait(f"!{PLAYING.format(0)}")  # it ends by itself
    assert browser.evaluate(NOW) == "0:00"


def test_keys(browser: Browser) -> None:
    browser.press(" ", "Space", 32)
    browser.wait(PLAYING.format(0))
    browser.press("2", "Digit2", 50)
    browser.wait(f"{PLAYING.format(1)} && !{PLAYING.format(0)}")
    browser.press(" ", "Space", 32)
    browser.wait(f"!{PLAYING.format(1)}")
    browser.evaluate("document.querySelector('.roll').focus()")
    browser.press("ArrowRight", "ArrowRight", 39)
    assert browser.evaluate("document.querySelector('.roll').getAttribute('aria-valuetext')") == "bar 2 of 4, 0:02"


def test_nothing_leaves_and_nothing_strange_runs(opened: tuple[Browser, list[str], Path]) -> None:
    """Requests that script tries are refused by the page's policy; without it the proxy sees them."""
    browser, requests, folder = opened
    attempts = """(async () => {
      const image = new Image(); image.src = 'http://HOST/image.png';
      const script = document.createElement('script'); script.textContent = 'window.ran = true';
      document.body.append(image, script);
      await fetch('http://HOST/fetch').catch(() => {});
      return window.ran === true;
    })()"""
    (folder / "control.html").write_text("<!doctype html><body>")
    browser.open(folder / "control.html")
    assert browser.evaluate(attempts.replace("HOST", "control.invalid"))
    browser.events.clear()
    browser.open(folder / "page.html")
    browser.click(".play")
    browser.wait(PLAYING.format(0))
    urls = {e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"}
    assert urls == {(folder / "page.html").as_uri()}
    assert browser.evaluate("window.hacked === undefined")
    assert not browser.evaluate(attempts.replace("HOST", "page.invalid"))
    assert any("control.invalid" in request for request in requests)
    assert not any("page.invalid" in request for request in requests)
    assert "control.invalid" in hosts_of(folder / "net.json")
    assert "page.invalid" not in hosts_of(folder / "net.json")


def test_a_notebook_of_two_cells_plays(opened: tuple[Browser, list[str], Path]) -> None:
    browser, _, folder = opened
    cells = "".join(player.notebook(panel(duo(2), name)) for name in ("one", "two"))
    (folder / "notebook.html").write_text(f"<!doctype html><body>{cells}", encoding="utf-8")
    browser.open(folder / "notebook.html")
    first, second = browser.frames()
    playing = "document.querySelector('.take').classList.contains('playing')"
    browser.evaluate("document.querySelector('.play').click()", second)
    browser.wait(playing, second)
    assert not browser.evaluate(playing, first)
