"""The page that composes by itself: the same tokens as the command line's, from disk, without a network."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import PROGRAM, Browser, chromium
from support.ears import SPY
from support.tiny_bundle import tiny_files, write_bundle

from melody import native
from melody.errors import MelodyError, UsageError
from melody.generation import Composer
from melody.generation.decoders.sampling import Sampled
from melody.generation.prepared import prepare
from melody.generation.sampling import Sampling
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.music.score import notes_of
from melody.native.library import core
from melody.native.web_core import web_core
from melody.web import export
from melody.web.export import FILES, export_page, index_page
from melody.web.model import page_model

SERVED = ("folk", "drums", "pop", "piano", "chorale", "band")
CASES = [(1, 16, 1.0), (7, 8, 1.0), (12345678901, 4, 1.0), (2, 2, 1.0), (3, 8, 0.7)]  # seed, bars, temperature
native_only = pytest.mark.skipif(core() is None, reason="the native core is not installed")


@native_only
@pytest.mark.parametrize("name", SERVED)
def test_a_model_lies_in_the_page_as_in_the_bundle(name: str) -> None:
    composer = Composer(name, engine="native")
    facts, arrays = page_model(composer.bundle)
    prepared = prepare(composer.bundle, composer.engine, None, Settings())
    assert facts["ids"] == prepared.ids
    assert len(facts["rules"]) == len(prepared.rules)
    sizes = {"i1": 1, "u1": 1, "i2": 2, "i4": 4, "f4": 4}
    ends = [offset + sizes[kind] * count for kind, offset, count in facts["index"].values()]
    starts = [offset for _, offset, _ in facts["index"].values()]
    assert starts[0] == 0
    assert all(0 <= start - end < 8 for start, end in zip(starts[1:], ends, strict=False))
    assert ends[-1] == len(arrays)


@native_only
def test_a_model_that_the_page_cannot_serve_is_refused_in_one_line(tmp_path: Path) -> None:
    files = {name: data for name, data in tiny_files().items() if name != "step.onnx"}
    bundle = write_bundle(tmp_path / "tiny", files)
    with pytest.raises(UsageError, match=r"tiny: the page .* here this kind of model has no step graph"):
        export_page(str(bundle), tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_page_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(MelodyError, match="exists"):
        export_page("folk", tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"


@native_only
def test_without_a_compiler_the_export_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.web_core, "WEB", tmp_path / "none.wasm")  # type: ignore[attr-defined]
    monkeypatch.setattr(native.web_core, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"pip install 'melody\[web\]'"):
        export_page("folk", tmp_path / "page")


def test_all_that_the_page_imports_stands_in_it() -> None:
    import base64

    found = re.search(r'<script type="importmap">(.*?)</script>', index_page())
    assert found
    modules = {
        name: base64.b64decode(of.partition(",")[2]).decode() for name, of in json.loads(found[1])["imports"].items()
    }
    assert "main.js" in modules
    for name, text in modules.items():
        wanted = re.findall(r'^(?:import|export)[^"]*from "([^"]+)"', text, re.MULTILINE)
        assert set(wanted) <= modules.keys(), name


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a page of each model; the core is compiled once."""
    if PROGRAM is None or core() is None:
        pytest.skip("no Chromium or no native core here: nothing can show that the page composes")
    try:
        compiled = web_core()
    except ValueError as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("web")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "web_core", lambda: compiled)
        for name in SERVED:
            export_page(name, folder / name)
        yield folder


@pytest.fixture(scope="module")
def browser(pages: Path) -> Iterator[Browser]:
    """A browser of a phone's size, without a network."""
    with chromium(pages, "--autoplay-policy=no-user-gesture-required") as (browser, _):
        browser.size(390, 844, mobile=True, scale=2)
        browser.before_scripts(SPY)
        yield browser


def opened(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.wait("globalThis.melody")


def drawn(browser: Browser, seed: int, bars: int, temperature: float) -> tuple[list[int], list[Any]]:
    asked = f"{{seed: '{seed}', bars: {bars}, temperature: {temperature}}}"
    ids, notes = browser.evaluate(f"melody.compose({asked}).then(t => [t.ids, t.score.tracks.map(t => t.notes)])")
    return ids, notes


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_a_seed_gives_the_tokens_of_the_command_line(name: str, browser: Browser, pages: Path) -> None:
    opened(browser, pages / name / "index.html")
    composer = Composer(name, engine="native")
    for seed, bars, temperature in CASES:
        settings = Settings(bars=bars, sampling=Sampling(temperature=temperature, top_p=None))
        prepared = prepare(composer.bundle, composer.engine, None, settings)
        own = Sampled().decode(prepared, composer.engine, [Seed(seed, 1)])[0].ids
        ids, notes = drawn(browser, seed, bars, temperature)
        assert ids == [*prepared.ids, *own]
        decoded = composer.bundle.tokenizer.decode(ids)
        for track, found in zip(decoded.tracks, notes, strict=True):
            expected = notes_of(track)
            rows = zip(expected.onset, expected.duration, expected.pitch, strict=True)
            assert [note[:3] for note in found] == sorted(
                ([*map(int, row)] for row in rows), key=lambda r: (r[0], r[2])
            )


@pytest.mark.slow
def test_the_page_composes_plays_and_saves_on_a_phone_without_a_network(browser: Browser, pages: Path) -> None:
    opened(browser, pages / "folk" / "index.html")
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    browser.click("#compose")
    browser.wait("melody.take()")
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    browser.click("#play")
    browser.wait("melody.synth.playing && Math.max(0, ...loudness()) > 0.01")
    browser.click("#play")
    browser.wait("!melody.synth.playing && melody.synth.position > 0")
    browser.click("#save")
    assert (
        browser.evaluate("fetch(document.querySelector('#link').href).catch(() => 'refused')") == "refused"
    )  # no fetch at all
    assert browser.evaluate("document.querySelector('#link').download").startswith("folk-")
    again = "melody.take().ids.join()"
    first = browser.evaluate(again)
    browser.click("#again")
    browser.wait("!document.querySelector('#again').disabled")
    assert browser.evaluate(again) == first
    assert not [event for event in browser.events if event["method"] == "Runtime.exceptionThrown"]
    network = [event for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    assert all(event["params"]["request"]["url"].startswith(("file:", "data:", "blob:")) for event in network)


@pytest.mark.slow
@pytest.mark.parametrize(("was", "now"), [('"arrays":"', '"arrays":"AAAA'), ('"core":"', '"core":"eJw')])
def test_a_damaged_page_says_so(was: str, now: str, browser: Browser, pages: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text((pages / "folk" / name).read_text(encoding="utf-8"), encoding="utf-8")
    text = (tmp_path / "model.js").read_text(encoding="utf-8")
    assert text.count(was) == 1
    (tmp_path / "model.js").write_text(text.replace(was, now), encoding="utf-8")
    opened(browser, tmp_path / "index.html")
    browser.click("#compose")
    browser.wait("!document.querySelector('#trouble').hidden")
    assert browser.evaluate("document.querySelector('#trouble').textContent")
    assert browser.evaluate("melody.take()") is None
