"""Words become settings; what is unknown is said and never guessed."""

import json
from pathlib import Path

import pytest

from melody.cli import run
from melody.errors import UsageError
from melody.generation import describe as vocabulary
from melody.generation.describe import describe
from melody.generation.settings import settings_of
from melody.tokens.vocabulary import METERS

STYLES = {"chorale": ["bach", "hymn"], "folk": [], "piano": ["mazurka", "rag"], "drums": ["groove", "fill"]}


@pytest.mark.parametrize(
    ("text", "settings", "model"),
    [
        (
            "slow waltz in D minor, sparse, for piano",
            {"key": "D minor", "meter": (3, 4), "density": "low", "tempo_qpm": 95.0},
            "piano",
        ),
        ("a jig in G, 16 bars", {"key": "G major", "meter": (6, 8), "bars": 16, "tempo_qpm": 168.0}, "folk"),
        ("Larghetto, re minore", {"key": "D minor", "tempo_qpm": 60.0}, None),
        ("hymn in E flat major", {"key": "Eb major", "style": "hymn"}, "chorale"),
        ("busy; 5/4 at 90 bpm", {"density": "high", "meter": (5, 4), "tempo_qpm": 90.0}, None),
        ("sad, for choir", {"key": "A minor"}, "chorale"),
        ("alla breve in F#", {"meter": (2, 2), "key": "F# major"}, None),
    ],
)
def test_words_become_settings(text, settings, model):
    found = describe(text, STYLES)
    assert (dict(found.settings), found.model, found.unknown) == (settings, model, ())
    settings_of(settings)  # which are allowed


def test_words_of_degree_change_the_tempo():
    tempo = {t: describe(t, {}).settings["tempo_qpm"] for t in ("allegro", "allegro ma non troppo", "molto allegro")}
    assert tempo["allegro ma non troppo"] < tempo["allegro"] < tempo["molto allegro"]
    assert describe("very slow", {}).settings["tempo_qpm"] < describe("slow", {}).settings["tempo_qpm"]
    assert describe("slow waltz", {}).settings["tempo_qpm"] < describe("waltz", {}).settings["tempo_qpm"]


def test_what_is_unknown_or_denied_is_said():
    found = describe("mauve waltz without drums, like Chopin", STYLES)
    assert found.unknown == ("mauve", "not drums", "like", "chopin")
    assert found.model is None
    for text in ("", "   ", "purple haze", "x" * 501, "zither " * 10):
        with pytest.raises(UsageError, match="describe"):
            describe(text, STYLES)


def test_a_style_or_instrument_needs_a_model_that_has_it():
    assert describe("slow rag", {"folk": []}).model is None
    assert describe("slow, for piano", {"folk": []}).unknown == ("piano",)


def test_the_vocabulary_is_within_the_limits():
    for word in (*vocabulary.TEMPI, *vocabulary.DENSITIES, *vocabulary.MODES, *vocabulary.DANCES):
        settings_of(describe(word, {**STYLES, "lied": [], "pop": []}).settings)
    assert {dance.meter for dance in vocabulary.DANCES.values() if dance.meter} <= set(METERS)


def test_compose_says_what_it_understood(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["compose", "--describe", "gloomy slow hymn in D minor, 2 bars", "--seed", "1", "--tempo", "70"]
    assert run([*asked, "--out", "x.mid"]) == 0
    printed = capsys.readouterr().out
    assert "understood: in d minor: key D minor" in printed
    assert "not understood: gloomy" in printed
    assert run([*asked, "--out", "y.mid", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "chorale"
    assert report["takes"][0]["settings"]["tempo_qpm"] == 70
    assert report["described"]["not_understood"] == ["gloomy"]
