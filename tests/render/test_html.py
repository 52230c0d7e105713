"""The page that plays takes: what is in it, that nothing strange gets in or out, and that a browser plays it."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.browser import PROGRAM, Browser, chromium, hosts_of
from symusic import ControlChange, Note, Tempo, TimeSignature, Track

import melody
from melody.cli import run
from melody.errors import LimitExceeded, MelodyError, UnreadableFile
from melody.formats.colours import PALETTE
from melody.music.score import Score, note_count
from melody.render import player, stems, svg
from melody.render.loudness import loudness_lufs
from melody.render.page import layout
from melody.render.player import Figure, Panel, page, write_page
from melody.render.sound import synthesize

HOSTILE = '</script><img src=x onerror="window.hacked=1"><u>&\''
RATE = stems.SAMPLE_RATE


def duo(quarters: int = 8, name: str = "Left", qpm: float = 120) -> Score:
    """Two organs, one low and left, one high and right."""
    score = Score(480)
    score.tempos, score.time_signatures = [Tempo(0, qpm=qpm)], [TimeSignature(0, 4, 4)]
    for pitch, side, title in ((57, 0, name), (76, 127, "Right")):
        track = Track(title, 19, False)
        track.controls.append(ControlChange(0, 10, side))
        for index in range(quarters):
            track.notes.append(Note(480 * index, 440, pitch + index % 3, 90))
        score.tracks.append(track)
    return score


def endless(name: str = "Left") -> Score:
    """Too long for sound: eleven minutes in two bars."""
    return duo(8, name, qpm=0.7)


def panel(score: Score, name: str = "take", **known: object) -> Panel:
    return Panel(name, score, b"MThd and so on", **known)


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


class Seen(HTMLParser):
    """The elements of a page with their attributes, the text in it, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.raw = "", {"script": [], "style": []}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.raw:
            self.raw[self._inside].append(data)
        else:
            self.text += data

    def all(self, kind: str) -> list[dict[str, str]]:
        """The attributes of all elements of a class."""
        return [attributes for _, attributes in self.elements if kind in attributes.get("class", "").split()]


# ---- sound ----------------------------------------------------------------------------------------------------------


def test_stems_together_are_the_piece() -> None:
    sound = stems.sound_of(duo())
    parts = [soundfile.read(io.BytesIO(stem.data), dtype="float32")[0] for stem in sound.stems]
    mix = sum(stems.placed(part, stem.pan) for part, stem in zip(parts, sound.stems, strict=True)) * sound.gain
    whole = synthesize(duo(), sample_rate=RATE)
    assert mix.shape == whole.shape == (round(sound.seconds * RATE), 2)
    assert loudness_lufs(mix, RATE) == pytest.approx(loudness_lufs(whole, RATE), abs=0.7)
    assert np.corrcoef(mix.sum(1), whole.sum(1))[0, 1] > 0.97
    assert sound.stems[0].pan < -0.5
    assert sound.stems[1].pan > 0.5


def test_a_stem_has_one_track_and_all_else() -> None:
    score = duo()
    alone = list(stems.single_tracks(score))
    assert [[len(track.notes) for track in one.tracks] for one in alone] == [[8, 0], [0, 8]]
    assert all(len(one.tempos) == 1 and len(one.tracks[1].controls) == 1 for one in alone)
    assert note_count(score) == 16


@given(st.floats(-1, 1))
def test_mono_keeps_power_and_place(pan: float) -> None:
    mono = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    folded, found = stems.folded(stems.placed(mono, pan))
    assert found == pytest.approx(pan, abs=1e-3)
    if abs(pan) < 0.99:
        assert (folded**2).mean() == pytest.approx((mono**2).mean(), rel=1e-3)


def test_silence_and_opposites_make_no_noise() -> None:
    assert not stems.folded(np.zeros((10, 2), np.float32))[0].any()
    tone = np.sin(np.arange(100)).astype(np.float32)
    mono, _ = stems.folded(np.stack([tone, -0.999 * tone], 1))
    assert np.abs(mono).max() < 0.01


def test_without_mp3_stems_are_flac(monkeypatch) -> None:
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"FLAC": ""})
    sound = stems.sound_of(duo(1))
    assert sound.stems[0].data[:4] == b"fLaC"
    assert sound.delay_seconds == 0


def test_a_long_piece_is_without_sound_and_says_so(tmp_path: Path) -> None:
    (line,) = write_page([panel(endless())], tmp_path / "long.html")
    assert re.fullmatch(r".*long\.html: take without sound: the score lasts 11 minutes.*", line)
    seen = Seen((tmp_path / "long.html").read_text(encoding="utf-8"))
    assert seen.all("silent")
    assert not seen.all("play") + seen.all("mute")
    assert len(seen.all("system")) == 1


def test_a_page_holds_so_many_minutes_of_tracks(monkeypatch) -> None:
    monkeypatch.setattr(player, "MAX_TRACK_SECONDS", 5.0)
    text, left_out = page([panel(duo(1), str(number)) for number in (1, 2, 3)], "t")
    assert left_out == ["2 to 3 (2) without sound: a page holds 0 minutes of tracks"]
    assert len(Seen(text).all("play")) == 1


def test_no_synthesizer_leaves_a_page_without_sound(no_synthesizer: None) -> None:
    text, left_out = page([panel(duo())], "t")
    assert left_out == ["take without sound: no synthesizer works here"]
    assert Seen(text).all("silent")


def test_a_bad_soundfont_no_notes_and_too_many_are_refused(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UnreadableFile, match="no such SoundFont"):
        write_page([panel(duo())], tmp_path / "a.html", soundfont=tmp_path / "missing.sf2")
    with pytest.raises(MelodyError, match="no notes"):
        write_page([panel(Score(480))], tmp_path / "a.html")
    monkeypatch.setattr(player, "MAX_NOTES", 15)
    with pytest.raises(LimitExceeded, match="16 notes"):
        write_page([panel(duo())], tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


# ---- what is in the file --------------------------------------------------------------------------------------------


def test_equal_pieces_make_equal_pages() -> None:
    assert page([panel(duo(2))], "t") == page([panel(duo(2))], "t")


def test_nothing_in_the_page_names_another_place(duo_page: str) -> None:
    assert "http://" not in duo_page
    assert "https://" not in duo_page
    for _, attributes in Seen(duo_page).elements:
        assert not {"src", "action", "srcset", "style"} & set(attributes)
        assert attributes.get("href", "data:audio/midi;base64,").startswith("data:audio/midi;base64,")


def test_the_policy_allows_our_script_and_style_alone(duo_page: str) -> None:
    seen = Seen(duo_page)
    policy = next(a["content"] for _, a in seen.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for kind, name in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(seen.raw[name][-1].encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"
    assert set(rules) == {"default-src", "base-uri", "form-action", "script-src", "style-src"}


def test_hostile_names_are_but_text(duo_page: str) -> None:
    seen = Seen(duo_page)
    assert seen.text.count(HOSTILE) >= 3  # title, heading, take
    assert not [tag for tag, _ in seen.elements if tag in ("img", "u", "iframe", "object", "base")]
    assert not [name for _, attributes in seen.elements for name in attributes if name.startswith("on")]


# surrogates cannot be written, and a NUL stands in no name that melody reads
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@settings(max_examples=30)
@given(ANY_TEXT, ANY_TEXT)
def test_no_text_adds_an_element(one: str, other: str) -> None:
    def tags(first: str, second: str) -> list[str]:
        shown = panel(endless(first), second, figures=[Figure(first, second, first)], settings=[(first, second)])
        return [tag for tag, _ in Seen(page([shown], second, first)[0]).elements]

    assert tags(one, other) == tags("a", "b")


def test_the_midi_file_and_the_figures_are_there(duo_page: str) -> None:
    seen = Seen(duo_page)
    links = seen.all("download")
    assert [link["download"] for link in links] == [f"{HOSTILE}.mid", "second.mid"]
    assert base64.b64decode(links[1]["href"].partition(",")[2]) == b"MThd and so on"
    assert "E minor" in seen.text
    assert "key: home." in seen.text


def data_of(text: str) -> list[dict]:
    return [json.loads(raw) for raw in Seen(text).raw["script"][:-1]]


def test_the_player_is_told_the_tempo_map(no_synthesizer: None) -> None:
    score = duo(16)
    score.tempos = [Tempo(0, qpm=120), Tempo(960, qpm=60), Tempo(99_999, qpm=200)]
    (data,) = data_of(page([panel(score)], "t")[0])
    assert data["tempo"] == [[0, 0], [960, 1], [7680, 15]]
    assert data["bars"] == [0, 3, 7, 11, 15]


def test_45_seconds_of_four_tracks_stay_small(duo_page: str) -> None:
    for data in data_of(duo_page):
        seconds = data["sound"]["seconds"]
        for stem in data["sound"]["stems"]:
            assert 4 * 45 * len(stem["data"]) / seconds < 1_500_000


# ---- the roll -------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 2000), st.integers(0, 127)), min_size=1, max_size=9))
def test_each_note_lies_where_the_cursor_meets_it(notes: list[tuple[int, int, int]]) -> None:
    score = Score(480)
    track = Track("Piano", 0, False)
    for onset, duration, pitch in notes:
        track.notes.append(Note(onset, duration, pitch, 80))
    score.tracks.append(track)
    onsets = []
    for system in svg.systems_of(layout(score)):
        width = float(re.search(r'viewBox="0 0 ([\d.]+)', system.svg)[1])
        for x in re.findall(r'class="v\d" x="([\d.]+)"', system.svg):
            share = (float(x) / width - system.left) / (system.right - system.left)
            onsets.append(system.start + share * (system.stop - system.start))
    for onset, _, _ in notes:
        assert min(abs(onset - drawn) for drawn in onsets) < 0.001 * 20_000


def test_only_what_was_given_is_shaded() -> None:
    score = duo(16)
    (system,) = svg.systems_of(layout(score, 3840, 5760))
    ground = float(re.search(r'class="ground"[^>]* width="([\d.]+)"', system.svg)[1])
    shaded = [float(width) for width in re.findall(r'class="given"[^>]* width="([\d.]+)"', system.svg)]
    assert [round(width / ground, 2) for width in shaded] == [0.5, 0.25]
    assert "given" not in svg.systems_of(layout(score))[0].svg


def test_drums_have_rows_of_their_own() -> None:
    score = duo(4)
    drums = Track("Drums", 0, True)
    for index, pitch in enumerate((36, 42, 38, 42)):
        drums.notes.append(Note(480 * index, 60, pitch, 127))
    score.tracks.append(drums)
    (system,) = svg.systems_of(layout(score))
    assert re.findall(r'class="row"[^>]*>([^<]+)<', system.svg)[-3:] == ["Kick", "Snare", "Closed Hi-Hat"]
    hits = system.svg.partition('data-track="2"')[2].partition("</g>")[0]
    assert re.findall(r'<rect class="(v\d)"', hits) == ["v8"] * 4
    heights = [float(y) for y in re.findall(r' y="([\d.]+)"', hits)]
    assert heights[0] > heights[2] > heights[1] == heights[3]  # low drums lie low
    assert system.svg.count('class="frame"') == 2


def test_tracks_have_the_colours_of_the_picture(duo_page: str) -> None:
    style = Seen(duo_page).raw["style"][0]
    assert [re.search(rf"\.c{index} {{ --hue: (#\w+)", style)[1] for index in range(len(PALETTE))] == list(PALETTE)
    assert [group["class"] for group in Seen(duo_page).all("hue") if "data-track" in group][:2] == ["hue c0", "hue c1"]


# ---- notebooks and the command line ---------------------------------------------------------------------------------


def test_a_take_shows_itself_in_a_frame() -> None:
    take = melody.load().compose(bars=2, seed=7)[0]
    frame = Seen(take._repr_html_())
    ((tag, attributes),) = frame.elements
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts allow-downloads"  # and no reach into the notebook
    inner = Seen(attributes["srcdoc"])
    assert f"{take.nats_per_note:.2f}" in inner.text
    assert take.key in inner.text
    assert len(inner.all("play")) == 1
    midi = base64.b64decode(inner.all("download")[0]["href"].partition(",")[2])
    assert b"melody " in midi  # the settings, as in every file of a take


def test_compose_writes_one_page_for_all_takes(no_synthesizer: None, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["compose", "--bars", "2", "--takes", "2", "--seed", "7"]
    assert run([*command, "--html", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["html"] == str(Path("outputs/chorale-7.html"))
    assert "chorale-7.html: chorale-7-1 to chorale-7-2 (2) without sound: no synth" in report["messages"][-1]
    assert sorted(path.name for path in Path("outputs").iterdir()) == [
        "chorale-7-1.mid",
        "chorale-7-2.mid",
        "chorale-7.html",
    ]
    seen = Seen(Path(report["html"]).read_text(encoding="utf-8"))
    for link, take in zip(seen.all("download"), report["takes"], strict=True):
        written = Path(take["files"]["midi"]).read_bytes()
        assert base64.b64decode(link["href"].partition(",")[2]) == written
        assert f"{take['nats_per_note']:.2f}" in seen.text
    assert run([*command, "--out", "plain"]) == 0
    for number in (1, 2):
        name = f"chorale-7-{number}.mid"
        assert Path("plain", name).read_bytes() == Path("outputs", name).read_bytes()


def test_an_old_page_is_not_overwritten_and_nothing_composed(
    no_synthesizer: None, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.html").write_text("mine")
    command = ["compose", "--bars", "2", "--takes", "2", "--seed", "7", "--out", "mine.mid", "--html"]
    assert run(command) == 1
    assert "mine.html: exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]
    assert run([*command, "--force"]) == 0
    assert Path("mine.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    capsys.readouterr()
    assert run(["compose", "--replay", "mine-2.mid", "--out", "again.mid", "--html"]) == 0
    assert Path("again.html").exists()
    assert Path("again.mid").read_bytes() == Path("mine-2.mid").read_bytes()


def test_render_makes_a_page_of_a_file(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    melody.write(duo(2), "duo.mid")
    assert run(["render", "duo.mid", "--out", "duo.html"]) == 0
    assert "duo.html" in capsys.readouterr().out
    seen = Seen(Path("duo.html").read_text(encoding="utf-8"))
    assert len(seen.all("play")) == 1
    assert run(["render", "duo.mid", "--out", "duo.html"]) == 1
    assert "exists" in capsys.readouterr().err


# ---- in a browser ---------------------------------------------------------------------------------------------------

# What reaches the loudspeakers goes to two analysers too, a channel each; nothing of this is in the page.
SPY = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    window.ears ??= [0, 1].map(() => new AnalyserNode(this.context, { fftSize: 4096 }));
    connect.call(this, splitter);
    window.ears.forEach((ear, channel) => connect.call(splitter, ear, channel));
  }
  return connect.call(this, target, ...rest);
};
window.loudness = () => (window.ears ?? []).map((ear) => {
  const samples = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
});
const decode = BaseAudioContext.prototype.decodeAudioData;
window.decoded = [];
BaseAudioContext.prototype.decodeAudioData = async function (data) {
  const buffer = await decode.call(this, data);
  window.decoded.push(buffer.duration);
  return buffer;
};
"""
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
