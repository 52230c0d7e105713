"""What can be asked for in the page, each asked once; states that are named and compared; where the focus is."""

import time
from pathlib import Path
from typing import Any

import pytest
from support.browser import PROGRAM, Browser
from support.studio_page import SHOWN, drop, key, mouse

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: nothing can show that the page works"),
]
BASS = "studio.base.tracks[1].notes"


def takes(browser: Browser, action: str, selection: str, before: str = "0") -> list[dict[str, Any]]:
    """The takes of an action, of which there are two."""
    browser.evaluate("(studio.showTake(0), studio.takes.clear(), studio.compose.values.takes = 2, 0)")
    browser.evaluate(f"(studio.select({selection}), studio.compose.choose('{action}'), {before}, 0)")
    browser.evaluate("void studio.quietly(studio.go())")
    return come(browser)


def come(browser: Browser, number: int = 2) -> list[dict[str, Any]]:
    told = f"studio.takes.takes.length === {number} && studio.takes.takes.every((take) => take.told)"
    browser.wait(f"!studio.compose.busy && {told}", seconds=240)
    return browser.evaluate("studio.takes.takes.map((take) => take.score)")


def test_each_action_changes_what_it_says_and_nothing_else(
    page: tuple[Browser, str, list[str]], band_file: Path
) -> None:
    browser, _, _ = page
    drop(browser, band_file)
    browser.wait(SHOWN)
    base = browser.evaluate("studio.base.tracks.map((track) => track.notes)")
    line = browser.evaluate("studio.base.bars[1]")

    for score in takes(browser, "vary", "{ from: 1, to: 4, tracks: new Set([2]) }"):
        now = [track["notes"] for track in score["tracks"]]
        assert now[:2] == base[:2]
        assert [note for note in now[2] if note[0] < line] == [note for note in base[2] if note[0] < line]
    browser.evaluate("void studio.quietly(studio.more(studio.takes.takes[1]))")
    for score in come(browser, 4):  # more like this
        assert [track["notes"] for track in score["tracks"]][:2] == base[:2]

    for score in takes(browser, "harmonise", "{ from: 0, to: 4, tracks: new Set([1]) }"):
        assert score["tracks"][1]["notes"] == base[1]  # the bass stays, all else is new around it
        assert len(score["bars"]) == 5
        assert [track["notes"] for track in score["tracks"]] != base

    for score in takes(browser, "add", "null", "studio.compose.set('roles', ['pad'])"):
        assert [track["notes"] for track in score["tracks"]][:3] == base
        assert [track["name"] for track in score["tracks"]][3:] == ["Pad"]

    for score in takes(browser, "keep", "null", "studio.compose.set('kept', 'rhythm')"):
        assert len(score["bars"]) == 5 + 8
        assert [note for note in score["tracks"][1]["notes"] if note[0] < 4 * line] == base[1]


def test_a_gap_is_filled(page: tuple[Browser, str, list[str]], band_file: Path) -> None:
    browser, _, _ = page
    drop(browser, band_file)
    browser.wait(SHOWN)
    gone = f"{BASS}.filter(([at]) => at >= studio.base.bars[1] && at < studio.base.bars[2])"
    browser.evaluate(f"studio.edit({{ track: 1, remove: {gone}, add: [] }}, 'a gap')")
    browser.wait("studio.session.at === 2")
    browser.evaluate("studio.select({ from: 1, to: 2, tracks: new Set([1]) })")
    assert browser.evaluate("document.querySelector('[data-action=rewrite]').textContent") == "Fill"
    for score in takes(browser, "rewrite", "{ from: 1, to: 2, tracks: new Set([1]) }"):
        first, second = score["bars"][1:3]
        assert [note for note in score["tracks"][1]["notes"] if first <= note[0] < second]


def test_states_are_named_and_compared_from_the_same_place(
    page: tuple[Browser, str, list[str]], band_file: Path
) -> None:
    browser, _, _ = page
    drop(browser, band_file)
    browser.wait(SHOWN)
    note = "[studio.base.bars[1], 240, 52, 90]"
    browser.evaluate(f"studio.edit({{ track: 1, remove: [], add: [{note}] }}, 'a note')")
    browser.wait("studio.session.at === 2")
    browser.evaluate("document.querySelector('[data-state=\"2\"]').focus()")
    browser.press("F2", "F2", 113)
    browser.evaluate("document.activeElement.value = 'with a fill'")
    key(browser, "Enter")
    browser.wait("studio.session.states[1].label === 'with a fill'")
    assert "with a fill" in browser.evaluate("document.querySelector('#history').textContent")
    browser.evaluate("(studio.seek(960), studio.roll.scroller.focus())")
    at = browser.evaluate("studio.sound.now")
    key(browser, "z")
    browser.wait("studio.session.at === 1")
    for state in (2, 1):
        key(browser, "b")
        browser.wait(f"studio.session.at === {state}")
        assert browser.evaluate("studio.sound.now") == at


def test_every_control_is_reached_by_keys_and_shows_its_focus(
    page: tuple[Browser, str, list[str]], band_file: Path
) -> None:
    browser, _, _ = page
    drop(browser, band_file)
    browser.wait(SHOWN)
    browser.evaluate("(studio.roll.scroller.blur(), document.activeElement.blur())")
    names, hidden = set(), []
    for _ in range(60):
        browser.press("Tab", "Tab", 9)
        tag, name, outline = browser.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " const ring = getComputedStyle(document.querySelector('#stage'), '::after').borderTopWidth;"
            " return [e.tagName, e.id || e.getAttribute('aria-label') || e.textContent.trim(),"
            " s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1"
            " || e.id === 'scroller' && ring === '2px']; })()"
        )
        if tag == "BODY":
            continue
        names.add(name)
        if not outline:
            hidden.append(name)
    assert not hidden
    wanted = {
        "play",
        "loop",
        "record",
        "hum",
        "open",
        "out",
        "help",
        "scroller",
        "Mute Kit",
        "Volume of Bass",
        "Compose",
    }
    assert wanted <= names


def test_a_double_click_adds_a_note_where_it_was_made(page: tuple[Browser, str, list[str]], band_file: Path) -> None:
    """And another one takes it out again; both are states."""
    browser, _, _ = page
    drop(browser, band_file)
    browser.wait(SHOWN)
    browser.evaluate("studio.openNotes(1)")
    time.sleep(0.3)
    spot = (
        "(() => { const r = studio.roll, b = r.scroller.getBoundingClientRect(), { y, size } = r.rowGeometry(1);"
        " return [b.x + r.x(studio.shown.bars[1] + 20), b.y + y(50) + size / 2]; })()"
    )
    count = browser.evaluate(f"{BASS}.length")
    for state, notes in ((2, count + 1), (3, count)):
        x, y = browser.evaluate(spot)  # the rows are others where there is a higher note
        for clicks in (1, 2):
            mouse(browser, "mousePressed", x, y, clickCount=clicks)
            mouse(browser, "mouseReleased", x, y, clickCount=clicks)
        browser.wait(f"studio.session.at === {state}")
        assert browser.evaluate(f"{BASS}.length") == notes
        if state == 2:
            assert browser.evaluate("studio.base.hand") == [[1, browser.evaluate("studio.base.bars[1]"), 240, 50, 90]]
