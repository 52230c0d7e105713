"""DAWproject files: facts of the published schema, and an independent reader that gets the same music back."""

import re
import zipfile
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import assume, given, settings
from support.strategies import scores
from symusic import ControlChange, Note, PitchBend, Tempo, TextMeta, TimeSignature, Track

from melody.corpus.chorale import read_chorale
from melody.errors import LimitExceeded, MelodyError
from melody.formats.dawproject import dawproject_bytes, write_dawproject
from melody.music.score import GRID, Score, bars, meters

# ---- facts of Project.xsd and MetaData.xsd, version 1.0 --------------------------------------------------------------

NAMED = {"name", "color", "comment"}
REFERENCED = NAMED | {"id"}
TIMELINE = REFERENCED | {"timeUnit", "track"}
PARAMETER = REFERENCED | {"parameterID"}
REAL = PARAMETER | {"max", "min", "unit", "value"}


class Rule(NamedTuple):
    """What an element may hold: its children in order, as a pattern; its attributes; and those it must have."""

    children: str
    attributes: set[str]
    required: set[str] = set()  # noqa: RUF012


RULES = {
    "Project": Rule("Application (Transport )?(Structure )?(Arrangement )?(Scenes )?", {"version"}, {"version"}),
    "Application": Rule("", {"name", "version"}, {"name", "version"}),
    "Transport": Rule("(Tempo )?(TimeSignature )?", set()),
    "Tempo": Rule("", REAL, {"unit"}),
    "TimeSignature": Rule("", PARAMETER | {"numerator", "denominator"}, {"numerator", "denominator"}),
    "Structure": Rule("(Track |Channel )*", set()),
    "Track": Rule("(Channel )?(Track )*", REFERENCED | {"contentType", "loaded"}),
    "Channel": Rule(
        "(Devices )?(Mute )?(Pan )?(Sends )?(Volume )?", REFERENCED | {"audioChannels", "destination", "role", "solo"}
    ),
    "Mute": Rule("", PARAMETER | {"value"}),
    "Pan": Rule("", REAL, {"unit"}),
    "Volume": Rule("", REAL, {"unit"}),
    "Arrangement": Rule("(Lanes )?(Markers )?(TempoAutomation )?(TimeSignatureAutomation )?", REFERENCED),
    "Lanes": Rule("(Lanes |Notes |Clips |Points )*", TIMELINE),
    "Clips": Rule("(Clip )*", TIMELINE),
    "Clip": Rule("(Lanes |Notes )?", NAMED | {"time", "duration", "playStart"}, {"time"}),
    "Notes": Rule("(Note )*", TIMELINE),
    "Note": Rule("", {"time", "duration", "channel", "key", "vel", "rel"}, {"time", "duration", "channel", "key"}),
    "Markers": Rule("(Marker )+", TIMELINE),
    "Marker": Rule("", NAMED | {"time"}, {"time"}),
    "Points": Rule("Target (RealPoint )*", TIMELINE | {"unit"}),
    "TempoAutomation": Rule("Target (RealPoint )*", TIMELINE | {"unit"}),
    "TimeSignatureAutomation": Rule("Target (TimeSignaturePoint )*", TIMELINE | {"unit"}),
    "Target": Rule("", {"parameter", "expression", "channel", "key", "controller"}),
    "RealPoint": Rule("", {"time", "value", "interpolation"}, {"time", "value"}),
    "TimeSignaturePoint": Rule("", {"time", "numerator", "denominator"}, {"time", "numerator", "denominator"}),
    "Scenes": Rule("(Scene )*", set()),
    "MetaData": Rule("(Title )?(Artist )?(Composer )?(Comment )?", set()),
    "Title": Rule("", set()),
    "Comment": Rule("", set()),
}
VALUES = {
    "timeUnit": r"beats|seconds",
    "unit": r"linear|normalized|percent|decibel|hertz|semitones|seconds|beats|bpm",
    "role": r"regular|master|effect|submix|vca",
    "interpolation": r"hold|linear",
    "contentType": r"(?:(?:audio|automation|notes|video|markers|tracks) ?)+",
    "color": r"#[0-9a-f]{6}",
    "channel": r"\d+",
    "key": r"\d+",
    "time": r"-?\d+(?:\.\d+)?",
    "duration": r"\d+(?:\.\d+)?",
}


def assert_valid(root: Element) -> None:
    """The document keeps the rules, every identity is unique and every reference leads to one."""
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        rule = RULES[element.tag]
        assert re.fullmatch(rule.children, "".join(f"{child.tag} " for child in element)), element.tag
        assert rule.required <= set(element.keys()) <= rule.attributes, element.tag
        for name, value in element.items():
            assert re.fullmatch(VALUES.get(name, r"[^\0]*"), value), (element.tag, name, value)
        for name in ("track", "destination", "parameter"):
            assert element.get(name) is None or element.get(name) in ids


# ---- an independent reader -------------------------------------------------------------------------------------------


class Project(NamedTuple):
    """What a DAW would show, times in ticks of `tpq`."""

    tracks: list[tuple[str, list[tuple[int, int, int, int, int]]]]  # name; onset, duration, key, velocity, channel
    tempos: list[tuple[int, float]]
    meters: list[tuple[int, int, int]]
    markers: list[tuple[int, str]]
    end: int


def unpack(data: bytes, folder: Path) -> tuple[Element, Element]:
    (folder / "a.dawproject").write_bytes(data)
    with zipfile.ZipFile(folder / "a.dawproject") as archive:
        assert archive.testzip() is None
        return fromstring(archive.read("project.xml")), fromstring(archive.read("metadata.xml"))


def read_project(root: Element, tpq: int) -> Project:
    def ticks(element: Element, name: str = "time") -> int:
        value = float(element.get(name, "")) * tpq
        assert abs(value - round(value)) < 1e-4
        return round(value)

    names = {track.get("id"): track.get("name", "") for track in root.iterfind("Structure/Track")}
    tracks, ends = [], set()
    for lane in root.iterfind("Arrangement/Lanes/Lanes"):
        (clip,) = lane.iter("Clip")
        assert ticks(clip) == 0
        ends.add(ticks(clip, "duration"))
        rows = [
            (
                ticks(n),
                ticks(n, "duration"),
                int(n.get("key", "")),
                round(127 * float(n.get("vel", ""))),
                int(n.get("channel", "")),
            )
            for n in clip.iter("Note")
        ]
        tracks.append((names[lane.get("track")], rows))
    tempos = [(ticks(p), float(p.get("value", ""))) for p in root.iterfind("Arrangement/TempoAutomation/RealPoint")]
    points = root.iterfind("Arrangement/TimeSignatureAutomation/TimeSignaturePoint")
    changes = [(ticks(p), int(p.get("numerator", "")), int(p.get("denominator", ""))) for p in points]
    markers = [(ticks(m), m.get("name", "")) for m in root.iterfind("Arrangement/Markers/Marker")]
    return Project(tracks, tempos, changes, markers, max(ends))


# ---- tests -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(scores())
def test_projects_are_valid_and_hold_the_same_music(tmp_path_factory: pytest.TempPathFactory, score: Score) -> None:
    assume(len(score.tracks))
    try:
        data = dawproject_bytes(score)
    except LimitExceeded:
        assume(False)
    root, about = unpack(data, tmp_path_factory.mktemp("project"))
    assert_valid(root)
    assert_valid(about)
    project = read_project(root, score.tpq)
    assert [rows for _, rows in project.tracks] == [
        [(n.time, n.duration, n.pitch, n.velocity, 9 if track.is_drum else 0) for n in track.notes]
        for track in score.tracks
    ]
    assert project.meters == meters(score)
    given_tempos = {0: 120.0} | {t.time: t.qpm for t in sorted(score.tempos, key=lambda t: t.time)}
    assert [tick for tick, _ in project.tempos] == list(given_tempos)
    assert [qpm for _, qpm in project.tempos] == pytest.approx(list(given_tempos.values()))


def test_a_chorale_with_names_colours_and_markers(tmp_path: Path) -> None:
    score = read_chorale("bach/bwv276.mxl")
    score.markers.extend([TextMeta(0, "Theme & <co>"), TextMeta(480, "New")])
    path = write_dawproject(score, tmp_path / "a.dawproject", title="Lobt Gott")
    root, about = unpack(path.read_bytes(), tmp_path)
    assert_valid(root)
    project = read_project(root, score.tpq)
    assert [name for name, _ in project.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    colours = [track.get("color") for track in root.iterfind("Structure/Track")][:4]
    assert len(set(colours)) == 4
    assert project.markers == [(0, "Theme & <co>"), (480, "New")]
    assert project.meters[:2] == [(0, 1, 4), (480, 4, 4)]
    assert project.end == bars(score)[-1]
    assert about.findtext("Title") == "Lobt Gott"


def test_controllers_and_bends_lie_in_the_clip(tmp_path: Path) -> None:
    score = Score(GRID)
    track = Track("", 33, False)
    track.notes.append(Note(0, 24, 40, 100))
    track.controls.extend([ControlChange(0, 64, 127), ControlChange(12, 64, 0), ControlChange(0, 7, 127)])
    track.pitch_bends.extend([PitchBend(0, -8192), PitchBend(12, 8191)])
    score.tracks.append(track)
    root, _ = unpack(dawproject_bytes(score), tmp_path)
    assert_valid(root)
    curves = {
        (points.find("Target").get("expression"), points.find("Target").get("controller")): [  # type: ignore[union-attr]
            (float(p.get("time", "")), float(p.get("value", ""))) for p in points.iter("RealPoint")
        ]
        for points in root.iter("Points")
    }
    assert curves == {
        ("channelController", "7"): [(0, 1)],
        ("channelController", "64"): [(0, 1), (0.5, 0)],
        ("pitchBend", None): [(0, 0), (0.5, 1)],
    }
    assert root.find("Structure/Track").get("name") == "Electric Bass (finger)"  # type: ignore[union-attr]


def test_the_opening_tempo_and_meter_stand_in_the_transport(tmp_path: Path) -> None:
    score = read_chorale("bach/bwv227.3.mxl")
    score.tempos = [Tempo(0, qpm=75)]
    score.time_signatures = [TimeSignature(0, 3, 2)]
    root, _ = unpack(dawproject_bytes(score), tmp_path)
    tempo, meter = root.find("Transport/Tempo"), root.find("Transport/TimeSignature")
    assert tempo is not None
    assert meter is not None
    assert float(tempo.get("value", "")) == 75
    assert (meter.get("numerator"), meter.get("denominator")) == ("3", "2")


def test_the_same_score_gives_the_same_bytes_and_files_stay(tmp_path: Path) -> None:
    score = read_chorale("bach/bwv227.3.mxl")
    path = write_dawproject(score, tmp_path / "a.dawproject")
    assert path.read_bytes() == dawproject_bytes(score)
    with pytest.raises(MelodyError, match="exists"):
        write_dawproject(score, path)
    assert write_dawproject(score, path, force=True) == path


def test_a_score_without_tracks_makes_no_project() -> None:
    with pytest.raises(MelodyError, match="without tracks"):
        dawproject_bytes(Score(GRID))
