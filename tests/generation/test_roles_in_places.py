"""A primer's tracks on the places of a band: by role first, then by range and name; and when a band is chosen."""

import pytest
from support.tiny_bundle import bundle_of
from symusic import Note, Track

from melody.generation.model_choice import choose
from melody.generation.primer.assignment import place_lines
from melody.music.quantize import quantize
from melody.music.score import Score

BAND = bundle_of("band")
MODELS = [bundle_of(style) for style in ("band", "chorale", "drums", "folk", "pop")]
TUNE = [(0, 1, 72), (1, 0.5, 74), (1.5, 0.5, 76), (2, 1.5, 74), (3.5, 0.5, 71)]
CHORDS = [(beat, 0.5, pitch) for beat in (0, 1.5, 2.5) for pitch in (60, 64, 67)]
LONG = [(0, 4, pitch) for pitch in (57, 60, 64)]
WALK = [(0, 1, 36), (1, 1, 40), (2, 1, 43), (3, 1, 41)]
BROKEN = [(step / 4, 0.25, 60 + (0, 4, 7, 12)[step % 4]) for step in range(16)]
HITS = [(0, 0.1, 36), (1, 0.1, 38), (2, 0.1, 36), (3, 0.1, 38)]


def track(rows: list, program: int, name: str = "", drums: bool = False) -> Track:
    result = Track(name, program, drums)
    for bar in range(4):
        for onset, duration, pitch in rows:
            result.notes.append(Note(int((4 * bar + onset) * 24), max(1, int(duration * 24)), pitch, 80))
    return result


def score(*tracks: Track) -> Score:
    result = Score(24)
    result.tracks.extend(tracks)
    return result


def places(*tracks: Track) -> dict[str, int]:
    """The number of the track on each place, by the place's name."""
    music = score(*tracks)
    placed = place_lines(quantize(music).tracks, BAND.tracks, [one.name for one in tracks])
    return {BAND.tracks[place].name: line.track for place, line in placed.items()}


def test_each_track_goes_to_its_role_whatever_the_order() -> None:
    tracks = [track(LONG, 50), track(TUNE, 73), track(HITS, 0, drums=True), track(CHORDS, 4), track(WALK, 33)]
    tracks += [track(BROKEN, 81), track(CHORDS, 27)]
    found = places(*tracks)
    assert found == {"Pad": 0, "Drums": 2, "Chords": 3, "Bass": 4, "Arpeggio": 5, "Guitar": 6} | {
        name: 1 for name in ("Lead", "Second") if name in found
    }


def test_a_bass_above_its_range_is_still_the_bass() -> None:
    high = [(onset, duration, pitch + 15) for onset, duration, pitch in WALK]
    assert places(track(high, 33), track(TUNE, 80), track(CHORDS, 4))["Bass"] == 0


def test_two_of_one_role_are_served_and_the_second_goes_where_it_is_nearest() -> None:
    other = [(onset, duration, pitch - 9) for onset, duration, pitch in TUNE]
    found = places(track(TUNE, 73), track(other, 65), track(WALK, 33))
    assert {found["Lead"], found["Second"]} == {0, 1}
    found = places(track(CHORDS, 4), track([(o, d, p + 5) for o, d, p in CHORDS], 16), track(WALK, 33), track(TUNE, 73))
    assert len(found) == 4
    assert {name for name, number in found.items() if number < 2} <= {"Chords", "Guitar", "Pad"}


@pytest.mark.parametrize(
    ("tracks", "model"),
    [
        ([track(HITS, 0, drums=True), track(WALK, 33), track(CHORDS, 4), track(TUNE, 73)], "band"),
        ([track(HITS, 0, drums=True), track(WALK, 33)], "band"),
        ([track(WALK, 33), track(CHORDS, 27), track(TUNE, 73), track(LONG, 50)], "band"),
        ([track(HITS, 0, drums=True)], "drums"),
        ([track(TUNE, 73)], "folk"),
        ([track(TUNE, 0), track(CHORDS, 0)], "pop"),
        ([track(WALK, 38)], "band"),
        ([track([(0, 1, 72), (1, 1, 74)], 52), track([(0, 1, 65), (1, 1, 67)], 52),
          track([(0, 1, 60), (1, 1, 62)], 52), track([(0, 1, 52), (1, 1, 50)], 52)], "chorale"),
    ],
    ids=["band", "rhythm section", "no drums", "drums alone", "tune", "song", "bass alone", "four voices"],
)  # fmt: skip
def test_a_band_is_chosen_where_roles_say_so(tracks: list[Track], model: str) -> None:
    chosen = choose(score(*tracks), MODELS)
    assert chosen.bundle.name == model, chosen.reason
    if model == "band" and any(one.is_drum for one in tracks):
        assert chosen.reason.startswith("drums with")
