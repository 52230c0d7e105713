"""The piano roll: notes stand where they should in their colours, and long pieces break into rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from symusic import Note, Tempo, TimeSignature, Track

from melody.errors import MelodyError
from melody.formats.colours import PALETTE
from melody.music.general_midi import DRUM_NAMES, drum_name
from melody.music.score import Score, bars
from melody.render import page, pianoroll, roll


def band(bar_count: int = 4) -> Score:
    """A flute, a bass and drums; every pitch of the flute stands alone."""
    score = Score(480)
    score.tempos = [Tempo(0, qpm=120), Tempo(1920, qpm=90)]
    score.time_signatures = [TimeSignature(0, 4, 4)]
    flute, bass, kit = Track("Flute $1$", 73, False), Track("", 32, False), Track("Kit", 0, True)
    for bar in range(bar_count):
        flute.notes.append(Note(1920 * bar, 960, 72 + bar % 12, 127))
        bass.notes.append(Note(1920 * bar + 960, 960, 40, 1))
        kit.notes.append(Note(1920 * bar + 480, 10, 36, 127))
        kit.notes.append(Note(1920 * bar + 1440, 10, 42, 127))
    score.tracks = [flute, bass, kit]
    return score


def pixel(image: np.ndarray, axes, tick: float, y: float) -> np.ndarray:
    """The colour (3,) of the picture where a panel has `tick` and `y`."""
    column, row = axes.transData.transform((tick, y))
    return image[image.shape[0] - 1 - int(row), int(column), :3]


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """(image (height, width, 4), panels) of the band, its first bar the primer."""
    path = pianoroll.draw(band(), tmp_path_factory.mktemp("roll") / "band.png", primer_ticks=1920, title="Band")
    return imread(path), pianoroll.figure(band(), 1920, "Band").axes


def test_size(picture) -> None:
    image, _ = picture
    system_height = page.layout(band()).system_height
    height = page.MARGIN * 1.5 + page.HEADING + page.LEGEND_ROW + system_height
    assert image.shape[1] == round(page.WIDTH * pianoroll.DPI)
    assert image.shape[0] == pytest.approx(height * pianoroll.DPI, abs=1)


def test_notes_have_their_tracks_colour_where_they_sound(picture) -> None:
    image, (pitched, kit) = picture
    blue, _, green = (np.array(to_rgb(colour)) for colour in PALETTE[:3])
    for bar in range(4):
        for tick in (100, 500, 900):
            assert pixel(image, pitched, 1920 * bar + tick, 72 + bar) == pytest.approx(blue, abs=0.01)
        assert np.abs(pixel(image, pitched, 1920 * bar + 1100, 72 + bar) - blue).max() > 0.3
        assert pixel(image, kit, 1920 * bar + 500, 0) == pytest.approx(green, abs=0.01)  # the kick, lowest row
        assert pixel(image, kit, 1920 * bar + 1460, 1) == pytest.approx(green, abs=0.01)


def test_velocity_is_opacity(picture) -> None:
    image, (pitched, _) = picture
    colour, ground = np.array(to_rgb(PALETTE[1])), np.ones(3)
    faint = pianoroll.FAINTEST * colour + (1 - pianoroll.FAINTEST) * ground
    assert pixel(image, pitched, 1920 + 1200, 40) == pytest.approx(faint, abs=0.02)


def test_only_the_primer_is_shaded(picture) -> None:
    image, (pitched, _) = picture
    primer = np.array(to_rgb(pianoroll.PRIMER))
    assert pixel(image, pitched, 1300, 65) == pytest.approx(primer, abs=0.01)
    assert pixel(image, pitched, 1920 + 1300, 65) == pytest.approx(np.ones(3), abs=0.01)
    assert pixel(image, pitched, 1920 + 1300, 66).max() < 0.99  # a black key's row


def test_labels() -> None:
    pitched, kit = pianoroll.figure(band(), 1920).axes
    texts = [text.get_text() for text in pitched.texts]
    assert [t for t in texts if t.isdigit()] == ["1", "2", "3", "4"]
    assert {"4/4", "♩ = 120", "♩ = 90"} <= set(texts)
    assert [label.get_text() for label in pitched.get_yticklabels()] == ["C3", "C4", "C5"]
    assert [label.get_text() for label in kit.get_yticklabels()] == ["Kick", "Closed Hi-Hat"]
    assert [text.get_text() for text in kit.texts] == ["primer"]


def test_legend_names_every_sounding_track() -> None:
    score = band()
    score.tracks.append(Track("silent", 0, False))
    names = [text.get_text() for text in pianoroll.figure(score).texts]
    assert names == ["Flute $1$", "Acoustic Bass", "Kit"]


def test_many_long_names_wrap() -> None:
    score = band()
    score.tracks = [score.tracks[0].copy() for _ in range(20)]
    for index, track in enumerate(score.tracks):
        track.name = f"Violin section, desk {index}, and more words than fit"
    rows = page.legend_rows(page.layout(score).parts)
    assert len(rows) > 3
    assert sum(map(len, rows)) == 20
    assert all(x + 0.28 + 0.07 * len(part.name) < page.WIDTH for row in rows for x, part in row)


@given(st.integers(1, 9999), st.booleans())
def test_systems_cover_all_bars_once(bar_count: int, has_pickup: bool) -> None:
    systems = page.split_systems(bar_count, has_pickup)
    assert [bar for first, last in systems for bar in range(first, last)] == list(range(bar_count))
    assert len(systems) <= page.MAX_SYSTEMS
    if bar_count <= 128:
        assert all(last - first <= 11 for first, last in systems)


def test_sixty_four_bars_are_eight_rows_of_eight() -> None:
    assert page.split_systems(64) == [(8 * row, 8 * row + 8) for row in range(8)]
    assert page.split_systems(17, has_pickup=True) == [(0, 9), (9, 17)]
    assert len(pianoroll.figure(band(64)).axes) == 2 * 8


def test_one_scale_in_all_rows() -> None:
    result = pianoroll.figure(band(20))
    scales = {round((axes.get_xlim()[1] - axes.get_xlim()[0]) / axes.get_position().width) for axes in result.axes}
    assert len(scales) == 1


@pytest.mark.parametrize(
    ("meter", "expected"), [((3, 4), [0, 480, 960]), ((6, 8), [0, 720]), ((7, 8), list(range(0, 1680, 240)))]
)
def test_beats_follow_the_meter(meter: tuple[int, int], expected: list[int]) -> None:
    score = band(1)
    score.time_signatures = [TimeSignature(0, *meter)]
    assert roll.beat_ticks(score, bars(score)[:2]) == expected


def test_a_tempo_curve_shows_what_fits() -> None:
    score = band()
    score.tempos = [Tempo(tick, qpm=60 + tick / 10) for tick in range(0, 7680, 10)]
    shown = [text for text in pianoroll.figure(score).axes[0].texts if "♩" in text.get_text()]
    assert 5 < len(shown) < 20


@pytest.mark.parametrize("track", [0, 2], ids=["only pitches", "only drums"])
def test_one_kind_of_track_is_one_panel(track: int) -> None:
    score = band()
    score.tracks = [score.tracks[track]]
    assert len(pianoroll.figure(score).axes) == 1


def test_extreme_pitches_and_strange_names_are_drawn(tmp_path) -> None:
    score = band()
    score.tracks[0].notes.append(Note(0, 1, 0, 1))
    score.tracks[0].notes.append(Note(7000, 100_000, 127, 127))
    score.tracks[0].name = "箏 $\\frac{\n"
    assert pianoroll.draw(score, tmp_path / "roll.png", title="題 $x").stat().st_size > 10_000


def test_equal_scores_make_equal_bytes(tmp_path) -> None:
    paths = [pianoroll.draw(band(), tmp_path / f"{name}.png", 1920, "Band") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nothing_is_overwritten_unasked(tmp_path) -> None:
    path = tmp_path / "roll.png"
    path.write_bytes(b"mine")
    with pytest.raises(MelodyError, match="exists"):
        pianoroll.draw(band(), path)
    assert path.read_bytes() == b"mine"
    pianoroll.draw(band(), path, force=True)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_a_score_without_notes_is_refused(tmp_path) -> None:
    with pytest.raises(MelodyError, match="no notes"):
        pianoroll.draw(Score(480), tmp_path / "roll.png")
    assert not (tmp_path / "roll.png").exists()


def test_drums_are_named_as_general_midi_does() -> None:
    assert len(DRUM_NAMES) == 47
    assert (drum_name(35), drum_name(38), drum_name(49), drum_name(81)) == (
        "Low Kick",
        "Snare",
        "Crash 1",
        "Open Triangle",
    )
    assert drum_name(20) == "Drum 20"
