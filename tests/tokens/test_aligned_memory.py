"""What stood at this place in the planned bar, and in the usual one: from the past alone, bounded, cheap to copy."""

import numpy as np
import pytest
from support.bars import A, B, C, line, piece_of

from melody.tokens import aligned_memory as memory
from melody.tokens import references
from melody.tokens.aligned_memory import NAMES, SIZES, AlignedMemory, remembered
from melody.tokens.plan import FIRST, KIND_OF, NEW, PITCH, UNTOLD, FormPlan, Symbol, key_of
from melody.tokens.plan_finding import plan_of_piece
from melody.tokens.references import agreed
from melody.tokens.vocabulary import event_vocabulary

VOCABULARY = event_vocabulary()
AT = {name: place for place, name in enumerate(NAMES)}


def told(ids: list[int], plan: FormPlan | None) -> list[tuple[str, dict[str, int]]]:
    """Each token with the channels after it."""
    rows = remembered(ids, plan).tolist()
    return [(VOCABULARY.tokens[t], dict(zip(NAMES, row, strict=True))) for t, row in zip(ids, rows, strict=True)]


def before_pitches(ids: list[int], plan: FormPlan | None, name: str, bar: int) -> list[tuple[int, int]]:
    """(pitch that comes, what `name` says before it) for the notes of a bar."""
    rows = remembered(ids, plan)
    bars = np.cumsum([VOCABULARY.tokens[token] == "Bar" for token in ids]) - 1
    places = [at for at, token in enumerate(ids) if KIND_OF[token] == PITCH and bars[at] == bar]
    return [(ids[at] - VOCABULARY.ids["Pitch"].start, int(rows[at - 1, AT[name]])) for at in places]


def some_piece(seed: int = 0, bars: int = 30) -> list[int]:
    """A piece of a few bars that return, in some order, with changes."""
    generator = np.random.default_rng(seed)
    known = [line(*generator.integers(40, 80, 4).tolist(), loud=int(generator.integers(10, 30))) for _ in range(4)]
    chosen = [list(known[int(generator.integers(4))]) for _ in range(bars)]
    for bar in chosen:
        if generator.random() < 0.4:
            bar[int(generator.integers(4))] = (int(generator.integers(4)) * 24 + 3, 50, 12)
            bar.sort()
    return piece_of(chosen)


def test_the_planned_bar_is_told_note_by_note() -> None:
    ids = piece_of([A, B, C, A])
    plan = FormPlan((FIRST, NEW, NEW, Symbol(2, 4)))
    hits = before_pitches(ids, plan, "planned_hit", 3)
    assert [hit for _, hit in hits] == [1 + pitch for _, pitch, _ in B]  # as planned, whatever is played
    assert all(value == 0 for _, value in before_pitches(ids, plan, "planned_hit", 2))


def test_after_a_bar_was_followed_nothing_more_stands_in_it() -> None:
    plan = FormPlan((FIRST, Symbol(1, 4)))
    last = told(piece_of([A, A]), plan)[-2][1]
    assert last["planned_place"] == memory.BAR_END
    assert last["planned_wait"] == memory.END_WAIT
    assert last["planned_kept"] == SIZES["planned_kept"] - 1


def test_a_bar_that_goes_its_own_way_is_followed_less() -> None:
    kept = told(piece_of([A, C]), FormPlan((FIRST, Symbol(1, 1))))[-2][1]["planned_kept"]
    assert kept == 2


def test_place_wait_length_and_velocity_of_what_comes() -> None:
    quiet, loud = line(60, 62, loud=10), line(60, 62, loud=14)
    rows = told(piece_of([loud, quiet], duration=9), FormPlan((FIRST, Symbol(1, 4))))
    at = [place for place, (name, _) in enumerate(rows) if name == "Pitch_60"][1]
    before, under_way, after = rows[at - 1][1], rows[at][1], rows[at + 1][1]
    assert (before["planned_place"], before["planned_wait"], before["planned_loud"]) == (
        1,
        1 + references.TOLERANCE,
        15,
    )
    assert before["planned_louder"] == 1 + memory.LOUDER + 4
    assert (before["planned_long"], under_way["planned_long"], after["planned_long"]) == (0, 9, 0)
    assert (after["planned_place"], after["planned_wait"]) == (25, 1 + references.TOLERANCE + 24)


def test_the_usual_bar_needs_no_plan() -> None:
    ids = piece_of([A, B, A, B, A])
    assert [hit - 1 for _, hit in before_pitches(ids, None, "usual_hit", 4)] == [pitch for _, pitch, _ in A]
    assert not before_pitches(ids, None, "planned_hit", 4)[0][1]


def test_what_most_copies_have_is_told_where_the_latest_has_it_not() -> None:
    bars = [
        tuple((24 * place, 0, pitch, 20, 6) for place, pitch in enumerate(row)) for row in ([60, 62], [60, 62], [60])
    ]
    found = agreed(bars, [key_of(bar) for bar in bars], 1)
    assert [(event[2], event[5]) for event in found] == [(60, 4 * 2 + 2), (62, references.MISSING + 4 * 2 + 1)]


def test_an_unlike_bar_is_not_asked() -> None:
    bars = [((0, 0, 70, 20, 6),), ((0, 0, 60, 20, 6),)]
    assert agreed(bars, [key_of(bar) for bar in bars], 1) == ((0, 0, 60, 20, 6, 0),)


def test_velocities_of_copies_are_a_mean() -> None:
    bars = [((0, 0, 60, loud, 6),) for loud in (10, 20, 30)]
    assert agreed(bars, [key_of(bar) for bar in bars], 1)[0][3] == 20


@pytest.mark.parametrize("pickup", [0, 1])
def test_phrases_count_from_the_first_whole_bar(pickup: int) -> None:
    bars = ([[(72, 60, 20)]] if pickup else []) + [A, B, C] * 6
    for plan in (None, FormPlan((), pickup)):
        rows = [row["phrase"] for name, row in told(piece_of(bars), plan) if name == "Bar"]
        assert rows[1:] == [1 + (bar - pickup) % memory.PHRASE for bar in range(1, len(bars))]
        assert rows[0] == (0 if plan is None else 1 + -pickup % memory.PHRASE)


def test_how_long_a_lag_goes_on() -> None:
    plan = FormPlan((FIRST, NEW, Symbol(2, 4), Symbol(2, 3), Symbol(1, 4), UNTOLD))
    rows = [row for name, row in told(piece_of([A] * 6), plan) if name == "Bar"]
    assert [row["form_left"] for row in rows] == [1, 1, 2, 1, 1, 0]
    assert [row["form_like"] for row in rows] == [0, 0, 4, 3, 4, 0]
    assert len({row["form_lag"] for row in rows}) == 5


@pytest.mark.parametrize("seed", range(4))
def test_token_by_token_with_copies_is_as_a_whole_piece(seed: int) -> None:
    ids = some_piece(seed)
    plan = plan_of_piece(ids).plan
    reader, generator, left = AlignedMemory(plan), np.random.default_rng(seed), []
    rows = []
    for token in ids:
        if generator.random() < 0.1:
            left.append((reader, list(reader.context)))
            reader = reader.copy()
        reader.read(token)
        rows.append(list(reader.context))
    assert rows == remembered(ids, plan).tolist()
    assert all(old.context == context for old, context in left)
    for old, _ in left:  # what its copy read has not changed it
        assert old.copy().bars == old.bars


@pytest.mark.parametrize("seed", range(3))
def test_the_future_is_not_known(seed: int) -> None:
    ids, other = some_piece(seed), some_piece(seed + 10)
    plan = plan_of_piece(ids).plan
    middle = [at for at, token in enumerate(ids) if VOCABULARY.tokens[token] == "Bar"][15]
    changed = ids[:middle] + other[[VOCABULARY.tokens[t] for t in other].index("Bar") + 1 :]
    for known in (plan, None):
        assert np.array_equal(remembered(ids, known)[:middle], remembered(changed, known)[:middle])


def test_values_lie_within_their_channels() -> None:
    for seed in range(5):
        ids = some_piece(seed, bars=90)
        found = remembered(ids, plan_of_piece(ids).plan)
        assert found.min() >= 0
        assert (found.max(axis=0) < np.array(list(SIZES.values()))).all()
        assert found.shape == (len(ids), len(SIZES))


def test_a_piece_without_end_does_not_grow() -> None:
    reader = AlignedMemory()
    for token in piece_of([A, B, C] * 200):
        reader.read(token)
    assert len(reader.bars[0]) == len(reader.keys[0]) == memory.KEEP
    assert reader.context[AT["same_lag"]] > 0


def test_another_plan_holds_from_the_next_bar_line_on() -> None:
    ids = piece_of([A, B, C])
    line_at = [at for at, token in enumerate(ids) if VOCABULARY.tokens[token] == "Bar"][2]
    reader = AlignedMemory()
    for token in ids[:line_at]:
        reader.read(token)
    other = reader.copy()
    other.replan(FormPlan((UNTOLD, UNTOLD, Symbol(2, 4))))
    reader.read(ids[line_at])
    other.read(ids[line_at])
    assert reader.context[AT["planned_hit"]] == 0
    assert other.context[AT["planned_hit"]] == 1 + 60
