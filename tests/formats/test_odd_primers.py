"""Primers that once were misread: bars the model does not see, meters off the grid, names, held notes, late tempos."""

import numpy as np
import pytest
from support.fakes import TableEngine, UniformComposer, fake_bundle
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.errors import UsageError
from melody.music.score import Notes, Score, bars, notes_of, set_notes
from tests.generation.test_composer import rows

Row = tuple[int, int, int]


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> UniformComposer:
    return UniformComposer(fake_bundle(tmp_path_factory.mktemp("bundle"), polyphony=1))


def primer(*tracks: tuple[str, list[Row]], meters: tuple[tuple[int, int, int], ...] = ((0, 4, 4),)) -> Score:
    """Tracks of (onset, duration, pitch) in quarters; a track called Drums is one."""
    score = Score(480)
    score.time_signatures = [TimeSignature(*meter) for meter in meters]
    score.tempos = [Tempo(0, qpm=100)]
    for name, notes in tracks:
        track = Track(name, 0, name == "Drums")
        onset, duration, pitch = np.array(notes, np.float64).reshape(-1, 3).T
        ticks = ((onset * 480).astype(np.int64), (duration * 480).astype(np.int64))
        set_notes(track, Notes(*ticks, pitch.astype(np.int64), np.full(len(notes), 80)))
        score.tracks.append(track)
    return score


def quarters(count: int, pitch: int = 60) -> list[Row]:
    return [(n, 1, pitch + n % 5) for n in range(count)]


def test_a_gap_before_a_note_held_over_the_line(composer):
    given = primer(("Melody", [*quarters(11), (11, 4, 60)]))
    take = composer.compose(given, fill=(3, 3), seed=1)[0]
    assert take.nats_after is not None
    assert {row for row in rows(given.tracks[0]) if row[0] < 3840} <= rows(take.score.tracks[0])


@pytest.mark.parametrize("options", [{"chords": "C G"}, {"density": "low"}, {}])
def test_a_meter_changes_where_only_drums_sound(composer, options):
    given = primer(("Melody", quarters(16)), ("Drums", quarters(29, 36)), meters=((0, 4, 4), (1920 * 5, 3, 4)))
    lines = bars(given)
    take = composer.compose(given, bars=2, seed=2, meter=(3, 4), **options)[0]
    assert take.first_new_tick == lines[-1]
    assert list(bars(take.score)) == [*lines, lines[-1] + 1440, lines[-1] + 2880]


def test_a_meter_a_tick_late(composer):
    given = primer(("Melody", quarters(16)), meters=((0, 4, 4), (1921, 3, 4)))
    take = composer.compose(given, bars=2, seed=3)[0]
    assert take.first_new_tick >= 16 * 480
    assert rows(given.tracks[0]) <= rows(take.score.tracks[0])


def test_a_meter_on_the_last_line_behind_a_note_that_is_too_long(composer):
    given = primer(("Melody", [*quarters(7), (7, 1.01, 60)]), meters=((0, 4, 4), (3840, 3, 4)))
    take = composer.compose(given, bars=4, seed=4)[0]
    assert np.diff(bars(take.score))[2:].tolist() == [1440] * 4


@pytest.mark.parametrize("keep", ["rhythm", "pitches"])
def test_what_is_kept_must_fit_the_polyphony(composer, keep):
    given = primer(("Piano", [(n, 1, pitch) for n in range(8) for pitch in (48, 60, 64)]))
    with pytest.raises(UsageError, match="3 notes at once, the maximal polyphony allows 1"):
        composer.compose(given, keep=keep, max_polyphony=1)


def test_repetition_is_watched_in_a_gap_too(composer):
    vocabulary = composer.bundle.tokenizer.vocabulary
    likes = np.zeros(len(vocabulary), np.float32)
    likes[[vocabulary.ids["Duration"][23], *vocabulary.ids["Position"][::24]]] = 30
    given = primer(("Soprano", quarters(64, 70)), ("Bass", quarters(64, 45)))
    options = {"fill": (2, 14), "seed": 5, "best_of": 1, "ranges": {"Soprano": (60, 66)}}

    def repeated(count: int | None) -> int:
        soprano = sorted(rows(engaged.compose(given, no_repeat=count, **options)[0].score.tracks[0]))
        line = [row[1:3] for row in soprano if 1920 <= row[0] < 14 * 1920]
        pairs = [(line[n], line[n + 1][1]) for n in range(len(line) - 1)]
        return len(pairs) - len(set(pairs))

    engaged = UniformComposer(composer.bundle)
    engaged.engine = TableEngine(np.broadcast_to(likes, (1, len(likes), len(likes))))
    assert repeated(2) == 0 < repeated(None)


def test_the_tempo_asked_for_holds_against_one_behind_the_music(composer):
    given = primer(("Melody", quarters(16)))
    given.tempos = [Tempo(0, qpm=100), Tempo(8640, qpm=50)]
    take = composer.compose(given, bars=4, seed=6, tempo_qpm=120)[0]
    assert [(tempo.time, round(tempo.qpm)) for tempo in take.score.tempos] == [(0, 100), (7680, 120)]


def test_a_range_of_unseen_pitches_brings_no_unseen_velocities(tmp_path):
    bundle = fake_bundle(tmp_path, velocities=[82])
    seen = bundle.seen.copy()
    start = bundle.tokenizer.vocabulary.ids["Pitch"].start
    seen[start + 96 : start + 128] = False
    bundle.__dict__["seen"] = seen
    take = UniformComposer(bundle).compose(bars=4, seed=7, ranges=dict.fromkeys(("Soprano", "Alto"), (96, 100)))[0]
    assert {row[3] for track in take.score.tracks for row in rows(track)} == {82}


@pytest.mark.parametrize(("name", "low"), [("Soprano", 48), ("Tune", 62), ("Bass", 60)])
def test_a_tune_alone_is_placed_by_its_name_and_else_on_top(composer, name, low):
    given = primer((name, quarters(16, low)))
    take = composer.compose(given, with_tracks=name, seed=8)[0]
    others = {"Bass": ["Soprano", "Alto", "Tenor"]}.get(name, ["Alto", "Tenor", "Bass"])
    assert [track.name for track in take.score.tracks] == [name, *others]


def test_others_end_with_the_track_they_are_composed_around(composer):
    given = primer(("Soprano", quarters(16, 70)), ("Drums", quarters(32, 36)))
    take = composer.compose(given, with_tracks="Soprano", seed=11)[0]
    new = [row for track in take.score.tracks[2:] for row in rows(track)]
    assert new
    assert max(row[0] + row[1] for row in new) <= 16 * 480
    assert rows(take.score.tracks[1]) == rows(given.tracks[1])


def test_empty_tracks_of_a_template_are_used(composer):
    given = primer(("Soprano", quarters(16, 70)), ("Alto", []), ("Tenor", []), ("Bass", []))
    take = composer.compose(given, with_tracks="Soprano", seed=9, ranges={"Alto": (60, 70)})[0]
    assert [track.name for track in take.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert set(notes_of(take.score.tracks[1]).pitch.tolist()) <= set(range(60, 71))


def test_a_primer_that_changes_key_goes_on_in_the_last_one(composer):
    given = primer(("Melody", quarters(16)))
    given.key_signatures = [KeySignature(0, 0, 0), KeySignature(3840, 1, 0)]
    take = composer.compose(given, bars=2, seed=10, strict_key=True)[0]
    assert {pitch % 12 for pitch in notes_of(take.score.tracks[0]).pitch[16:].tolist()} <= {0, 2, 4, 6, 7, 9, 11}


def test_seeds_are_all_different(composer):
    seeds = (-1, -2, 2**63 + 1, 2**63 + 2, 0)
    assert len({composer.compose(bars=2, seed=seed)[0].score.dumps_midi() for seed in seeds}) == len(seeds)
