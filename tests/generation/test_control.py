"""Control that holds: strict keys, ranges and polyphony on models that know nothing, alone and all together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import UniformComposer, UniformEngine, fake_bundle
from symusic import KeySignature

from melody.errors import UsageError
from melody.generation import Take
from melody.generation.ranges import find_track, parse_pitch, parse_ranges, pitch_name, strict_scale
from melody.music.key import MODES, Key
from melody.music.score import Score, bars, clip, most_at_once, notes_of
from melody.tokens import Vocabulary
from tests.generation.test_composer import tune
from tests.support.bar_counts import whole_bars

NAMES = ["Soprano", "Alto", "Tenor", "Bass"]
KEYS = st.builds(Key, st.integers(0, 11), st.sampled_from(MODES))
SPANS = st.tuples(st.integers(0, 127), st.integers(0, 12)).map(lambda x: (x[0], min(127, x[0] + x[1])))


class WilfulEngine(UniformEngine):
    """A model with strong likes and dislikes, drawn by a seed: of whole types of tokens and of single ones."""

    def __init__(self, vocabulary: Vocabulary, seed: int) -> None:
        super().__init__(len(vocabulary))
        generator = np.random.default_rng(seed)
        kinds = {kind: generator.normal(scale=4) for kind in vocabulary.ids}
        kinds["Bar"] = kinds["End"] = 0.0  # pieces of thousands of notes would only take long
        likes = np.array([kinds[kind] for kind in vocabulary.kind_of])
        self.logits = (likes + generator.normal(scale=3, size=len(vocabulary))).astype(np.float32)

    def step(self, ids, context, carry):
        return np.repeat(self.logits[None], len(ids), axis=0), carry


def composer_of(folder: Path, polyphony: int = 8, drums: tuple[int, ...] = ()) -> UniformComposer:
    bundle = fake_bundle(folder, polyphony=polyphony)
    for track in drums:
        bundle.settings["tracks"][track]["drums"] = True
    return UniformComposer(bundle)


@pytest.fixture(scope="module")
def composers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, UniformComposer]:
    return {n: composer_of(tmp_path_factory.mktemp(f"polyphony{n}"), polyphony=n) for n in (1, 2, 8)}


def new_part(take: Take, count: int) -> Score:
    lines = bars(take.score)
    return take.score if take.first_new_tick == 0 else clip(take.score, len(lines) - 1 - count, len(lines) - 1)


def pitches_of(take: Take, track: int) -> set[int]:
    notes = notes_of(take.score.tracks[track])
    return set(notes.pitch[notes.onset >= take.first_new_tick].tolist())


@settings(max_examples=80, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**40), wilful=st.booleans(), with_primer=st.booleans())
def test_key_ranges_polyphony_and_bars_hold_together(composers, data, seed, wilful, with_primer):
    corpus = data.draw(st.sampled_from([1, 2, 8]), "the corpus's polyphony")
    composer = composers[corpus]
    vocabulary = composer.bundle.tokenizer.vocabulary
    composer.engine = WilfulEngine(vocabulary, seed % 1000) if wilful else UniformEngine(len(vocabulary))
    primer = tune() if with_primer else None
    names = [track.name for track in primer.tracks] if primer else NAMES
    options = {
        "bars": data.draw(st.integers(1, 5), "bars"),
        "key": data.draw(KEYS, "key").name,
        "strict_key": data.draw(st.booleans(), "strict"),
        "ranges": data.draw(st.dictionaries(st.sampled_from(names), SPANS), "ranges"),
        "max_polyphony": data.draw(st.sampled_from([None, 1, 2, 5]), "polyphony"),
        "ending": data.draw(st.booleans(), "ending"),
    }
    if not all(possible(span, options) for span in options["ranges"].values()):
        with pytest.raises(UsageError, match="holds no note of"):
            composer.compose(primer, seed=seed, **options)
        return
    examine(composer.compose(primer, seed=seed, **options)[0], options, names, corpus)


def scale_of(options: dict) -> frozenset[int]:
    tonic, mode = options["key"].split()
    return strict_scale(Key(parse_pitch(f"{tonic}4") % 12, mode)) if options["strict_key"] else frozenset(range(12))


def possible(span: tuple[int, int], options: dict) -> bool:
    return any(pitch % 12 in scale_of(options) for pitch in range(span[0], span[1] + 1))


def examine(take: Take, options: dict, names: list[str], corpus: int) -> None:
    new = new_part(take, options["bars"])
    assert whole_bars(new) == options["bars"]
    assert sum(len(track.notes) for track in new.tracks) == take.notes > 0
    assert len(take.score.key_signatures) == 1 + (len(names) == 2)  # a key change would be the way out of a dead end
    for index, (track, name) in enumerate(zip(new.tracks, names, strict=True)):
        low, high = options["ranges"].get(name, (0, 127))
        pitches = pitches_of(take, index)
        assert {pitch % 12 for pitch in pitches} <= scale_of(options)
        assert all(low <= pitch <= high for pitch in pitches)
        assert most_at_once(notes_of(track)) <= min(corpus, options["max_polyphony"] or corpus)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**40), width=st.integers(0, 3), drawn=st.booleans(), pitch=st.integers(0, 127))
def test_four_tracks_with_one_pitch_each_never_get_stuck(composers, seed, width, drawn, pitch):
    composer = composers[8]
    composer.engine = WilfulEngine(composer.bundle.tokenizer.vocabulary, seed % 1000)
    ranges = dict.fromkeys(NAMES, (pitch, pitch))
    search = {"beam_width": width, "stochastic": drawn and width > 0}
    take = composer.compose(bars=4, seed=seed, ranges=ranges, **search)[0]
    assert whole_bars(take.score) == 4
    assert set().union(*(pitches_of(take, track) for track in range(4))) == {pitch}


def test_drums_are_free_of_keys_and_polyphony_but_not_of_ranges(tmp_path):
    composer = composer_of(tmp_path, drums=(3,))
    options = {"key": "C major", "strict_key": True, "max_polyphony": 1, "ranges": {"Bass": (35, 50)}}
    takes = composer.compose(bars=8, takes=4, seed=2, **options)
    drummed = [pitch for take in takes for pitch in pitches_of(take, 3)]
    assert {pitch % 12 for pitch in drummed} - Key(0, "major").scale()
    assert set(drummed) <= set(range(35, 51))
    assert max(most_at_once(notes_of(take.score.tracks[3])) for take in takes) > 1
    assert max(most_at_once(notes_of(take.score.tracks[0])) for take in takes) == 1


@pytest.mark.parametrize("when", [6, 12])  # in its third bar, on its final bar line
def test_the_key_of_the_primer_is_the_one_at_its_end(composers, when):
    primer = tune()
    primer.key_signatures = [*primer.key_signatures, KeySignature(480 * when, -3, 1)]  # C minor
    take = composers[8].compose(primer, bars=4, seed=1, strict_key=True)[0]
    assert {pitch % 12 for t in (0, 1) for pitch in pitches_of(take, t)} <= {0, 2, 3, 5, 7, 8, 9, 10, 11}
    assert "new pitches from the scale of C minor" in take.messages


def test_minor_has_both_sixths_and_sevenths():
    assert strict_scale(Key(9, "minor")) == {9, 11, 0, 2, 4, 5, 6, 7, 8}
    assert strict_scale(Key(0, "major")) == {0, 2, 4, 5, 7, 9, 11}


def test_options_that_ask_nothing_change_nothing(composers):
    plain = composers[2].compose(tune(), bars=4, seed=6)[0]
    asked = composers[2].compose(tune(), bars=4, seed=6, max_polyphony=2)[0]
    assert plain.score == asked.score


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strict_key": True}, "`strict_key`: in which"),
        ({"strict_key": True, "key": "C", "ranges": {"Alto": (61, 61)}}, "strict key and range of Alto: C#4:C#4"),
        ({"ranges": {"Lute": (40, 60)}}, "range of Lute: no such track; tracks: 1 'Soprano', 2 'Alto'"),
        ({"ranges": {"Alto": (60, 50)}}, "60:50 must go from low to high"),
        ({"ranges": {"Alto": (60, 128)}}, "within 0:127"),
        ({"ranges": {"Alto": ("C4", "C5")}}, "MIDI numbers"),
        ({"ranges": {"Alto": (60, 70), "2": (50, 60)}}, "range of 2: there is another"),
        ({"max_polyphony": 0}, "`max_polyphony` must lie in"),
        ({"best_of": 0}, "`best_of` must lie in"),
        ({"best_of": 2, "by": "ear"}, "likelihood, rules, both or taste"),
        ({"best_of": 2, "beam_width": 4}, "`beam_width` draws none"),
        ({"best_of": 2, "greedy": True}, "greedy"),
        ({"stochastic": True}, "give `beam_width`"),
        ({"stochastic": True, "beam_width": 3, "length_penalty": 0.5}, "no `length_penalty`"),
        ({"stochastic": True, "beam_width": 3, "greedy": True}, "`temperature` above 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(composers, options, words):
    with pytest.raises(UsageError) as caught:
        composers[8].compose(**options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_range_of_a_track_that_is_only_kept_is_refused(composers):
    primer = tune()
    for number in range(4):
        primer.tracks.append(primer.tracks[0].copy())
        primer.tracks[-1].name = f"other {number}"
    kept = next(m.split(":")[0] for m in composers[8].compose(primer, bars=1, seed=1)[0].messages)
    with pytest.raises(UsageError, match="no new notes go to this track"):
        composers[8].compose(primer, bars=1, ranges={kept: (40, 60)})


@pytest.mark.parametrize(
    ("text", "pitch"),
    [("60", 60), ("C4", 60), ("c4", 60), ("F#5", 78), ("Bb3", 58), ("C-1", 0), ("G9", 127), ("B#3", 60)],
)
def test_pitches_by_name_and_number(text, pitch):
    assert parse_pitch(text) == pitch


@given(st.integers(0, 127), st.booleans())
def test_a_pitch_name_reads_back(pitch, flats):
    assert parse_pitch(pitch_name(pitch, flats)) == pitch


@pytest.mark.parametrize("text", ["H4", "C", "128", "G#9", "Cb-1", "", "-3", "C#b4", "60.5"])
def test_other_pitches_are_refused(text):
    with pytest.raises(UsageError, match="pitch"):
        parse_pitch(text)


def test_ranges_as_they_are_typed():
    assert parse_ranges(["Soprano=C4:A5", "4=36:60", "a=b=C3:C4"]) == {
        "Soprano": (60, 81),
        "4": (36, 60),
        "a=b": (48, 60),
    }
    for wrong in (["Soprano"], ["Soprano=C4"], ["=C4:C5"], ["1=C4:C5", "1=C3:C4"]):
        with pytest.raises(UsageError, match="`ranges`"):
            parse_ranges(wrong)


def test_tracks_by_name_and_number():
    assert [find_track(["Viola", "2", "viola d'amore"], wanted) for wanted in ("VIOLA", "2", "3")] == [0, 1, 2]
    with pytest.raises(UsageError, match="several tracks"):
        find_track(["Violin", "violin"], "Violin")
    with pytest.raises(UsageError, match="no such track"):
        find_track(["Violin"], "2")
