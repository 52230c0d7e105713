"""What goes in and out of the page while it plays: a hummed tune, a MIDI keyboard, a MIDI port, the mixer, loudness."""

import time
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile
from support.browser import PROGRAM, Browser
from support.recordings import ODE, RATE, hum
from support.studio_page import HEARD, SHOWN, drag, drop, key, opened, seen

import melody

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: nothing can show that the page works"),
]
TUNE = [pitch for pitch, _ in ODE]
RECORDS = "document.querySelector('#hum').getAttribute('aria-pressed') === 'true'"
# A keyboard and a synthesizer at the browser's MIDI ports: `strike` plays a key, what is sent is noted with its time.
MIDI = """
window.sent = [];
const keyboard = new EventTarget();
const synthesizer = { id: "1", name: "Synthesizer", send: (data, at) => sent.push([at ?? performance.now(), ...data]) };
window.strike = (...data) => keyboard.dispatchEvent(Object.assign(new Event("midimessage"), { data }));
const ports = { inputs: new Map([["0", keyboard]]), outputs: new Map([["1", synthesizer]]) };
navigator.requestMIDIAccess = async () => ports;
"""


def test_a_hummed_tune_is_a_beginning_and_a_track(tmp_path: Path, band_file: Path) -> None:
    """Chromium's microphone plays a file: 15 notes, hummed with glides and vibrato."""
    pytest.importorskip("swift_f0")
    voice = hum(ODE)
    soundfile.write(tmp_path / "hum.wav", voice, RATE, subtype="PCM_16")
    seconds = len(voice) / RATE
    microphone = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    microphone.append(f"--use-file-for-fake-audio-capture={tmp_path / 'hum.wav'}%noloop")
    for number, begins in enumerate((True, False)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with opened(folder, *microphone) as (browser, _, _):
            if not begins:
                drop(browser, band_file)
                browser.wait(SHOWN)
                browser.evaluate("studio.sound.ready(studio.shown)")
            key(browser, "h") if not begins else browser.evaluate("studio.recorder.press('voice')")
            browser.wait(RECORDS)
            seen(browser, f"humming-{number}")
            time.sleep(seconds)
            assert (
                begins or browser.evaluate("studio.sound.now + studio.shown.seconds * !studio.sound.sounds") > 0
            )  # it played meanwhile
            browser.evaluate("studio.recorder.press('voice')")
            tracks = 1 if begins else 4
            browser.wait(f"{SHOWN} && studio.shown.tracks.length === {tracks}")
            heard = browser.evaluate("studio.shown.tracks.at(-1).notes")
            assert [note[2] for note in heard] == TUNE
            if not begins:
                assert browser.evaluate("studio.shown.tracks.at(-1).name") == "Hummed"
                assert all(note[0] % 120 == 0 for note in heard)  # sixteenths
                assert browser.evaluate("studio.shown.hand.length") == len(TUNE)
                seen(browser, "hummed")


def test_a_midi_keyboard_in_and_a_midi_port_out(tmp_path: Path, band_file: Path) -> None:
    with opened(tmp_path, before=MIDI) as (browser, _, _):
        drop(browser, band_file)
        browser.wait(SHOWN)
        browser.evaluate("studio.sound.ready(studio.shown)")
        key(browser, "r")
        browser.wait(HEARD)
        for pitch in (72, 76):
            browser.evaluate(f"strike(0x90, {pitch}, 99)")
            time.sleep(0.2)
            browser.evaluate(f"strike(0x80, {pitch}, 0)")
        key(browser, "r")
        browser.wait("studio.shown.tracks.length === 4")
        heard = browser.evaluate("studio.shown.tracks.at(-1)")
        assert heard["name"] == "Recorded"
        assert [note[2:] for note in heard["notes"]] == [[72, 99], [76, 99]]

        browser.click("#out")
        browser.evaluate("document.querySelector('#out-menu select').focus()")
        browser.wait("document.querySelector('#out-menu select').options.length === 2")
        browser.evaluate("Object.assign(document.querySelector('#out-menu select'), { value: '1' }).onchange()")
        key(browser, "Escape")
        browser.evaluate("studio.seek(0); studio.roll.scroller.focus()")
        browser.press(" ", "Space", 32)
        browser.wait("sent.filter((message) => message[1] === 0x99).length > 4")
        browser.press(" ", "Space", 32)
        browser.wait("sent.at(-1)[1] === 0xbf && sent.at(-1)[2] === 123")  # all notes off
        sent = browser.evaluate("sent")
        kit = [message for message in sent if message[1] == 0x99]
        beat = 60_000 / 92  # ms; the hats play crotchets
        steps = [later[0] - earlier[0] for earlier, later in pairwise(kit) if later[0] - earlier[0] > 1]
        assert all(step == pytest.approx(beat, abs=60) for step in steps[:3])
        assert {message[1] for message in sent} >= {0x90, 0xC0, 0x99}


def test_the_mixer_and_the_velocity_strip(page: tuple[Browser, str, list[str]], band_file: Path) -> None:
    browser, _, _ = page
    drop(browser, band_file)
    browser.wait(SHOWN)
    browser.evaluate("studio.sound.ready(studio.shown)")
    browser.click("#loop")
    browser.press(" ", "Space", 32)
    browser.wait(HEARD)
    for track in range(3):
        browser.click(f"#heads [data-track='{track}'] .mute")
    browser.wait("Math.max(...loudness()) < 1e-3")
    browser.click("#heads [data-track='1'] .solo")
    browser.wait(HEARD)
    browser.press(" ", "Space", 32)

    browser.evaluate("studio.openNotes(1)")
    time.sleep(0.3)
    x, y, onset = browser.evaluate(
        "(() => { const r = studio.roll, b = r.scroller.getBoundingClientRect(), n = r.score.tracks[1].notes[2];"
        " return [b.x + r.x(n[0]), b.y + r.height - 30, n[0]]; })()"
    )
    drag(browser, (x + 1, y), (x + 1, y - 60))
    browser.wait("studio.session.at === 2")
    louder = browser.evaluate(f"studio.shown.tracks[1].notes.find((n) => n[0] === {onset})[3]")
    assert louder > 110
    changed = browser.evaluate("studio.shown.tracks[1].notes.filter((n) => n[3] !== 80).length")
    assert changed == 1  # and all others are as loud as they were
    seen(browser, "velocity")


def test_what_a_file_says_is_text_on_the_page(page: tuple[Browser, str, list[str]], tmp_path: Path) -> None:
    from support.primers import part, primer

    hostile = "<img src=x onerror=alert(1)><b>Bass"
    melody.write(primer(part(hostile, [40, 40, 43, 45] * 2, 33)), tmp_path / "<u>song.mid")
    browser, _, _ = page
    drop(browser, tmp_path / "<u>song.mid")
    browser.wait(SHOWN)
    assert hostile in browser.evaluate("document.querySelector('#heads .names b').textContent")
    assert "<u>song" in browser.evaluate("document.title + document.querySelector('#history').textContent")
    assert browser.evaluate("document.querySelectorAll('main img, main u, footer u, .names b b').length") == 0


def test_a_long_score_sounds_before_its_stems_are_rendered(
    page: tuple[Browser, str, list[str]], tmp_path: Path
) -> None:
    """Excerpts bridge the time; then the stems go on from the same place."""
    from support.primers import kit, part, piano, primer

    score = primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33), piano())
    for track in score.tracks:
        notes = [note.copy() for note in track.notes]
        for turn in range(1, 24):
            for note in notes:
                later = note.copy()
                later.time += turn * 16 * 480
                track.notes.append(later)
    melody.write(score, tmp_path / "long.mid")
    browser, _, _ = page
    drop(browser, tmp_path / "long.mid")
    browser.wait(SHOWN)
    browser.press(" ", "Space", 32)
    browser.wait(HEARD)
    bridged, place = browser.evaluate("[studio.sound.playing.tracks === null, studio.sound.now]")
    browser.wait("studio.sound.playing.tracks !== null", seconds=120)
    time.sleep(0.5)
    browser.wait(HEARD)
    print({"an excerpt came first": bridged})
    assert browser.evaluate("studio.sound.now") > place
    assert browser.evaluate("studio.sound.here.has(studio.shown.id)")
