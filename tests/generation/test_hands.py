"""A model of two hands: one track is divided between them, two are right and left, and it is chosen for a keyboard."""

import numpy as np
import pytest
from support.tiny_bundle import bundle_of, write_styles
from symusic import Note, Track

from melody.generation import Composer
from melody.generation.model_choice import choose
from melody.generation.primer.assignment import place_lines
from melody.music.quantize import quantize
from melody.music.score import Score, notes_of

PIANO = bundle_of("piano")
MODELS = [bundle_of(style) for style in ("band", "chorale", "drums", "folk", "piano", "pop")]
RIGHT = [(0, 1, 72), (0, 1, 76), (1, 0.5, 74), (1.5, 0.5, 77), (2, 2, 71), (2, 2, 79)]
LEFT = [(0, 1, 48), (1, 1, 52), (1, 1, 55), (2, 1, 43), (3, 1, 50), (3, 1, 53)]
TUNE = [(0, 1, 72), (1, 0.5, 74), (1.5, 0.5, 76), (2, 1.5, 74), (3.5, 0.5, 71)]


def track(rows: list[tuple[float, float, int]], program: int = 0, name: str = "") -> Track:
    result = Track(name, program, False)
    for bar in range(4):
        result.notes.extend([Note(int((4 * bar + at) * 24), int(long * 24), pitch, 80) for at, long, pitch in rows])
    return result


def score(*tracks: Track) -> Score:
    result = Score(24)
    result.tracks.extend(tracks)
    return result


def pitches(music: Score) -> dict[str, set[int]]:
    """The pitches on each place, by its name."""
    placed = place_lines(quantize(music).tracks, PIANO.tracks, [one.name for one in music.tracks])
    return {PIANO.tracks[place].name: set(line.notes.pitch.tolist()) for place, line in placed.items()}


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_tracks_the_higher_one_is_the_right_hand(order: int) -> None:
    found = pitches(score(*[track(RIGHT), track(LEFT)][::order]))
    assert found == {"Right hand": {p for _, _, p in RIGHT}, "Left hand": {p for _, _, p in LEFT}}


def test_one_track_is_divided_as_a_player_would() -> None:
    found = pitches(score(track(RIGHT + LEFT)))
    assert found == {"Right hand": {p for _, _, p in RIGHT}, "Left hand": {p for _, _, p in LEFT}}


def test_what_both_hands_compose_goes_back_to_the_one_track(tmp_path) -> None:
    composer = Composer(write_styles(tmp_path, ["piano"]) / "piano")
    music = score(track(RIGHT + LEFT, name="Piano"))
    (take,) = composer.compose(music, bars=2, seed=1)
    assert len(take.score.tracks) == 1
    new = notes_of(take.score.tracks[0])
    assert (new.onset >= take.first_new_tick).any()
    old = new.take(new.onset < take.first_new_tick)
    assert np.array_equal(np.sort(old.pitch), np.sort(notes_of(music.tracks[0]).pitch))
    assert "Piano: read and continued as two hands" in take.messages


@pytest.mark.parametrize(
    ("tracks", "model"),
    [
        ([track(RIGHT + LEFT)], "piano"),
        ([track(RIGHT, name="Piano RH"), track(LEFT, name="Piano LH")], "piano"),
        ([track(TUNE, 0, "Melody"), track(LEFT, 0, "Piano")], "pop"),
        ([track(TUNE, 52, "Choir"), track(LEFT)], "pop"),
        ([track(TUNE)], "folk"),
        ([track(TUNE, 73)], "folk"),
        ([track(TUNE, 33), track(LEFT, 27)], "pop"),
    ],
    ids=["one track", "two hands", "song", "other sound", "line", "flute", "two guitars"],
)
def test_two_hands_are_chosen_for_a_keyboard(tracks: list[Track], model: str) -> None:
    chosen = choose(score(*tracks), MODELS)
    assert chosen.bundle.name == model, chosen.reason
