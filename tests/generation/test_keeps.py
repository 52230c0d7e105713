"""Music that was given is sacred: composing on from real files leaves every event of theirs in the file it writes."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from support.fakes import UniformComposer, fake_bundle

from melody.errors import MelodyError
from melody.formats.midi import dumps, parse
from melody.music.score import TICKS_PER_QUARTER, Score, notes_of, resample
from tests.engine.test_hostile import real_files

ARCHIVES = ("openhymnal", "quartets", "lieder", "groove", "pop909")
RELEASES = {(pedal, 0) for pedal in (64, 66, 69)}  # controller and value


def events_of(score: Score) -> dict[str, Counter]:
    """All events of a score, counted: those of tracks with the track's place and name."""

    def in_tracks(name: str, row: Callable) -> Counter:
        tracks = enumerate(score.tracks)
        return Counter((i, track.name, row(event)) for i, track in tracks for event in getattr(track, name))

    def all_of(events: Iterable, row: Callable) -> Counter:
        return Counter(row(event) for event in events)

    notes = Counter(
        (i, track.name, *row)
        for i, track in enumerate(score.tracks)
        for row in np.stack(notes_of(track), axis=1).tolist()
    )
    return {
        "notes": notes,
        "controls": in_tracks("controls", lambda e: (e.time, e.number, e.value)),
        "bends": in_tracks("pitch_bends", lambda e: (e.time, e.value)),
        "lyrics": in_tracks("lyrics", lambda e: (e.time, e.text)),
        "tracks": Counter((i, track.name, track.program, track.is_drum) for i, track in enumerate(score.tracks)),
        "tempos": all_of(score.tempos, lambda e: (e.time, e.mspq)),
        "meters": all_of(score.time_signatures, lambda e: (e.time, e.numerator, e.denominator)),
        "keys": all_of(score.key_signatures, lambda e: (e.time, e.key, e.tonality)),
        "markers": all_of(score.markers, lambda e: (e.time, e.text)),
    }


def onsets_of(score: Score) -> set[tuple[int, ...]]:
    """Return track, tick and pitch of each note."""
    return {(i, note.time, note.pitch) for i, track in enumerate(score.tracks) for note in track.notes}


def lost(composer: UniformComposer, data: bytes, name: str) -> dict[str, Counter]:
    """The events of a file that do not stand in what is composed on from it.

    They are compared as a file holds them that obeys the rules of DAWs: there every track has a name, and a note ends
    where its pitch begins again. No note is lost by that. Controls behind the last bar would act on new notes: they are
    left out, and that is said.
    """
    given = resample(parse(data, name).score, TICKS_PER_QUARTER)
    take = composer.compose(given, bars=1, seed=1)[0]
    written = parse(dumps(take.score)).score
    after = events_of(written)
    before = events_of(parse(dumps(given)).score)
    seam = take.first_new_tick * TICKS_PER_QUARTER // take.score.tpq
    for kind in ("controls", "bends"):
        behind = {event: count for event, count in before[kind].items() if event[2][0] >= seam}
        acting = [event for event in behind if kind == "bends" or event[2][1:] not in RELEASES]  # let go at the seam
        assert not acting or any("behind the last bar left out" in message for message in take.messages)
        before[kind] -= Counter(behind)
    missing = {kind: counts - after[kind] for kind, counts in before.items()}
    missing["onsets"] = Counter(onsets_of(given) - onsets_of(written))
    return {kind: counts for kind, counts in missing.items() if counts}


def composed_on(composer: UniformComposer, folder: Path, archive: str, step: int) -> tuple[int, list[str]]:
    """Compose on from files of an archive; return their number and what was lost of them."""
    count, losses = 0, []
    for name, data in real_files(folder, f"{archive}.tar.xz", step):
        try:
            missing = lost(composer, data, name)
        except MelodyError:
            continue  # refused by name: without notes for this model, or beyond the vocabulary
        count += 1
        losses += [f"{name}: {kind}: {list(events)[:3]}" for kind, events in missing.items()]
    return count, losses


@pytest.fixture(scope="module")
def composers(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, UniformComposer]:
    folders = {drums: tmp_path_factory.mktemp(f"drums{drums}") for drums in (False, True)}
    return {drums: UniformComposer(fake_bundle(folder, drums=drums)) for drums, folder in folders.items()}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_every_event_of_some_real_files_stays(composers, data_folder: Path, archive: str):
    count, losses = composed_on(composers[archive == "groove"], data_folder, archive, 400)
    assert count
    assert not losses


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("archive", ARCHIVES)
def test_every_event_of_one_real_file_in_fifty_stays(composers, data_folder: Path, archive: str):
    count, losses = composed_on(composers[archive == "groove"], data_folder, archive, 50)
    assert count
    assert not losses
