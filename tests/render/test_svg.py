"""The piano roll of a page, as SVG."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from support.pages import Seen, duo
from symusic import Note, Tempo, TimeSignature, Track

from melody.formats.colours import PALETTE
from melody.music.score import Score
from melody.render import svg
from melody.render.page import layout
from melody.render.pianoroll import figure


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


def test_the_picture_and_the_drawing_show_the_same() -> None:
    score = duo(40)
    score.time_signatures = [TimeSignature(0, 4, 4), TimeSignature(7680, 3, 4)]
    score.tempos = [Tempo(0, qpm=120), Tempo(960, qpm=90)]
    letters = {0: "A", 4: "B"}
    drawn = svg.systems_of(layout(score, 3840, None, letters))
    words = [word for system in drawn for word in re.findall(r'<text class="(?!row)[^>]*>([^<]+)<', system.svg)]
    painted = figure(score, 3840, "", None, letters)
    assert sorted(words) == sorted(text.get_text() for axes in painted.axes for text in axes.texts)
    notes = sum(
        len(shapes.get_paths()) for axes in painted.axes for shapes in axes.collections if shapes.get_zorder() == 3
    )
    assert notes == sum(len(re.findall(r'<rect class="v\d"', system.svg)) for system in drawn) == 80
