"""The page of an evaluation: what stands in it, that nothing strange gets in, that labels have room in a browser."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.browser import PROGRAM, chromium
from support.pages import Seen
from support.tiny_bundle import bundle_of, tiny_files, write_bundle
from symusic import Note, TimeSignature, Track

import melody
from melody.cli import run
from melody.evaluation import plots
from melody.evaluation.continuations import Figures
from melody.evaluation.endings import ON_A_STRONG_BEAT, endings_of
from melody.evaluation.evaluate import CountFigure, Evaluation, Music, compare_samples
from melody.evaluation.histograms import histograms_of
from melody.evaluation.likelihood import Likelihood
from melody.evaluation.measured import Measured
from melody.evaluation.page import _telling, page
from melody.evaluation.statistics import STATISTICS
from melody.music.originality import build
from melody.music.score import Score

HOSTILE = '</style><img src=x onerror="window.hacked=1"><u>&\''
VOICES = {"chorale": (72, 65, 57, 45), "folk": (72,), "drums": (38,)}


def piece(seed: int, style: str = "chorale", quarters: int = 32) -> Score:
    """Lines that walk at random about their middles, or drums."""
    rng = np.random.default_rng(seed)
    score = Score(480)
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for middle in VOICES[style]:
        track = Track("", 0, style == "drums")
        for onset in range(quarters):
            track.notes.append(Note(480 * onset, 480, middle + int(rng.integers(-5, 6)), 80))
        score.tracks.append(track)
    return score


def chord(*pitches: int, quarters: int = 4) -> Score:
    """C major's dominant, and then this chord, from the highest voice down, on a first beat."""
    score = Score(480)
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for before, pitch in zip((74, 67, 59, 43), pitches, strict=False):
        track = Track("", 0, False)
        track.notes.append(Note(0, 480 * quarters, before, 80))
        track.notes.append(Note(480 * quarters, 1920, pitch, 80))
        score.tracks.append(track)
    return score


def evaluation(style: str = "chorale", *, alone: bool = False, name: str = "") -> Evaluation:
    """An evaluation of pieces at random, as `evaluate_model` would return it."""
    index = build([("one", piece(99, style))])
    ours, theirs, bare = (
        Measured([piece(seed + first, style, length) for seed in range(6)], index)
        for first, length in ((0, 32), (10, 48), (20, 32))
    )
    music = Music(ours, theirs, bare if alone else None)
    likelihood = Likelihood(6, 1000, 3000, 1612.1, 1700.0)
    rules = ["no_parallels", "tonic_ending"] if alone else []
    rows = compare_samples(music)
    return Evaluation(name or style, "test", 6, 8, 5, likelihood, CountFigure(4.216, 4), rules, rows, music)


def bundle(style: str):
    """Says what tracks it writes and where they come from."""
    plain = bundle_of(style)
    settings = {
        "corpus": style,
        "files": {"step.onnx": "0" * 64},
        "style_rules": ["no_parallels", "tonic_ending"] if style == "chorale" else [],
    }
    return replace(plain, settings={**plain.settings, **settings})


@pytest.fixture(scope="module")
def chorale_page() -> str:
    return page(evaluation(alone=True), bundle("chorale"), "chorale", "chorale.html")


# ---- what is measured -----------------------------------------------------------------------------------------------


def names_of(style: str) -> list[str]:
    return [row["statistic"] for row in evaluation(style).statistics]


def test_the_page_tells_what_a_critic_goes_by():
    judged = {
        "all": 0.91,
        "form": 0.8,
        "cells": 0.7,
        "tokens": 0.66,
        "telling": [("turns of <the> tune", 0.4), ("b", 0.1)],
    }
    found = replace(evaluation(), form=Figures(60, [], [], [], [], {"model": judged}, {}))
    text = _telling(found)
    assert "all statistics 0.91, form alone 0.80, two bars alone 0.70, a network, the tokens 0.66" in text
    assert "turns of &lt;the&gt; tune" in text
    assert "60 held-out pieces" in text
    assert _telling(evaluation()) == ""


def test_each_corpus_is_measured_by_what_has_sense_for_it() -> None:
    voices, line, drums = names_of("chorale"), names_of("folk"), names_of("drums")
    assert {"parallels per 1,000 notes", "clean, share of pieces", "scale consistency", "polyphony"} <= set(voices)
    assert "tonic cadence, share of pieces" in line
    assert not {"parallels per 1,000 notes", "crossings per 1,000 notes", "polyphony"} & set(line)
    assert drums == ["groove consistency", "empty-beat rate", "notes a bar", "repeated bars", "longest empty run"]


def test_where_a_track_holds_chords_voices_are_not_compared() -> None:
    scores = [piece(seed) for seed in range(3)]
    assert Measured(scores, build([])).voices == 4
    for score in scores:
        score.tracks[3].notes.append(Note(0, 480, 60, 80))
    assert Measured(scores, build([])).voices == 0


def test_rows_have_the_model_alone_where_it_was_asked() -> None:
    (row,) = [row for row in evaluation(alone=True).statistics if row["statistic"] == "notes a bar"]
    assert list(row) == ["statistic", "model", "without rules", "corpus", "overlap"]
    assert row["model"] == row["corpus"] == 16
    assert row["overlap"] == pytest.approx(1, abs=1e-3)
    assert "without rules" not in evaluation().statistics[0]


def test_histograms_count_notes() -> None:
    score = chord(72, 67, 64, 48)
    found = histograms_of([score, Score(480)])
    by_name = {
        name: dict(zip(one.bins, one.shares[0].tolist(), strict=True)) for name, one in found.items() if name != "drums"
    }
    assert by_name["pitch classes"]["G"] == 3 / 8
    assert by_name["scale degrees"]["5"] == 3 / 8
    assert by_name["note lengths"]["4"] == 1
    assert {step: share for step, share in by_name["intervals"].items() if share} == {"−2": 0.25, "0": 0.25, "+5": 0.5}
    assert by_name["places in the bar"]["1"] == 1
    assert np.isnan(found["pitch classes"].shares[1]).all()  # no notes, no shares
    assert found["pitch classes"].mean.tolist() == found["pitch classes"].shares[0].tolist()
    assert histograms_of([piece(1, "drums")])["drums"].mean.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("pitches", "kind"),
    [
        ((72, 67, 64, 48), "tonic triad, major"),
        ((72, 67, 63, 48), "tonic triad, minor"),
        ((72, 67, 60, 48), "tonic without its third"),
        ((71, 67, 62, 43), "dominant"),
        ((72, 69, 65, 53), "another chord"),
    ],
)
def test_last_chords_are_told_apart(monkeypatch: pytest.MonkeyPatch, pitches: tuple[int, ...], kind: str) -> None:
    monkeypatch.setattr("melody.evaluation.endings.estimate_key", lambda score: melody.music.key.Key(0, "major"))
    found = endings_of([chord(*pitches), Score(480)], single=False)
    assert {name for name, share in found.items() if share} == {kind, ON_A_STRONG_BEAT}
    assert endings_of([chord(*pitches, quarters=3)], single=False)[ON_A_STRONG_BEAT] == 0


def test_last_notes_of_single_lines_are_told_apart() -> None:
    assert list(endings_of([piece(1, "folk")], single=True)) == [
        *("the tonic", "its third", "its fifth", "another note"),
        ON_A_STRONG_BEAT,
    ]


# ---- plots ----------------------------------------------------------------------------------------------------------


def test_bins_hold_all_values_and_begin_at_round_numbers() -> None:
    edges = plots.bin_edges(np.array([0.12, 0.83, 0.5]))
    assert edges[0] <= 0.12
    assert edges[-1] > 0.83
    assert np.diff(edges) == pytest.approx([0.05] * (len(edges) - 1))
    assert plots.bin_edges(np.array([3.0, 5.0])).tolist() == [2.5, 3.5, 4.5, 5.5]
    assert plots.bin_edges(np.array([7.0])).tolist() == [6.5, 7.5]


def test_an_outline_is_as_high_as_the_share() -> None:
    values = np.array([1.0, 1, 1, 2])
    svg = plots.distribution("t", "d", [plots.Series("samples", values), plots.Series("held-out", values[:0])])
    path = re.search(r'<path class="samples" d="([^"]+)"', svg)[1]
    heights = [plots.BOTTOM - float(y) for y in re.findall(r"V([\d.]+)", path)]
    assert heights == pytest.approx([138, 46, 0], abs=0.1)
    assert "held-out" not in svg


# ---- the page -------------------------------------------------------------------------------------------------------


def test_all_that_was_measured_stands_there(chorale_page: str) -> None:
    seen = Seen(chorale_page)
    for row in evaluation(alone=True).statistics:
        assert row["statistic"] in seen.text
        assert f"{row['without rules']:.3g}" in seen.text
    for words in ("1.6121", "4.2160", "none left out", "Soprano", "scale degrees", "note lengths", "intervals"):
        assert words in seen.text
    assert "melody compose --model chorale --bars 8 --seed 5 --takes 4 --html" in seen.text
    assert "melody evaluate chorale --split test --samples 6 --bars 8 --seed 5 --html chorale.html" in seen.text
    assert len(seen.all("card")) == 15 + 5 + 2  # measures, histograms but of drums, ranges and originality


def test_what_a_rule_does_is_said(chorale_page: str) -> None:
    assert Seen(chorale_page).text.count("†") == 3 + 2  # the rows that rules hold to, and twice what it means
    off = Seen(page(evaluation(), bundle("chorale"), "chorale")).text
    assert "†" not in off
    assert "were switched off: this is the model alone" in off
    assert "--no-style-rules --html page.html" in off
    assert "No rules of a style act" in Seen(page(evaluation("folk"), bundle("folk"), "folk")).text


def test_every_plot_can_be_read_without_eyes(chorale_page: str) -> None:
    drawings = re.findall(r'<svg class="plot".*?</svg>', chorale_page)
    assert len(drawings) == len(Seen(chorale_page).all("card")) + 1  # and the nats
    assert all('role="img"><title>' in one and "<desc>" in one for one in drawings)
    assert chorale_page.count("<summary>As a table</summary>") == len(drawings) - 1


@pytest.mark.parametrize("style", ["folk", "drums"])
def test_other_music_has_no_plots_without_sense(style: str) -> None:
    text = Seen(page(evaluation(style), bundle(style), style)).text
    assert "Voice leading" not in text
    assert ("Kick" in text or "Snare" in text) == (style == "drums")
    assert ("scale consistency" in text) == ("How pieces end" in text) == (style == "folk")


def test_the_page_lets_nothing_in_and_escapes_names() -> None:
    strange = replace(bundle("chorale"), settings={**bundle("chorale").settings, "description": HOSTILE})
    text = page(evaluation(name=HOSTILE), strange, HOSTILE, HOSTILE)
    seen = Seen(text)
    assert not [tag for tag, _ in seen.elements if tag in ("script", "img", "u", "link", "iframe")]
    assert not [attributes for _, attributes in seen.elements if "style" in attributes or "onerror" in attributes]
    (policy,) = [a["content"] for _, a in seen.elements if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256("".join(seen.raw["style"]).encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text


def test_equal_evaluations_make_equal_bytes(chorale_page: str) -> None:
    assert page(evaluation(alone=True), bundle("chorale"), "chorale", "chorale.html") == chorale_page


# ---- the command line -----------------------------------------------------------------------------------------------


def test_evaluate_writes_the_page(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(24):
        melody.write(piece(seed, "folk"), Path("music") / f"{seed}.mid")
    assert run(["prepare", "music", "--out", "store", "--workers", "1"]) == 0
    track = {"name": "Melody", "program": 73, "drums": False, "lowest": 60, "highest": 80, "mean": 72, "polyphony": 1}
    rules = {"tracks": [track], "style_rules": ["tonic_ending"]}
    write_bundle(Path("model"), tiny_files(), {"corpus": "store", **rules})
    capsys.readouterr()
    command = ["evaluate", "model", "--samples", "3", "--bars", "2", "--html", "page.html"]
    assert run([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["html"] == "page.html"
    assert report["rules"] == ["tonic_ending"]
    assert all("without rules" in row for row in report["statistics"])
    text = Seen(Path("page.html").read_text(encoding="utf-8")).text
    assert f"{report['likelihood']['nats_per_note']:.4f}" in text
    again = re.search(r"melody (compose --.*) --html", text)[1]  # without the page, for speed
    assert run([*again.split(), "--json"]) == 0
    takes = json.loads(capsys.readouterr().out)["takes"]
    (density,) = [row for row in report["statistics"] if row["statistic"] == "notes a bar"]
    densities = [STATISTICS["notes a bar"](melody.read(take["files"]["midi"])) for take in takes]
    assert density["model"] == pytest.approx(np.mean(densities))
    assert run(command) == 1
    assert "page.html: exists" in capsys.readouterr().err


def test_a_page_that_cannot_be_is_refused_before_anything_is_done(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", "chorale", "--samples", "1", "--html", "page.html"]) == 2
    assert "--samples must be 2 or more" in capsys.readouterr().err
    Path("page.html").write_text("mine")
    assert run(["evaluate", "chorale", "--html", "page.html"]) == 1
    assert "page.html: exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


# ---- in a browser ---------------------------------------------------------------------------------------------------

# labels that leave their drawing, labels over one another, and a page that is wider than its window
MISHAPS = """(() => {
  const found = document.documentElement.scrollWidth > innerWidth ? ['the page is too wide'] : [];
  for (const plot of document.querySelectorAll('svg.plot')) {
    const name = plot.querySelector('title').textContent, frame = plot.getBoundingClientRect();
    const texts = [...plot.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([text, box], place) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1)
        found.push(`${name}: ${text} is cut`);
      for (const [other, its] of texts.slice(place + 1))
        if (box.left < its.right && its.left < box.right && box.top < its.bottom - 2 && its.top < box.bottom - 2)
          found.push(`${name}: ${text} over ${other}`);
    });
  }
  return found;
})()"""


@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser_every_label_has_its_room(tmp_path: Path, width: int) -> None:
    if PROGRAM is None:
        pytest.skip("no Chromium here: nothing can show how the page looks")
    for style in VOICES:
        text = page(evaluation(style, alone=style == "chorale"), bundle(style), style)
        (tmp_path / f"{style}.html").write_text(text, encoding="utf-8")
    with chromium(tmp_path) as (browser, _):
        browser.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        for style in VOICES:
            browser.open(tmp_path / f"{style}.html")
            assert browser.evaluate("document.querySelectorAll('svg.plot').length") > 5
            assert browser.evaluate(MISHAPS) == []
