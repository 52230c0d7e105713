"""The API: it gives what the library gives, in one answer or as events, and errors in one line."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from support.primers import kit, part, piano, primer, tune
from support.studio_client import Client, running

import melody
from melody.cli import run
from melody.music.score import note_count
from melody.studio.bounds import Bounds
from melody.studio.edits import without_empty


@pytest.fixture(scope="session")
def band() -> bytes:
    """Drums, bass and keys, four bars."""
    return melody.write(primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33), piano()))


def test_a_take_is_the_one_of_the_library(client: Client, band: bytes) -> None:
    score = client.upload(band, "band.mid")
    answer = client.json("POST", "/v1/compose", {"score": score["id"], "settings": {"bars": 2}, "takes": 2, "seed": 7})
    takes = melody.load(answer["model"]).compose(melody.read(band), bars=2, takes=2, seed=7)
    assert [take["take"] for take in answer["takes"]] == [1, 2]
    for told, take in zip(answer["takes"], takes, strict=True):
        status, headers, midi = client.ask("GET", f"/v1/scores/{told['score']}/file/take.mid")
        assert status == 200
        assert headers["content-type"] == "audio/midi"
        ours = melody.read(midi)
        assert note_count(ours) == note_count(take.score)
        assert [t.notes for t in ours.tracks] == [t.notes for t in take.score.tracks if len(t.notes)]


def test_events_come_bar_by_bar_from_all_takes_and_make_the_same_takes(client: Client, band: bytes) -> None:
    score = client.upload(band, "band.mid")
    asked = {"score": score["id"], "settings": {"bars": 3}, "takes": 3, "seed": 7}
    events = client.events(asked)
    assert [events[0]["event"], events[-1]["event"]] == ["start", "done"]
    assert [event["take"] for event in events[1:4]] == [1, 2, 3]  # all begin before one is finished
    assert [event["event"] for event in events[1:4]] == ["bar"] * 3
    takes = {event["take"]: event for event in events if event["event"] == "take"}
    together = client.json("POST", "/v1/compose", asked)["takes"]
    assert {number: take["score"] for number, take in takes.items()} == {t["take"]: t["score"] for t in together}
    for number, take in takes.items():
        view = client.json("GET", f"/v1/scores/{take['score']}")
        new = {tuple(n) for t in view["tracks"] for n in t["notes"] if n[0] >= take["first_new_tick"]}
        told = {tuple(n[1:]) for e in events if e["event"] == "bar" and e["take"] == number for n in e["notes"]}
        assert view["tpq"] == events[0]["tpq"]
        assert new == told


def test_variations_and_added_parts_come_as_events_too(client: Client, band: bytes) -> None:
    score = client.upload(band, "band.mid")
    for settings in ({"fill": [1, 4], "strength": 0.3}, {"add": ["pad"]}):
        events = client.events({"score": score["id"], "settings": settings, "takes": 2, "seed": 7})
        assert [event["event"] for event in events if event["event"] != "bar"] == ["start", "take", "take", "done"]


def test_from_nothing_and_with_a_file(client: Client, band: bytes) -> None:
    import base64

    nothing = client.json("POST", "/v1/compose", {"model": "folk", "settings": {"bars": 2}, "seed": 1})
    assert nothing["model"] == "folk"
    body = {"file": base64.b64encode(band).decode(), "name": "band.mid", "settings": {"bars": 1}}
    assert client.json("POST", "/v1/compose", body)["takes"][0]["settings"]["primer"]["name"] == "band.mid"


def test_what_a_take_says_of_itself_composes_it_again(client: Client, band: bytes, tmp_path: Path) -> None:
    """By its settings, and by `melody compose --replay` of its file beside that of the primer."""
    score = client.upload(band, "band.mid")
    first = client.json("POST", "/v1/compose", {"score": score["id"], "settings": {"fill": [2, 3], "tracks": ["Bass"]}})
    take = first["takes"][0]
    again = {
        "score": score["id"],
        "model": take["settings"]["model"],
        "settings": take["settings"],
        "seed": take["seed"],
    }
    assert client.json("POST", "/v1/compose", again)["takes"][0]["score"] == take["score"]
    for name, of in (("band.mid", score["id"]), ("take.mid", take["score"])):
        (tmp_path / name).write_bytes(client.ask("GET", f"/v1/scores/{of}/file/{name}")[2])
    assert run(["compose", "--replay", str(tmp_path / "take.mid"), "--out", str(tmp_path / "again.mid")]) == 0
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "take.mid").read_bytes()


def test_its_command_line_composes_it_again(client: Client, band: bytes, tmp_path: Path) -> None:
    import shlex

    score = client.upload(band, "band.mid")
    asked = {
        "bars": 2,
        "temperature": 0.9,
        "key": "E minor",
        "strict_key": True,
        "ending": False,
        "ranges": {"Bass": [30, 50]},
    }
    take = client.json("POST", "/v1/compose", {"score": score["id"], "settings": asked, "takes": 2, "seed": 5})[
        "takes"
    ][1]
    words = shlex.split(take["command"])
    assert words[:3] == ["melody", "compose", "band.mid"]
    (tmp_path / "band.mid").write_bytes(band)
    assert run(["compose", str(tmp_path / "band.mid"), *words[3:], "--out", str(tmp_path)]) == 0
    mine = client.ask("GET", f"/v1/scores/{take['score']}/file/take.mid")[2]
    assert (tmp_path / "band-band-5-2.mid").read_bytes() == mine


def test_going_on_from_a_bar_leaves_out_what_follows(client: Client, band: bytes) -> None:
    score = client.upload(band, "band.mid")
    take = client.json("POST", "/v1/compose", {"score": score["id"], "until": 2, "settings": {"bars": 1}})["takes"][0]
    view = client.json("GET", f"/v1/scores/{take['score']}")
    assert len(view["bars"]) - 1 == 3
    assert take["first_new_tick"] == view["bars"][2]


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"settings": {"bras": 4}}, 400, "usage", "unknown option 'bras'"),
        ({"settings": {"bars": "four"}}, 400, "usage", "`bars`: give a whole number"),
        ({"setings": {}}, 400, "usage", "`setings`: extra inputs are not permitted"),
        ({"settings": {"bars": 500}}, 413, "limit_exceeded", "takes up to 128"),
        ({"takes": 1000}, 400, "usage", "`takes` must lie in [1, 9]"),
        ({"model": "../../etc"}, 400, "usage", "there are band"),
        ({"score": "nothing"}, 404, "not_there", "send its file again"),
        ({"file": "%%%"}, 400, "usage", "is not base64"),
        ({"file": "AAAA"}, 422, "unreadable_file", "theme.mid: holds nothing but zeros"),
        ({"settings": {"fill": [1, 2]}}, 400, "usage", "give a primer too"),
        ({"settings": {"ranges": 7}}, 400, "usage", "`ranges`"),
        ([1], 400, "usage", "dictionary"),
    ],
)
def test_errors_are_one_line_with_a_code(client: Client, body: object, status: int, code: str, says: str) -> None:
    got, name, line = client.error("POST", "/v1/compose", body)
    assert (got, name) == (status, code)
    assert says in line
    assert "\n" not in line


def test_a_file_that_is_no_music_is_refused_by_name(client: Client) -> None:
    status, code, line = client.error("POST", "/v1/scores?name=photo.png", b"\x89PNG\r\n\x1a\n1234")
    assert (status, code) == (422, "unreadable_file")
    assert line.startswith("photo.png: a damaged PNG picture")


def test_an_edit_makes_a_new_score_and_what_a_hand_wrote_stays(client: Client, band: bytes) -> None:
    score = client.upload(band, "band.mid")
    bass = next(i for i, track in enumerate(score["tracks"]) if track["name"] == "Bass")
    onset, _, pitch, _ = score["tracks"][bass]["notes"][4]
    hand = [bass, onset, 960, 52, 101]
    edited = client.json("POST", f"/v1/scores/{score['id']}/edit", {"remove": [[bass, onset, pitch]], "add": [hand]})
    assert hand[1:] in edited["tracks"][bass]["notes"]
    assert [onset, 480, pitch, 80] not in edited["tracks"][bass]["notes"]
    assert edited["hand"] == [hand]
    asked = {"score": edited["id"], "settings": {"fill": [2, 2], "tracks": ["Bass"], "best_of": 1}, "takes": 3}
    for take in client.json("POST", "/v1/compose", asked)["takes"]:
        view = client.json("GET", f"/v1/scores/{take['score']}")
        assert hand[1:] in view["tracks"][bass]["notes"]
        assert view["hand"] == [hand]
        over = [n for n in view["tracks"][bass]["notes"] if n[0] < onset + 960 and n[0] + n[1] > onset]
        assert over == [hand[1:]]
    plain = client.json("GET", f"/v1/scores/{score['id']}")
    assert plain["hand"] == []


@pytest.mark.parametrize("note", [[9, 0, 10, 60, 80], [0, -5, 10, 60, 80], [0, 0, 10, 128, 80], [0, 0, 0, 60, 80]])
def test_notes_that_cannot_be_are_refused(client: Client, band: bytes, note: list[int]) -> None:
    score = client.upload(band)
    status, code, line = client.error("POST", f"/v1/scores/{score['id']}/edit", {"add": [note]})
    assert (status, code) == (400, "usage")
    assert str(note) in line


def test_stems_and_an_edit_that_renders_only_what_it_touches(client: Client, band: bytes) -> None:
    import soundfile

    score = client.upload(band, "band.mid")
    stems = client.json("GET", f"/v1/scores/{score['id']}/stems")
    assert [stem["track"] for stem in stems["stems"]] == [0, 1, 2]
    for stem in stems["stems"]:
        status, headers, data = client.ask("GET", f"/v1/sounds/{stem['sound']}")
        assert status == 200
        assert "immutable" in headers["cache-control"]
        samples, rate = soundfile.read(io.BytesIO(data))
        assert len(samples) / rate == pytest.approx(stems["seconds"], abs=0.1)
        assert abs(samples).max() == pytest.approx(0.9, abs=0.02)
    edited = client.json("POST", f"/v1/scores/{score['id']}/edit", {"add": [[1, 0, 480, 55, 90]]})
    after = client.json("GET", f"/v1/scores/{edited['id']}/stems")
    changed = [a["sound"] != b["sound"] for a, b in zip(stems["stems"], after["stems"], strict=True)]
    assert changed == [False, True, False]


@pytest.mark.parametrize("name", ["tune.abc", "tune.krn", "tune.musicxml", "tune.mid"])
def test_files_of_each_kind_become_scores(client: Client, tmp_path: Path, name: str) -> None:
    written = {
        "tune.abc": b"X:1\nT:A tune\nM:4/4\nL:1/4\nK:G\nGABc|d4|\n",
        "tune.krn": b"**kern\n*M4/4\n=1\n4g\n4a\n4b\n4cc\n=2\n1dd\n==\n*-\n",
    }
    if name not in written:
        score = melody.read(written["tune.abc"])
        melody.write(score, tmp_path / name)
        written[name] = (tmp_path / name).read_bytes()
    view = client.upload(written[name], name)
    assert [note[2] for note in view["tracks"][0]["notes"]] == [67, 69, 71, 72, 74]
    assert len(view["bars"]) == 3


def test_an_excerpt_begins_where_it_is_asked_for_and_rings_on(client: Client, band: bytes) -> None:
    import soundfile

    score = client.upload(band, "band.mid")
    bar = score["tempos"][-1][2] / 4
    whole, heard = {}, {}
    for name, query in {"all": "", "kit": "&tracks=0", "none": "&tracks="}.items():
        status, headers, data = client.ask("GET", f"/v1/scores/{score['id']}/excerpt?start={bar}&stop={3 * bar}{query}")
        assert status == 200
        samples, rate = soundfile.read(io.BytesIO(data))
        assert float(headers["seconds"]) == pytest.approx(2 * bar, abs=1e-3)  # two bars, and a second more to ring
        assert len(samples) / rate == pytest.approx(2 * bar + 1, abs=0.01)
        whole[name], heard[name] = samples, abs(samples).max() * float(headers["gain"])
    assert heard["none"] == 0 < min(heard["kit"], heard["all"])
    assert abs(whole["kit"][: rate // 10]).max() > 0.05  # a bass drum on the first beat, not the bar before
    for wrong in ("start=-1", "start=1000", "start=nan", "tracks=a"):
        assert client.error("GET", f"/v1/scores/{score['id']}/excerpt?{wrong}")[:2] == (400, "usage")


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".dawproject", ".wav", ".zip", ".html"])
def test_a_score_as_a_file(client: Client, suffix: str) -> None:
    score = client.upload(melody.write(primer(tune())), "tune.mid")
    status, headers, data = client.ask("GET", f"/v1/scores/{score['id']}/file/x{suffix}")
    assert status == 200
    assert headers["content-disposition"] == f'attachment; filename="tune{suffix}"'
    if suffix == ".mid":
        assert len(melody.read(data).tracks) == 1
    if suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.namelist() == ["01-Fiddle.wav"]
            assert len(archive.read("01-Fiddle.wav")) > 100_000


def test_one_track_as_a_file(client: Client, band: bytes) -> None:
    score = client.upload(band, "band.mid")
    data = client.ask("GET", f"/v1/scores/{score['id']}/file/x.mid?track=1")[2]
    assert [track.name for track in melody.read(data).tracks] == ["Bass"]
    assert client.error("GET", f"/v1/scores/{score['id']}/file/x.mid?track=7")[1] == "usage"
    assert client.error("GET", f"/v1/scores/{score['id']}/file/x.exe")[1] == "usage"


def test_a_composition_can_be_cancelled_by_its_id_and_by_going_away(client: Client, band: bytes) -> None:
    import http.client
    import time

    score = client.upload(band)
    body = json.dumps({"score": score["id"], "settings": {"bars": 128}, "takes": 9})
    for by_id in (True, False):
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
        headers = {"Authorization": f"Bearer {client.token}", "Accept": "text/event-stream"}
        connection.request("POST", "/v1/compose", body, headers | {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.readline() == b"event: start\n"
        task = json.loads(answer.readline()[6:])["task"]
        (row,) = client.json("GET", "/v1/tasks")
        assert (row["task"], row["state"]) == (task, "composing")
        assert 0 <= row["progress"] < 1
        if by_id:
            client.json("DELETE", f"/v1/tasks/{task}")
            assert b"event: cancelled" in answer.read()
        connection.close()
        deadline = time.monotonic() + 60
        while client.json("GET", "/v1/tasks"):
            assert time.monotonic() < deadline, "goes on although nobody listens"
            time.sleep(0.05)
    assert client.error("DELETE", "/v1/tasks/none")[0] == 404


def test_more_work_than_it_takes_on_is_refused_with_429(tmp_path: Path, band: bytes) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with running(tmp_path, Bounds(composers=1, waiting=1, requests=8)) as client:
        asked = {"settings": {"bars": 16}, "model": "band"}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.ask("POST", "/v1/compose", asked), range(8)))
        codes = [status for status, _, _ in answers]
        assert 200 in codes
        assert 429 in codes
        assert set(codes) == {200, 429}
        assert all(headers["retry-after"] == "1" for status, headers, _ in answers if status == 429)
        assert client.json("GET", "/v1/tasks") == []


def test_a_composition_ends_at_its_limit_of_time(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(compose_seconds=0.05)) as client:
        status, code, line = client.error(
            "POST", "/v1/compose", {"settings": {"bars": 128}, "takes": 9, "model": "band"}
        )
        assert (status, code) == (503, "too_long")
        assert "`bars`" in line


def test_the_api_is_described_with_examples(client: Client) -> None:
    described = client.json("GET", "/v1/openapi.json")
    asked = described["components"]["schemas"]["ComposeBody"]
    assert asked["examples"][0]["settings"]["bars"] == 8
    settings = asked["properties"]["settings"]["properties"]
    assert {"bars", "temperature", "fill", "chords"} <= settings.keys()
    assert "sampling" not in settings
    for path, calls in described["paths"].items():
        for call in calls.values():
            assert call["summary"], path
    about = client.json("GET", "/v1/about")
    assert {model["name"] for model in about["models"]} >= {"band", "chorale", "folk"}
    assert about["settings"]["properties"].keys() == settings.keys()


def test_a_take_that_silences_a_track_leaves_the_hand_its_own() -> None:
    """A file has no track without notes, so those behind it have other numbers when it is read."""
    score = primer(kit(), part("Bass", [40, 40, 43, 45] * 2, 33), piano())
    hand = [(2, 0, 480, 60, 90)]
    assert without_empty(score, hand) == hand
    score.tracks[1].notes = []
    (left,) = without_empty(score, hand)
    read = melody.read(melody.write(score))
    assert left == (1, *hand[0][1:])
    assert read.tracks[left[0]].name == score.tracks[2].name
