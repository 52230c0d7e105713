"""Promises of composing, whatever the model: exact bars, the primer untouched, reproducible takes, no dead ends."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fakes import UniformComposer, fake_bundle
from symusic import KeySignature, Tempo, TextMeta, TimeSignature, Track

from melody.errors import MelodyError, UsageError
from melody.generation import NewNote, Take
from melody.generation.primer.assignment import match_in_order, place_lines, share_out, split
from melody.music.quantize import quantize
from melody.music.score import GRID, Notes, Score, bars, end_tick, most_at_once, notes_of, set_notes
from tests.support.bar_counts import whole_bars


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> UniformComposer:
    return UniformComposer(fake_bundle(tmp_path_factory.mktemp("bundle")))


def tune(tpq: int = 480, meter: tuple[int, int] = (3, 4), quarters: int = 10, offset: int = 0) -> Score:
    """Two tracks of quarters, each a tick too short and `offset` ticks late."""
    score = Score(tpq)
    score.time_signatures = [TimeSignature(0, *meter)]
    score.tempos = [Tempo(0, qpm=97)]
    score.key_signatures = [KeySignature(0, 2, 0)]
    for number, low in enumerate((67, 48)):
        track = Track(f"hand {number}", number, False)
        onset = np.arange(quarters) * tpq + offset
        set_notes(track, Notes(onset, np.full(quarters, tpq - 1), low + onset // tpq % 5, np.full(quarters, 77)))
        score.tracks.append(track)
    return score


def rows(track: Track) -> set[tuple[int, ...]]:
    return set(zip(*(column.tolist() for column in notes_of(track)), strict=True))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    count=st.integers(1, 12),
    tpq=st.sampled_from([96, 220, 480, 1024]),
    meter=st.sampled_from([(3, 4), (4, 4), (6, 8), (7, 8), (2, 2)]),
    offset=st.integers(0, 30),
)
@example(seed=1, count=3, tpq=220, meter=(3, 4), offset=19)  # played late, and twice a pitch at the end
def test_the_bars_asked_for_are_the_bars_written(composer, seed, count, tpq, meter, offset):
    primer = tune(tpq, meter, offset=offset)
    take = composer.compose(primer, bars=count, seed=seed)[0]
    before = len(bars(quantize(primer))) - 1
    lines = bars(take.score)
    assert len(lines) - 1 == before + count
    assert take.first_new_tick == lines[before]
    assert end_tick(take.score) <= lines[-1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**40), count=st.integers(1, 12))
def test_from_nothing_too(composer, seed, count):
    score = composer.compose(bars=count, seed=seed)[0].score
    lines = bars(score)
    assert whole_bars(score) == count
    sounding = np.zeros(len(lines) - 1, bool)
    for track in score.tracks:
        notes = notes_of(track)
        for onset, duration in zip(notes.onset, notes.duration, strict=True):
            assert duration > 0
            sounding |= (lines[:-1] < onset + duration) & (lines[1:] > onset)
    silent = "".join(".x"[int(bar)] for bar in sounding)
    assert "..." not in silent
    assert silent.endswith("x")


def test_the_primer_stays_as_it_came(composer):
    primer = tune()
    primer.markers.append(TextMeta(480, "theme"))
    take = composer.compose(primer, bars=4, seed=1)[0]
    for old, new in zip(primer.tracks, take.score.tracks, strict=True):
        assert (old.name, old.program, old.is_drum) == (new.name, new.program, new.is_drum)
        assert rows(old) <= rows(new)
        assert all(onset >= take.first_new_tick for onset, *_ in rows(new) - rows(old))
    assert take.notes == sum(len(t.notes) for t in take.score.tracks) - 20 > 0
    assert take.score.tempos == primer.tempos
    assert take.score.markers[0].text == "theme"
    assert take.score.markers[1].time == take.first_new_tick


def test_no_two_notes_of_one_pitch_overlap(composer):
    for take in composer.compose(tune(), bars=8, takes=3, seed=5):
        for track in take.score.tracks:
            notes = notes_of(track)
            order = np.lexsort((notes.onset, notes.pitch))
            onset, end, pitch = notes.onset[order], (notes.onset + notes.duration)[order], notes.pitch[order]
            assert not np.any((pitch[1:] == pitch[:-1]) & (onset[1:] < end[:-1]))


def test_a_take_depends_on_seed_and_number_alone(composer):
    together = composer.compose(tune(), bars=3, takes=20, seed=9)
    alone = composer.compose(tune(), bars=3, takes=1, seed=9)
    assert together[0].score == alone[0].score
    assert len({str([rows(t) for t in take.score.tracks]) for take in together}) == 20
    assert composer.compose(tune(), bars=3, takes=20, seed=9)[17].score == together[17].score


def test_only_new_is_the_new_part_alone(composer):
    whole = composer.compose(tune(), bars=4, seed=3)[0]
    part = composer.compose(tune(), bars=4, seed=3, only_new=True)[0]
    assert len(bars(part.score)) - 1 == 4
    assert part.score.tempos[0].qpm == pytest.approx(97)
    for old, new in zip(whole.score.tracks, part.score.tracks, strict=True):
        moved = {(onset - whole.first_new_tick, *rest) for onset, *rest in rows(old) if onset >= whole.first_new_tick}
        assert moved == rows(new)


def test_meter_tempo_and_key_of_the_new_part(composer):
    take = composer.compose(tune(), bars=4, seed=3, meter=(6, 8), tempo_qpm=60, key="E minor")[0]
    lines = bars(take.score)
    assert set(np.diff(lines)[-4:].tolist()) == {6 * 240}
    last_tempo, last_key = take.score.tempos[-1], take.score.key_signatures[-1]
    assert (last_tempo.time, last_tempo.qpm) == (take.first_new_tick, 60)
    assert (last_key.time, last_key.key, last_key.tonality) == (take.first_new_tick, 1, 1)


def test_a_meter_on_the_final_bar_line_is_for_what_follows(composer):
    primer = tune(quarters=6)
    primer.time_signatures.append(TimeSignature(6 * 480, 2, 4))
    take = composer.compose(primer, bars=3, seed=3)[0]
    assert np.diff(bars(take.score))[-3:].tolist() == [960] * 3


def test_streamed_notes_are_those_of_take_one(composer):
    take = composer.compose(tune(), bars=4, seed=11)[0]
    streamed = list(composer.stream(tune(), bars=4, seed=11))
    for index, track in enumerate(take.score.tracks):
        new = {row for row in rows(track) if row[0] >= take.first_new_tick}
        assert new == {tuple(note[1:5]) for note in streamed if note.track == index}
    assert [note.onset for note in streamed] == sorted(note.onset for note in streamed)


def drained(stream) -> tuple[list[NewNote], Take]:
    """All notes of a stream, and the take that it returns."""
    takes = []

    def notes():
        takes.append((yield from stream))

    return list(notes()), takes[0]


def test_voices_that_share_a_track_stream_as_they_are_written(tmp_path):
    composer = UniformComposer(fake_bundle(tmp_path, polyphony=1))
    primer = tune(quarters=8)
    onset = np.repeat(np.arange(8) * 480, 3)
    set_notes(primer.tracks[1], Notes(onset, np.full(24, 480), np.tile([48, 55, 64], 8), np.full(24, 70)))
    met = 0
    for seed in range(6):
        options = {"bars": 12, "seed": seed, "ranges": {"hand 1": (60, 66)}}  # so narrow that they meet
        take = composer.compose(primer, **options)[0]
        streamed, streamed_take = drained(composer.stream(primer, **options))
        assert streamed_take.score == take.score
        new = rows(take.score.tracks[1]) - rows(primer.tracks[1])
        assert new == {tuple(note[1:5]) for note in streamed if note.track == 1}
        assert [note.onset for note in streamed] == sorted(note.onset for note in streamed)
        lines = bars(take.score)
        assert all(lines[note.bar - 1] <= note.onset < lines[note.bar] for note in streamed)
        ends = {(onset + duration, pitch) for onset, duration, pitch, _ in new}
        met += sum((onset, pitch) in ends for onset, _, pitch, _ in new)
    assert met  # where a voice took a pitch over from another


def test_a_stream_looks_back_at_no_note_it_has_given(composer, monkeypatch):
    stream = composer.stream(bars=500, seed=1)
    monkeypatch.setattr(type(composer.bundle.tokenizer), "decode", None)  # of the piece so far: it grows
    assert len(list(islice(stream, 300))) == 300


def test_loudness_follows_the_primer(tmp_path):
    bundle = fake_bundle(tmp_path, velocities=[82])
    quiet = tune()
    for track in quiet.tracks:
        set_notes(track, notes_of(track)._replace(velocity=np.full(10, 30)))
    take = UniformComposer(bundle).compose(quiet, bars=4, seed=1)[0]
    assert {velocity for track in take.score.tracks for *_, velocity in rows(track)} == {30}


def test_more_tracks_than_the_model_writes_are_kept(composer):
    primer = tune()
    for _ in range(4):
        primer.tracks.append(primer.tracks[0].copy())
    take = composer.compose(primer, bars=2, seed=1)[0]
    assert len(take.score.tracks) == 6
    assert sum("kept, not continued" in message for message in take.messages) == 2


def test_primers_without_notes_or_with_drums_alone_are_refused(composer):
    with pytest.raises(MelodyError, match="no notes"):
        composer.compose(Score(480))
    drums = tune()
    for track in drums.tracks:
        track.is_drum = True
    with pytest.raises(MelodyError, match="drums"):
        composer.compose(drums)


@pytest.mark.parametrize(
    "options", [{"bars": 0}, {"takes": 0}, {"meter": (7, 64)}, {"tempo_qpm": 0}, {"key": "H mollig"}, {"barz": 3}]
)
def test_senseless_options_are_refused(composer, options):
    with pytest.raises(UsageError):
        composer.compose(**options)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_track_never_has_more_notes_at_once_than_the_corpus(tmp_path, limit):
    bundle = fake_bundle(tmp_path, polyphony=limit)
    for take in UniformComposer(bundle).compose(bars=8, takes=6, seed=3):
        assert max(most_at_once(notes_of(track)) for track in take.score.tracks) <= limit
        assert whole_bars(take.score) == 8


def test_an_unknown_style_rule_is_refused_unless_rules_are_off(tmp_path):
    bundle = fake_bundle(tmp_path)
    bundle.settings["style_rules"] = ["no_such_rule"]
    with pytest.raises(UsageError, match="no_such_rule"):
        UniformComposer(bundle).compose(bars=1)
    assert UniformComposer(bundle).compose(bars=1, style_rules=False)


def test_tracks_are_matched_in_order_at_the_least_distance():
    assert match_in_order({0: 72.0, 1: 66.0, 2: 60.0, 3: 50.0}, {0: 51.0, 1: 71.0}) == {0: 1, 3: 0}
    assert match_in_order({0: 60.0}, {5: 40.0, 6: 61.0, 7: 80.0}) == {0: 6}


def chords() -> Notes:
    """Three chords of three notes, then a single low one."""
    onset = np.repeat([0, 24, 48, 72], [3, 3, 3, 1])
    pitch = np.array([48, 60, 64, 50, 59, 65, 52, 60, 67, 47])
    return Notes(onset, np.full(10, 30), pitch, np.full(10, 80))


def test_a_track_of_chords_is_read_as_voices():
    high, middle, low = split(chords(), 3)
    assert high.pitch.tolist() == [64, 65, 67]
    assert middle.pitch.tolist() == [60, 59, 60]
    assert low.pitch.tolist() == [48, 50, 52, 47]
    assert low.duration.tolist() == [24, 24, 24, 30]  # one after the other
    assert [voice.pitch.tolist() for voice in split(chords(), 2)] == [[64, 65, 67], [48, 50, 52, 47]]


def test_voices_are_shared_out_to_the_fullest_tracks():
    assert share_out({0: 1, 1: 4}, 4) == {0: 1, 1: 3}
    assert share_out({0: 1, 1: 2}, 4) == {0: 1, 1: 2}
    assert share_out({0: 3, 1: 3}, 0) == {0: 1, 1: 1}


def test_melody_and_piano_become_four_voices_and_come_back_as_two_tracks(tmp_path):
    composer = UniformComposer(fake_bundle(tmp_path, polyphony=1))
    primer = tune(quarters=8)
    piano = primer.tracks[1]
    onset = np.repeat(np.arange(8) * 480, 3)
    set_notes(piano, Notes(onset, np.full(24, 470), np.tile([48, 55, 64], 8), np.full(24, 70)))
    placed = place_lines(quantize(primer).tracks, composer.bundle.tracks)
    assert [placed[place].track for place in range(4)] == [0, 1, 1, 1]
    take = composer.compose(primer, bars=8, seed=3)[0]
    assert take.messages == ("hand 1: read and continued as 3 voices",)
    new = [notes.take(notes.onset >= take.first_new_tick) for notes in map(notes_of, take.score.tracks)]
    assert most_at_once(new[0]) == 1 < most_at_once(new[1]) <= 3
    assert take.notes == sum(len(notes.onset) for notes in new)
    single = composer.compose(primer, bars=8, seed=3, max_polyphony=1)[0]
    for notes in map(notes_of, single.score.tracks):
        assert most_at_once(notes.take(notes.onset >= single.first_new_tick)) <= 1


def test_the_grid_is_what_files_are_a_multiple_of(composer):
    onsets = notes_of(composer.compose(bars=2, seed=2)[0].score.tracks[0]).onset
    assert not np.any(onsets % (480 // GRID))


def test_a_shipped_name_that_is_not_there_suggests_another():
    from melody.bundle import open_bundle

    with pytest.raises(MelodyError, match="no model 'chorle'"):
        open_bundle("chorle")
    with pytest.raises(MelodyError, match="no model"):
        open_bundle(Path("nowhere"))
