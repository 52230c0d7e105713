"""More tracks than a band has places: those left go on too, around the others, and what was given stays."""

from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import write_styles
from symusic import Note, Track

from melody.generation import Composer
from melody.music.score import Score, most_at_once, notes_of

TPQ = 480
BARS = 6
PROGRAMS = (33, 4, 27, 80, 73, 50, 81, 56, 16, 11, 65, 48, 71, 60, 25)


def orchestra(tracks: int, silent: str = "") -> Score:
    """Drums and further tracks, each with a range of its own; the one called `silent` ends four bars early."""
    score = Score(TPQ)
    drums = Track("Kit", 0, True)
    drums.notes.extend([Note(beat * TPQ, 60, (36, 38)[beat % 2], 90) for beat in range(4 * BARS)])
    score.tracks.append(drums)
    for number in range(tracks - 1):
        track = Track(f"Track {number}", PROGRAMS[number], False)
        pitch = 36 if number == 0 else 52 + 3 * number
        beats = 4 * (BARS - 5) if track.name == silent else 4 * BARS
        track.notes.extend([Note(beat * TPQ, TPQ, pitch + (beat * 5) % 7, 80) for beat in range(beats)])
        score.tracks.append(track)
    return score


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_styles(tmp_path_factory.mktemp("bundles"), ["band", "pop"])


@pytest.mark.parametrize("tracks", [9, 12, 16])
def test_every_track_goes_on_in_its_range_and_what_was_given_stays(folder: Path, tracks: int) -> None:
    given = orchestra(tracks)
    (take,) = Composer(folder / "band").compose(given, bars=4, seed=2)
    assert len(take.score.tracks) == tracks
    for before, after in zip(given.tracks, take.score.tracks, strict=True):
        notes, old = notes_of(after), notes_of(before)
        new = notes.take(notes.onset >= take.first_new_tick)
        assert len(notes.onset) - len(new.onset) == len(old.onset)
        assert list(after.notes)[: len(old.onset)] == list(before.notes)
        assert new.onset.max(initial=0) < take.first_new_tick + 4 * 4 * TPQ
        if not before.is_drum and len(new.onset):
            assert old.pitch.min() - 5 <= new.pitch.min() <= new.pitch.max() <= old.pitch.max() + 5
    sounding = sum(len(np.flatnonzero(notes_of(one).onset >= take.first_new_tick)) > 0 for one in take.score.tracks)
    assert sounding > 8
    assert take.notes == sum(len(notes_of(one).onset) for one in take.score.tracks) - sum(
        len(one.notes) for one in given.tracks
    )
    assert not [message for message in take.messages if "not continued" in message]
    beyond = "1 track" if tracks == 9 else f"{tracks - 8} tracks"
    assert f"{beyond} beyond the 8 that band writes at once: composed around the others" in take.messages
    assert {name for name, _ in take.places} == {one.name for one in given.tracks}


def test_every_part_is_as_loud_as_it_was_played(folder: Path) -> None:
    given = orchestra(10)
    for number, track in enumerate(given.tracks[1:]):
        track.notes = [Note(n.time, n.duration, n.pitch, 30 + 10 * number + n.pitch % 3) for n in track.notes]
    composer = Composer(folder / "band")
    (take,) = composer.compose(given, bars=4, seed=2)
    for before, after in zip(given.tracks[1:], take.score.tracks[1:], strict=True):
        new = notes_of(after).velocity[notes_of(after).onset >= take.first_new_tick]
        played = notes_of(before).velocity
        assert played.min() <= new.min(initial=127)
        assert new.max(initial=0) <= played.max()
    heard = [note.velocity for note in composer.stream(given, bars=4, seed=2) if note.track == 3]
    assert heard
    assert set(heard) <= {50, 51, 52}


@pytest.mark.parametrize("name", ["Track 0", "Track 7", "Track 13"])
def test_bars_of_any_track_are_filled(folder: Path, name: str) -> None:
    given = orchestra(15)
    (take,) = Composer(folder / "band").compose(given, fill=(3, 4), tracks=(name,), seed=1)
    for before, after in zip(given.tracks, take.score.tracks, strict=True):
        inside = [note for note in after.notes if 8 * TPQ <= note.time < 16 * TPQ]
        assert inside or before.name != name
        assert (list(before.notes) == list(after.notes)) == (before.name != name)


def test_any_track_is_accompanied(folder: Path) -> None:
    given = orchestra(15)
    for track in given.tracks:
        track.notes = [note for note in track.notes if track.name == "Track 13" or note.time < 16 * TPQ]
    (take,) = Composer(folder / "band").compose(given, with_tracks="Track 13", seed=1)
    assert take.first_new_tick == 16 * TPQ
    assert list(take.score.tracks[14].notes) == list(given.tracks[14].notes)
    assert sum(len(one.notes) for one in take.score.tracks) > sum(len(one.notes) for one in given.tracks)


def test_all_go_on_at_once_who_holds_a_note_through_the_primer_too(folder: Path) -> None:
    given = orchestra(5)
    given.tracks[3].notes = [Note(0, 4 * BARS * TPQ, 57, 80)]
    for take in Composer(folder / "band").compose(given, bars=2, takes=16, seed=1):
        for track in take.score.tracks:  # in the first new bar: all of them, whoever played last
            onset = notes_of(track).onset
            assert ((onset >= take.first_new_tick) & (onset < take.first_new_tick + 4 * TPQ)).any()


def test_who_has_played_one_note_at_a_time_goes_on_so(folder: Path) -> None:
    given = orchestra(5)
    chords = given.tracks[4]
    chords.notes = [Note(n.time, n.duration, n.pitch + up, n.velocity) for n in chords.notes for up in (0, 4)]
    takes = Composer(folder / "band").compose(given, bars=4, takes=4, seed=2)
    most = [[most_at_once(notes_of(one)) for one in take.score.tracks[1:]] for take in takes]
    assert all(row[:3] == [1, 1, 1] for row in most)
    assert max(row[3] for row in most) > 1


def test_such_a_take_is_composed_again_from_its_settings(folder: Path) -> None:
    composer, given = Composer(folder / "band"), orchestra(10)
    takes = composer.compose(given, bars=2, seed=2, takes=2)
    again = composer.recompose(takes[1].settings, given)
    assert again.to_midi() == takes[1].to_midi()
    assert takes[0].to_midi() != takes[1].to_midi()


def test_a_track_that_has_ended_stays_silent(folder: Path) -> None:
    given = orchestra(12, silent="Track 10")
    (take,) = Composer(folder / "band").compose(given, bars=2, seed=1)
    ended = next(one for one in take.score.tracks if one.name == "Track 10")
    placed = {name for name, _ in take.places}
    assert "Track 10" in placed or list(ended.notes) == list(given.tracks[11].notes)


def test_other_models_say_what_they_do_not_continue(folder: Path) -> None:
    (take,) = Composer(folder / "pop").compose(orchestra(9), bars=1, seed=1)
    assert sum("kept, not continued" in message for message in take.messages) >= 5


def test_a_note_or_two_are_no_range_yet(folder: Path) -> None:
    given = Score(TPQ)
    tune, keys = Track("Melody", 73, False), Track("Piano", 0, False)
    tune.notes.extend([Note(beat * TPQ, TPQ, 72 + beat % 5, 80) for beat in range(16)])
    keys.notes.extend([Note(15 * TPQ, TPQ, 43, 80)])
    given.tracks.extend([tune, keys])
    composer = Composer(folder / "pop")
    lowest, highest = [], []
    for take in composer.compose(given, bars=4, seed=2, takes=4):
        pitch = [note.pitch for note in take.score.tracks[1].notes]
        lowest, highest = [*lowest, min(pitch)], [*highest, max(pitch)]
        new = [note.pitch for note in take.score.tracks[0].notes]
        assert 67 <= min(new) <= max(new) <= 81  # a tune of four bars has shown where it lies
    assert max(highest) > 48
    place = composer.bundle.tracks[2]
    assert min(lowest) >= min(38, round(place.mean) - 16)
    assert max(highest) <= round(place.mean) + 16
