"""Roles in a band: by what decides them, and measured on pieces whose roles are known."""

import csv
import io
import tarfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import symusic
from symusic import Note, Track

from melody.music.roles import RoleFound, roles_of, texture_of
from melody.music.score import Score, notes_of

BAR = 4 * 24


def track(rows: list[tuple[float, float, int]], program: int = 0, name: str = "", drums: bool = False) -> Track:
    """A track of (onset, duration, pitch) in quarters, over again in eight bars of four quarters."""
    result = Track(name, program, drums)
    for bar in range(8):
        for onset, duration, pitch in rows:
            result.notes.append(Note(int(bar * BAR + onset * 24), int(duration * 24), pitch, 80))
    return result


def score(*tracks: Track) -> Score:
    result = Score(24)
    result.tracks.extend(tracks)
    return result


TUNE = [(0, 1, 72), (1, 0.5, 74), (1.5, 0.5, 76), (2, 1.5, 74), (3.5, 0.5, 71)]
CHORDS = [(beat, 0.5, pitch) for beat in (0, 1.5, 2.5) for pitch in (60, 64, 67)]
LONG = [(0, 4, pitch) for pitch in (60, 64, 67)]
WALK = [(0, 1, 36), (1, 1, 40), (2, 1, 43), (3, 1, 41)]
BROKEN = [(step / 4, 0.25, 60 + (0, 4, 7, 12)[step % 4]) for step in range(16)]


@pytest.mark.parametrize(
    ("rows", "program", "name", "drums", "role"),
    [
        (TUNE, 0, "", True, "drums"),
        (TUNE, 120, "", False, "other"),
        (WALK, 33, "", False, "bass"),
        (WALK, 0, "", False, "bass"),
        ([(o, d, p + 36) for o, d, p in WALK], 33, "", False, "lead"),
        (TUNE, 80, "Bass", False, "lead"),  # a name that the notes contradict
        (CHORDS, 4, "", False, "chords"),
        (CHORDS, 27, "", False, "guitar"),
        ([(o, d, p - 20) for o, d, p in TUNE], 29, "", False, "guitar"),
        (TUNE, 29, "", False, "lead"),
        (LONG, 50, "", False, "pad"),
        (LONG, 81, "", False, "pad"),
        (BROKEN, 81, "", False, "arpeggio"),
        (TUNE, 73, "", False, "lead"),
    ],
)
def test_a_track_plays_a_part(rows: list, program: int, name: str, drums: bool, role: str) -> None:
    (found,) = roles_of(score(track(rows, program, name, drums)))
    assert found.role == role
    assert found.reason


def test_octaves_are_no_chord() -> None:
    doubled = track([(o, d, p + shift) for o, d, p in WALK for shift in (-12, 0)], 48)
    assert texture_of(notes_of(doubled), 24).chords == 0
    assert roles_of(score(doubled))[0].role == "bass"


def test_a_band_without_a_bass_program_has_its_lowest_line_for_a_bass() -> None:
    low = [(o, d, p + 7) for o, d, p in WALK]
    found = roles_of(score(track(TUNE, 73), track(CHORDS, 4), track(low, 0)))
    assert [one.role for one in found] == ["lead", "chords", "bass"]
    with_bass = roles_of(score(track(TUNE, 73), track(WALK, 33), track(low, 0)))
    assert [one.role for one in with_bass][:2] == ["lead", "bass"]
    assert with_bass[2].role != "bass"


def test_a_track_without_notes_has_no_role() -> None:
    assert roles_of(score(Track("Empty", 0, False))) == [RoleFound("other", "no notes")]
    with pytest.raises(ValueError, match="no texture"):
        texture_of(notes_of(Track("Empty", 0, False)), 24)


def test_roles_agree_with_known_ones(data_folder: Path) -> None:
    """In nine of ten tracks, 19 of 20 basses and all but a few drums of 204 pieces for games."""
    known: dict[str, dict[int, str]] = defaultdict(dict)
    right, all_of = Counter(), Counter()
    with tarfile.open(data_folder / "band.tar.xz") as archive:
        rows = io.TextIOWrapper(archive.extractfile("band/roles.tsv"), encoding="utf-8")
        for row in csv.DictReader(rows, delimiter="\t"):
            known[row["file"]][int(row["track"])] = row["role"]
        for file, roles in known.items():
            piece = symusic.Score.from_midi(archive.extractfile(f"band/{file}").read())
            found = roles_of(piece)
            for place, role in roles.items():
                all_of[role] += 1
                right[role] += found[place].role == role
    agreed = {role: right[role] / all_of[role] for role in all_of}
    assert sum(right.values()) / sum(all_of.values()) >= 0.9
    assert agreed["bass"] >= 0.95
    assert agreed["drums"] >= 0.95
    assert np.mean(list(agreed.values())) > 0.8
