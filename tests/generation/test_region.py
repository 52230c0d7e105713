"""Fill, accompany, keep: what stays is untouched and what is new holds its bars, whatever the model is like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import UniformComposer, UniformEngine, fake_bundle
from symusic import ControlChange, TextMeta, TimeSignature, Track
from test_control import WilfulEngine

from melody.errors import UsageError
from melody.generation import Take
from melody.generation.rules.density import onset_bounds
from melody.music.progressions import laid_out, parse_progression
from melody.music.score import Notes, Score, bars, end_tick, most_at_once, notes_of, set_notes
from tests.generation.test_composer import rows, tune

SEEDS = st.integers(0, 2**40)
BAR = 3 * 480  # ticks of a bar of `tune`


@pytest.fixture(scope="module")
def composers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, UniformComposer]:
    return {n: UniformComposer(fake_bundle(tmp_path_factory.mktemp(f"{n}"), polyphony=n)) for n in (1, 3)}


@pytest.fixture
def composer(composers) -> UniformComposer:
    return composers[1]


def will(composer: UniformComposer, seed: int, wilful: bool) -> UniformComposer:
    vocabulary = composer.bundle.tokenizer.vocabulary
    composer.engine = WilfulEngine(vocabulary, seed % 1000) if wilful else UniformEngine(len(vocabulary))
    return composer


def theme(offset: int = 0, meter: tuple[int, int] = (3, 4)) -> Score:
    """Eight bars in two tracks."""
    return tune(quarters=24, offset=offset, meter=meter)


def on_grid(track: Track) -> Notes:
    """The notes of a track as the model sees them."""
    notes = notes_of(track)
    onset, end = (np.round(ticks / 20).astype(np.int64) for ticks in (notes.onset, notes.onset + notes.duration))
    return notes._replace(onset=onset, duration=np.maximum(end - onset, 1))


def new_rows(take: Take, given: Score, track: int) -> set[tuple[int, ...]]:
    before = rows(given.tracks[track]) if track < len(given.tracks) else set()
    return rows(take.score.tracks[track]) - before


# ---- fill -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    data=st.data(),
    seed=SEEDS,
    wilful=st.booleans(),
    polyphony=st.sampled_from([1, 3]),
    one=st.booleans(),
    offset=st.integers(-1, 9),
)
def test_a_filled_gap_leaves_every_other_event_identical(composers, data, seed, wilful, polyphony, one, offset):
    composer = will(composers[polyphony], seed, wilful)
    first = data.draw(st.integers(1, 8), "first")
    last = data.draw(st.integers(first, min(8, first + 2)), "last")
    given = theme(max(0, offset))
    given.tracks[1].controls.append(ControlChange(700, 7, 90))
    tracks = ("hand 1",) if one else ()
    take = composer.compose(given, seed=seed, fill=(first, last), tracks=tracks, best_of=2)[0]
    start, stop = (first - 1) * BAR, last * BAR
    for index, (old, new) in enumerate(zip(given.tracks, take.score.tracks, strict=True)):
        kept = {row for row in rows(old) if (one and index == 0) or not start <= row[0] - max(0, offset) < stop}
        assert kept <= rows(new)
        assert all(start <= row[0] and row[0] + row[1] <= stop + 10 for row in rows(new) - kept)
        assert most_at_once(on_grid(new)) <= max(polyphony, most_at_once(on_grid(old)))
        assert new.controls == old.controls
    assert take.score.time_signatures == given.time_signatures
    assert take.score.tempos == given.tempos
    assert end_tick(take.score) <= max(end_tick(given), 8 * BAR)
    assert (take.first_new_tick, take.resumes_tick) == (start, stop if last < 8 else None)
    assert take.nats_after is not None


def test_the_filled_bars_are_new(composer):
    given = theme()
    take = composer.compose(given, seed=3, fill=(3, 4))[0]
    assert take.notes > 0
    assert new_rows(take, given, 0) | new_rows(take, given, 1)
    assert take.settings["fill"] == (3, 4)


def test_what_follows_chooses_among_candidates(composer, monkeypatch):
    """By likelihood the best of four is the one after which the rest is least surprising, if all else is equal."""
    monkeypatch.setattr("melody.generation.composer.nats_after", lambda prepared, drawn, *_: [9.0, 1e6, -1e6, 9.0])
    take = composer.compose(theme(), seed=3, fill=(3, 4), by="likelihood")[0]
    assert (take.candidate, take.nats_after) == (3, -1e6)


def test_the_last_bars_can_be_filled_too_and_close(composer):
    take = composer.compose(theme(), seed=1, fill=(7, 8))[0]
    assert end_tick(take.score) <= 8 * BAR
    assert take.nats_after == 0.0


# ---- with -----------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, wilful=st.booleans(), end=st.integers(0, 7), polyphony=st.sampled_from([1, 3]), name=st.booleans())
def test_others_are_composed_around_a_track_that_stays(composers, seed, wilful, end, polyphony, name):
    composer = will(composers[polyphony], seed, wilful)
    given = theme()
    accompaniment = notes_of(given.tracks[1])
    set_notes(given.tracks[1], accompaniment.take(accompaniment.onset < end * BAR))
    take = composer.compose(given, seed=seed, with_tracks="hand 0" if name else "1")[0]
    assert rows(take.score.tracks[0]) == rows(given.tracks[0])
    assert rows(given.tracks[1]) <= rows(take.score.tracks[1])
    assert take.first_new_tick == end * BAR
    assert take.notes > 0
    assert all(
        row[0] >= end * BAR for index in range(1, len(take.score.tracks)) for row in new_rows(take, given, index)
    )
    assert len(bars(take.score)) - 1 == 8
    if not end:  # a melody alone gets the model's other tracks
        assert len(take.score.tracks) == 2 + 3
    assert take.score.time_signatures == given.time_signatures


def test_as_many_bars_as_asked_are_composed_around(composer):
    given = theme()
    accompaniment = notes_of(given.tracks[1])
    set_notes(given.tracks[1], accompaniment.take(accompaniment.onset < 2 * BAR))
    take = composer.compose(given, seed=2, with_tracks="1", bars=3)[0]
    assert {row[0] // BAR for row in new_rows(take, given, 1)} <= {2, 3, 4}
    with pytest.raises(UsageError, match="6 bars are to be composed around, not 7"):
        composer.compose(given, with_tracks="1", bars=7)


@pytest.mark.parametrize("seed", [*range(6), 6, 8, 14])  # the last three once held a note past the end
def test_a_changing_meter_is_followed(composer, seed):
    will(composer, seed, wilful=True)
    given = theme()
    given.time_signatures = [*given.time_signatures, TimeSignature(4 * BAR, 2, 4), TimeSignature(4 * BAR + 960, 4, 4)]
    set_notes(given.tracks[1], notes_of(given.tracks[1]).take(np.zeros(0, np.int64)))
    take = composer.compose(given, seed=seed, with_tracks="1")[0]
    assert list(bars(take.score)) == list(bars(given))


# ---- keep -----------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, wilful=st.booleans(), count=st.integers(1, 12), low=st.integers(40, 70))
def test_the_rhythm_is_kept_and_the_pitches_are_free(composers, seed, wilful, count, low):
    composer = will(composers[1], seed, wilful)
    given = theme()
    take = composer.compose(given, seed=seed, bars=count, keep="rhythm", ranges={"hand 1": (low, low + 4)})[0]
    for index in (0, 1):
        new = sorted(new_rows(take, given, index))
        assert [row[0] for row in new] == [8 * BAR + 480 * n for n in range(3 * count)]
        assert {row[1] for row in new} == {480}
    assert {row[2] for row in new} <= set(range(low, low + 5))


def test_chords_keep_their_rhythm_too(composers):
    given = theme()
    notes = notes_of(given.tracks[1])
    three = type(notes)(*(np.concatenate([c] * 3) for c in notes))._replace(
        pitch=np.concatenate([notes.pitch, notes.pitch + 4, notes.pitch + 7])
    )
    set_notes(given.tracks[1], three)
    take = composers[3].compose(given, seed=8, bars=4, keep="rhythm", ranges={"hand 1": (60, 64)})[0]
    new = sorted(new_rows(take, given, 1))
    assert len(new) == 3 * 12
    assert {row[2] for row in new} <= set(range(60, 65))
    with pytest.raises(UsageError, match="has 3 notes at once"):
        composers[3].compose(given, seed=8, keep="rhythm", ranges={"hand 1": (60, 61)})


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, wilful=st.booleans(), count=st.integers(1, 6), polyphony=st.sampled_from([1, 3]))
def test_the_pitches_are_kept_and_the_rhythm_is_free(composers, seed, wilful, count, polyphony):
    composer = will(composers[polyphony], seed, wilful)
    given = theme()
    take = composer.compose(given, seed=seed, bars=count, keep="pitches")[0]
    for index in (0, 1):
        wanted = [row[2] for row in sorted(rows(given.tracks[index]))]
        new = [row[2] for row in sorted(new_rows(take, given, index))]
        assert new == (wanted * (len(new) // len(wanted) + 1))[: len(new)]
    assert len(bars(take.score)) - 1 == 8 + count


# ---- density, chords, repetition ------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    seed=SEEDS,
    wilful=st.booleans(),
    polyphony=st.sampled_from([1, 3]),
    density=st.sampled_from(["low", "medium", "high"]),
    meter=st.sampled_from([(3, 4), (4, 4), (6, 8), (7, 8), (2, 4)]),
    with_primer=st.booleans(),
    ending=st.booleans(),
)
def test_density_always_holds(composers, seed, wilful, polyphony, density, meter, with_primer, ending):
    composer = will(composers[polyphony], seed, wilful)
    given = theme() if with_primer else None
    take = composer.compose(given, seed=seed, bars=4, density=density, meter=meter, ending=ending)[0]
    lines = bars(take.score)[-5:]
    onsets = np.unique(np.concatenate([notes_of(track).onset for track in take.score.tracks]))
    counts = np.histogram(onsets[onsets < lines[-1]], bins=lines)[0].tolist()
    least, most = onset_bounds(density, (1.25, 1.75), int(lines[1] - lines[0]) // 20)
    assert all(count <= most for count in counts)
    assert all(count >= least for count in (counts[:-1] if ending else counts))


def test_thirds_are_thirds():
    assert onset_bounds("low", (1.25, 1.75), 96) == (0, 5)
    assert onset_bounds("medium", (1.25, 1.75), 96) == (6, 7)
    assert onset_bounds("high", (1.25, 1.75), 96)[0] == 8


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, wilful=st.booleans(), with_primer=st.booleans())
def test_strict_chords_hold_on_strong_beats(composers, seed, wilful, with_primer):
    composer = will(composers[1], seed, wilful)
    given = theme() if with_primer else None
    take = composer.compose(given, seed=seed, bars=4, chords="Am F/A | C G7", meter=(4, 4))[0]
    spans = laid_out(parse_progression("Am F/A | C G7"), bars(take.score)[-5:], 480)
    start = {span.start: span.chord.classes for span in spans if span.chord}
    for track in take.score.tracks:
        for onset, _, pitch, _ in rows(track):
            if onset in start:
                assert pitch % 12 in start[onset]


def test_chords_are_read_from_markers(composer):
    given = theme()
    given.markers = [TextMeta(8 * BAR, "Am7"), TextMeta(9 * BAR, "Dm"), TextMeta(0, "Verse")]
    marked = composer.compose(given, seed=4, bars=2)[0]
    assert "chords from the markers of the primer" in marked.messages
    asked = composer.compose(given, seed=4, bars=2, chords="Am7 Dm")[0]
    assert [rows(track) for track in asked.score.tracks] == [rows(track) for track in marked.score.tracks]


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, count=st.integers(2, 5))
def test_no_line_repeats_as_many_of_its_notes(composers, seed, count):
    composer = will(composers[1], seed, wilful=False)
    take = composer.compose(seed=seed, bars=6, no_repeat=count, ranges={"Soprano": (60, 72)})[0]
    for track in take.score.tracks:
        line = [(row[2], row[1]) for row in sorted(rows(track))]
        begun = [(*line[i : i + count - 1], line[i + count - 1][0]) for i in range(len(line) - count + 1)]
        assert len(begun) == len(set(begun))


# ---- what makes no sense --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": (5, 4)}, "the first comes first"),
        ({"fill": (5, 9)}, "the file ends with bar 8"),
        ({"fill": (1, 2), "bars": 4}, "leave out `bars`"),
        ({"fill": (1, 2), "meter": (4, 4)}, "meter and tempo stay too"),
        ({"fill": (1, 2), "keep": "rhythm"}, "different tasks"),
        ({"fill": (1, 2), "tracks": ("Flute",)}, "no such track; tracks: 1 'hand 0', 2 'hand 1'"),
        ({"tracks": ("hand 0",)}, "say which bars too"),
        ({"with_tracks": ("Flute",)}, "with Flute: no such track"),
        ({"with_tracks": ("hand 0",)}, "the other tracks go on as long"),
        ({"keep": "tempo"}, "choose rhythm, pitches or bars"),
        ({"keep": "rhythm", "meter": (4, 4)}, "no bar of the primer is as long"),
        ({"keep": "pitches", "strict_key": True}, "they are the primer's"),
        ({"density": "thick"}, "choose low, medium or high"),
        ({"chords": "H7"}, "its root is no letter from A to G"),
        ({"no_repeat": 1}, "`no_repeat` must lie in \\[2, 64\\]"),
        ({"style": "baroque"}, "fake knows one style alone"),
    ],
)
def test_senseless_wishes_are_refused_by_name(composer, options, message):
    with pytest.raises(UsageError, match=message):
        composer.compose(theme(), **options)


@pytest.mark.parametrize("options", [{"fill": (1, 2)}, {"with_tracks": ("1",)}, {"keep": "rhythm"}])
def test_without_a_primer_there_is_nothing_to_stay(composer, options):
    with pytest.raises(UsageError, match="of what"):
        composer.compose(**options)
