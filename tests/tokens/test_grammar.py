"""The grammar: whatever it allows is the one spelling of some quantised score, and it never paints us into a corner."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import content, scores
from symusic import KeySignature, Tempo, TimeSignature, Track

from melody.errors import MelodyError
from melody.music.quantize import quantize
from melody.music.score import GRID, Notes, Score, end_tick, set_notes
from melody.tokens import EventTokenizer, Plan, Reader, obeys

TOKENIZER = EventTokenizer()
CHANNELS = TOKENIZER.channels
VOCABULARY = TOKENIZER.vocabulary
SHORTEST_END = {  # which types to prefer in order to end a walk, by whether something sounds in the bar
    True: ("End", "Duration", "Bar", "Pitch", "Drum", "Velocity"),
    False: ("End", "Duration", "Pitch", "Drum", "Velocity", "Track", "Position"),
}
SEEDS = st.integers(0, 2**32 - 1)


def ids_of(text: str) -> list[int]:
    return [VOCABULARY.id_of[token] for token in text.split()]


def walk(seed: int, prefix: list[int], plan: Plan | None = None, tokens: int = 300) -> tuple[list[int], Reader]:
    """A prefix continued by chance up to EOS: a type among those allowed, then a token among those of the type.

    Drawn by type, as most of all tokens are positions; after so many tokens the walk turns for home.
    """
    generator = np.random.default_rng(seed)
    reader = Reader(VOCABULARY, plan or Plan()).read_all(prefix)
    ids = list(prefix)
    while not ids or ids[-1] != VOCABULARY.ids["End"][0]:
        allowed = np.flatnonzero(reader.allow())
        assert len(ids) < 2000 + len(prefix), "a walk without an end"
        assert len(allowed), f"a dead end after {VOCABULARY.describe(ids[-8:])}"
        kinds = list(dict.fromkeys(VOCABULARY.kind_of[token] for token in allowed))
        kind = kinds[generator.integers(len(kinds))]
        if len(ids) > tokens:
            kind = next((k for k in SHORTEST_END[reader.sounding] if k in kinds), kind)
        token = int(generator.choice([t for t in allowed if VOCABULARY.kind_of[t] == kind]))
        reader.read(token)
        ids.append(token)
    return ids, reader


def check_canonical(ids: list[int]) -> Score:
    """The score of ids has these ids as its only spelling, and is its own quantisation."""
    score = TOKENIZER.decode(ids)
    assert VOCABULARY.describe(TOKENIZER.spell(score).tolist()) == VOCABULARY.describe(ids)
    sounding = score.copy()
    sounding.tracks = [track for track in score.tracks if len(track.notes)]  # quantising drops the others
    assert content(quantize(score)) == content(sounding)
    return score


@given(SEEDS)
def test_walks_from_nothing_are_canonical(seed: int) -> None:
    ids, reader = walk(seed, [])
    check_canonical(ids)
    assert obeys(VOCABULARY, ids)
    assert not reader.allow().any()


@settings(max_examples=60)
@given(SEEDS, scores(), st.floats(0, 1))
def test_walks_on_from_real_spellings_are_canonical(seed: int, score: Score, where: float) -> None:
    ids = TOKENIZER.encode(score).tolist()
    prefix = ids[: 1 + int(where * (len(ids) - 2))]
    check_canonical(walk(seed, prefix, tokens=len(prefix) + 60)[0])


@settings(max_examples=30)
@given(SEEDS)
def test_uniform_walks_are_canonical(seed: int) -> None:
    generator = np.random.default_rng(seed)
    reader, ids = Reader(VOCABULARY, Plan()), []
    for _ in range(200):
        if reader.kind == "End":
            break
        ids.append(int(generator.choice(np.flatnonzero(reader.allow()))))
        reader.read(ids[-1])
    check_canonical(walk(seed, ids)[0] if reader.kind != "End" else ids)


@settings(max_examples=30)
@given(SEEDS)
def test_every_prefix_decodes_to_a_part_of_the_piece(seed: int) -> None:
    ids, _ = walk(seed, [], tokens=80)
    whole = {(i, *row) for i, track in enumerate(TOKENIZER.decode(ids).tracks) for row in _rows(track)}
    first = next(i for i, token in enumerate(ids) if VOCABULARY.kind_of[token] == "TimeSignature")
    for length in range(first + 1, len(ids)):
        part = TOKENIZER.decode(ids[:length])
        assert {(i, *row) for i, track in enumerate(part.tracks) for row in _rows(track)} <= whole


def _rows(track: object) -> list[tuple[int, int, int, int]]:
    return [(n.time, n.duration, n.pitch, n.velocity) for n in track.notes]


@settings(max_examples=40)
@given(SEEDS)
def test_reading_token_by_token_tells_what_a_whole_piece_tells(seed: int) -> None:
    plan = Plan(bars=3, key=(2, 1))
    ids, reader = walk(seed, [], plan)
    context = TOKENIZER.context(np.array(ids), plan)
    assert context[-1].tolist() == reader.context.tolist()
    for column, channel in zip(context.T, CHANNELS, strict=True):
        assert column.min() >= 0
        assert column.max() < channel.size


@given(SEEDS, SEEDS)
@settings(max_examples=40)
def test_a_copy_goes_its_own_way(seed: int, other: int) -> None:
    prefix = walk(seed, [], tokens=60)[0][:-1]
    reader = Reader(VOCABULARY, Plan(bars=4)).read_all(prefix)
    state = {name: getattr(reader, name) for name in Reader.__slots__ if name != "context"}
    context, mask = reader.context.copy(), reader.allow()
    twin = reader.copy()
    for token in walk(other, prefix)[0][len(prefix) :]:
        twin.read(token)
    assert {name: getattr(reader, name) for name in state} == state
    assert reader.context.tolist() == context.tolist()
    assert (reader.allow() == mask).all()


def test_masks_are_new_each_time() -> None:
    reader = Reader(VOCABULARY, Plan())
    reader.allow()[:] = True
    assert reader.allow().sum() == 1


# ---- rule by rule ---------------------------------------------------------------------------------------------------

HEAD = "BOS Track_0 Program_0 Track_1 Program_drums Bar TimeSignature_4/4 Position_0"
NOTE = f"{HEAD} Tempo_120 Track_0 Velocity_82 Pitch_60 Duration_24"
LONG = f"{HEAD} Tempo_120 Track_0 Velocity_82 Pitch_60 Sustain Sustain Duration_1"


@pytest.mark.parametrize(
    ("before", "token"),
    [
        ("", "BOS"),
        ("BOS", "Bar"),  # a piece without tracks
        ("BOS Track_0", "Program_drums"),
        ("BOS Track_0 Program_0", "Track_1"),
        (HEAD, "Key_0_major"),
        (HEAD, "Tempo_120"),
        (f"{HEAD} Tempo_120", "EOS"),  # one empty bar
        (f"{HEAD} Tempo_120", "Track_1"),
        (NOTE, "Velocity_86"),
        (NOTE, "Pitch_61"),
        (NOTE, "Track_1"),
        (NOTE, "EOS"),
        (NOTE, "Position_95"),
        (f"{NOTE} Position_24", "Pitch_60"),  # the first one has ended
        (f"{NOTE} Bar", "TimeSignature_3/4"),
        (f"{NOTE} Bar", "Position_0"),
        (f"{LONG} Bar Bar", "EOS"),
    ],
)
def test_allowed(before: str, token: str) -> None:
    assert Reader(VOCABULARY, Plan()).read_all(ids_of(before)).allow()[VOCABULARY.id_of[token]]


@pytest.mark.parametrize(
    ("before", "token"),
    [
        ("", "Bar"),
        ("BOS", "Track_1"),  # tracks are numbered in order
        ("BOS", "EOS"),
        ("BOS Track_0 Program_0 Bar", "Position_0"),  # the first bar states its meter
        (HEAD, "Track_0"),  # and its tempo
        (f"{HEAD} Key_0_major", "Key_1_major"),
        (f"{HEAD} Tempo_120", "Key_0_major"),  # the key comes before the tempo
        (f"{HEAD} Tempo_120", "Pitch_60"),  # of which track?
        (f"{HEAD} Tempo_120 Track_0", "Pitch_60"),  # how loud?
        (f"{HEAD} Tempo_120 Track_0", "Drum_60"),
        (f"{HEAD} Tempo_120 Track_1 Velocity_82", "Pitch_60"),
        (f"{HEAD} Tempo_120", "Track_2"),  # not in the header
        (NOTE, "Velocity_82"),  # holds already
        (NOTE, "Pitch_60"),
        (NOTE, "Pitch_59"),  # upwards
        (NOTE, "Track_0"),
        (NOTE, "Position_96"),  # outside the bar
        (NOTE, "Position_0"),
        (f"{NOTE} Position_23", "Pitch_60"),  # still sounds
        (f"{NOTE} Position_23", "Position_24"),  # a position without events
        (f"{NOTE} Position_23", "Tempo_120"),  # holds already
        (f"{NOTE} Position_23", "EOS"),
        (f"{NOTE} Bar", "TimeSignature_4/4"),
        (f"{NOTE} Bar", "EOS"),  # nothing sounds in this bar
        (LONG, "EOS"),  # the note sounds on past this bar
        (f"{LONG} Bar", "EOS"),
        (f"{LONG} Bar Bar Bar", "EOS"),
        ("BOS Bar TimeSignature_4/4 Position_0 Tempo_120", "Bar"),  # without tracks it could never end
    ],
)
def test_forbidden(before: str, token: str) -> None:
    assert not Reader(VOCABULARY, Plan()).read_all(ids_of(before)).allow()[VOCABULARY.id_of[token]]


def test_a_note_that_sounds_past_its_bar_brings_the_bars() -> None:
    ids = ids_of(f"{LONG} Bar Bar EOS")
    assert end_tick(check_canonical(ids)) == 8 * GRID + 1
    assert obeys(VOCABULARY, ids)
    assert not obeys(VOCABULARY, ids_of(f"{LONG} EOS"))


def test_ids_without_a_meter_are_refused_by_name() -> None:
    with pytest.raises(MelodyError, match="the first Bar has no TimeSignature"):
        TOKENIZER.decode(ids_of("BOS Bar EOS"))


def test_where_no_key_is_planned_the_first_one_stated_is_the_plan() -> None:
    key = [channel.name for channel in CHANNELS].index("key")
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, 4, 4)], [Tempo(0, qpm=120)]
    score.key_signatures = [KeySignature(0, 1, 1), KeySignature(48, 2, 0)]
    track = Track("", 0, False)
    set_notes(track, Notes(np.array([0, 48]), np.array([48, 48]), np.array([64, 62]), np.array([82, 82])))
    score.tracks.append(track)
    ids = TOKENIZER.encode(score)
    told = TOKENIZER.context(ids, Plan())[:, key]
    assert set(told[:6].tolist()) == {0}
    assert told[-1] == 1 + 4 + 12  # E minor, from where it is stated
    assert set(TOKENIZER.context(ids, Plan(key=(-1, 0)))[:, key].tolist()) == {1 + 5}  # a plan stands


def test_what_sounded_before_and_what_is_written_now() -> None:
    score = Score(GRID)
    score.time_signatures, score.tempos = [TimeSignature(0, 2, 4)], [Tempo(0, qpm=120)]
    for pitches in ([72, 74, 76], [60, 62, 64]):
        track = Track("", 0, False)
        onset = np.array([0, 24, 48])  # the last is on the next bar line
        set_notes(track, Notes(onset, np.array([24, 12, 24]), np.array(pitches), np.full(3, 82)))
        score.tracks.append(track)
    reader = Reader(TOKENIZER.vocabulary, Plan())
    seen = []
    for token in TOKENIZER.encode(score).tolist():
        reader.read(token)
        if TOKENIZER.vocabulary.kind_of[token] == "Duration":
            seen.append((dict(reader.before), dict(reader.now)))
    assert seen[2:] == [
        ({0: 72, 1: 60}, {0: 74}),
        ({0: 72, 1: 60}, {0: 74, 1: 62}),
        ({}, {0: 76}),  # a rest lies between
        ({}, {0: 76, 1: 64}),
    ]
