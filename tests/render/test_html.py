"""The page that plays takes: what is in it, that nothing strange gets in or out."""

import base64
import hashlib
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.pages import HOSTILE, Seen, duo, endless, panel
from symusic import Tempo

import melody
from melody.cli import run
from melody.render.player import Figure, page

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
