"""Tracks that go their own ways: a plan and a memory of each, merged into one bar to follow."""

import numpy as np
import pytest
from support.bars import A, B, C, D, band_of, line, piece_of

from melody.corpus.draw_form import HIDDEN
from melody.tokens import EventTokenizer, Plan
from melody.tokens import plan as p
from melody.tokens.aligned_memory import NAMES, SIZES, AlignedMemory, part_sizes, remembered
from melody.tokens.channels import names_of
from melody.tokens.plan import EMPTY, FIRST, NEW, UNTOLD, FormPlan, Symbol, letters_of, spelled
from melody.tokens.plan_finding import plan_around, plan_of_piece, plan_of_tracks_around

BEAT = [(24 * place, 128 + drum, 20) for place, drum in enumerate((36, 38, 36, 38))]
NEW_LINE = [line(*(40 + 4 * bar + step for step in (0, 7, 3, 11))) for bar in range(8)]
BAND = band_of([BEAT] * 8, NEW_LINE, [A, B, [], []] * 2)
VOICES = 3
ALL_NAMES = (*NAMES, *part_sizes(VOICES))


def rows_of(ids: list[int], plan: FormPlan | None) -> list[dict[str, int]]:
    """The channels after each token."""
    return [dict(zip(ALL_NAMES, row, strict=True)) for row in remembered(ids, plan, VOICES).tolist()]


def hits_told(ids: list[int], plan: FormPlan | None, name: str, bar: int) -> list[tuple[int, int]]:
    """(hit that comes, hit that is told before it) of a bar."""
    rows, number, found = rows_of(ids, plan), -1, []
    for place, token in enumerate(ids):
        number += p.KIND_OF[token] == p.BAR
        if number == bar and p.KIND_OF[token] in (p.PITCH, p.DRUM):
            found.append((p.VALUE_OF[token], rows[place - 1][name] - 1))
    return found


def test_each_track_has_its_own_plan() -> None:
    apart = plan_of_piece(BAND, apart=True).plan
    assert [spelled(line) for line in apart.tracks] == [
        "first 1= 1= 1= 1= 1= 1= 1=",
        "first new new new new new new new",
        "first new empty empty 4= 4= empty empty",
    ]
    assert apart.symbols == ()
    assert apart.of(0, 3) == Symbol(1, 4)
    assert apart.of(7, 3) == apart.of(0, 99) == UNTOLD
    together = plan_of_piece(BAND).plan
    assert together.of(1, 1) == together[1]  # where the piece has one plan it holds for every track


def test_the_planned_bar_is_that_of_each_track_by_its_own_lag() -> None:
    plan = plan_of_piece(BAND, apart=True).plan
    told = hits_told(BAND, plan, "planned_hit", 4)  # as the bar before, new, as four bars ago
    assert [hit for hit, _ in told if hit >= 128] == [said for hit, said in told if hit >= 128]
    assert [said for hit, said in told if hit in (60, 62, 64, 65)] == [60, 62, 64, 65]
    lines = [said for _, said in told]
    assert not {pitch for _, pitch, _ in NEW_LINE[3]} & set(lines)  # what is planned as new names no bar


def test_the_groove_is_known_without_a_plan_though_a_line_is_new() -> None:
    told = hits_told(BAND, None, "usual_hit", 7)
    drums = [(hit, said) for hit, said in told if hit >= 128]
    assert all(hit == said for hit, said in drums)


def test_the_symbol_told_is_that_of_the_track_under_way() -> None:
    plan = plan_of_piece(BAND, apart=True).plan
    bar, rows = -1, rows_of(BAND, plan)
    for token, row in zip(BAND, rows, strict=True):
        bar += p.KIND_OF[token] == p.BAR
        if p.KIND_OF[token] == p.TRACK and bar == 4:
            told = {0: (4 + 0, 4), 1: (1, 0), 2: (4 + 3, 4)}[p.VALUE_OF[token]]
            assert (row["form_lag"], row["form_like"]) == told
        if p.KIND_OF[token] == p.BAR and bar in (4, 6):
            parts = [row[f"part_{voice}"] for voice in range(VOICES)]
            assert parts == ([7, 1, 7] if bar == 4 else [7, 1, 3])


def test_the_range_of_a_track_widens_with_its_notes_and_drums_have_none() -> None:
    rows = rows_of(BAND, None)
    played: dict[int, list[int]] = {}
    track, bar = 0, -1
    for token, row in zip(BAND, rows, strict=True):
        kind, value = p.KIND_OF[token], p.VALUE_OF[token]
        bar += kind == p.BAR
        if kind == p.TRACK and bar >= 0:
            track = value
        if kind == p.PITCH:
            played.setdefault(track, []).append(value)
        own = played.get(track)
        assert (row["lowest"], row["highest"]) == ((1 + min(own), 1 + max(own)) if own else (0, 0))
    assert set(played) == {1, 2}


@pytest.mark.parametrize("seed", range(3))
def test_token_by_token_with_copies_is_as_a_whole_piece(seed: int) -> None:
    plan = plan_of_piece(BAND, apart=True).plan
    reader, generator, left, rows = AlignedMemory(plan, VOICES), np.random.default_rng(seed), [], []
    for token in BAND:
        if generator.random() < 0.2:
            left.append((reader, list(reader.context), reader.ranges, reader.bars))
            reader = reader.copy()
        reader.read(token)
        rows.append(list(reader.context))
    assert rows == remembered(BAND, plan, VOICES).tolist()
    for old, context, ranges, bars in left:  # what its copy read has not changed it
        assert (old.context, old.ranges) == (context, ranges)
        assert old.bars is bars


def test_the_future_is_not_known() -> None:
    other = band_of([BEAT] * 8, [*NEW_LINE[:4], C, D, C, D], [A, B, [], [], D, D, D, D])
    plan, middle = plan_of_piece(BAND, apart=True).plan, [i for i, t in enumerate(BAND) if p.KIND_OF[t] == p.BAR][4]
    assert BAND[:middle] == other[:middle]
    for known in (plan, None):
        ours, theirs = (remembered(ids, known, VOICES)[: middle + 1] for ids in (BAND, other))
        assert np.array_equal(ours, theirs)


def test_values_lie_within_their_channels() -> None:
    found = remembered(BAND, plan_of_piece(BAND, apart=True).plan, VOICES)
    sizes = [*SIZES.values(), *part_sizes(VOICES).values()]
    assert found.min() >= 0
    assert (found.max(axis=0) < sizes).all()


def test_of_one_track_both_ways_are_the_same() -> None:
    ids = piece_of([A, B, C, B] * 4)
    together, apart = plan_of_piece(ids).plan, plan_of_piece(ids, apart=True).plan
    assert apart.tracks == (together.symbols,)
    assert np.array_equal(remembered(ids, together), remembered(ids, apart, 1)[:, : len(NAMES)])


def test_a_reader_tells_what_training_tells() -> None:
    tokenizer = EventTokenizer(names_of(("form", "parts"), VOICES))
    plan = plan_of_piece(BAND, apart=True).plan
    assert tokenizer.names == ALL_NAMES
    told = tokenizer.context(np.array(BAND), Plan(form=plan))
    assert np.array_equal(told, remembered(BAND, plan, VOICES))
    assert tokenizer.reader(Plan(form=plan)).read_all(BAND[:-1]).planned(0) == Symbol(1, 4)


def test_training_tells_some_tracks_and_not_others_and_silence_where_one_is_left_out() -> None:
    found, generator = plan_of_piece(BAND, apart=True), np.random.default_rng(0)
    told = [found.told(generator, HIDDEN, 0, 0, sounding={0, 1}) for _ in range(400)]
    plans = [plan for plan in told if plan is not None]
    assert 0.7 < len(plans) / len(told) < 0.9
    full = [plan.tracks[0] == found.plan.tracks[0] for plan in plans]
    assert 0.7 < np.mean(full) < 0.95
    assert {plan.tracks[2] for plan in plans} <= {(EMPTY,) * count for count in range(9)}


def test_around_a_gap_tracks_that_stand_are_known() -> None:
    bars, pickup = p.bars_of(BAND)
    plan = plan_of_tracks_around(bars, pickup, range(4, 6), VOICES, known={1})
    assert plan.tracks[1][4:6] == (NEW, NEW)
    assert plan.tracks[2][4:] == (UNTOLD, UNTOLD, EMPTY, EMPTY)
    assert set(plan.ahead) == {6, 7}
    first = plan_of_tracks_around(bars, pickup, range(2), VOICES, known={1})
    assert [line[0] for line in first.tracks] == [UNTOLD, FIRST, UNTOLD]  # who begins in it is not known
    tune, _ = p.bars_of(piece_of([A, B, C, D, A, C] * 3))
    alone = plan_of_tracks_around(tune, 0, range(2, 4), 1, known=())
    assert alone.tracks == (plan_around(tune, 0, range(2, 4)).symbols,)
    assert Symbol(-6, 4) in alone.tracks[0]  # as a bar behind it


def test_letters_are_of_all_tracks() -> None:
    a, b = (FIRST, *(NEW,) * 7), (NEW,) * 8
    back, same = (Symbol(8, 4),) * 8, (Symbol(1, 4),) * 8
    assert letters_of(FormPlan(tracks=((*a, *back), (*a, *back)))) == [(0, "A"), (8, "A")]
    assert letters_of(FormPlan(tracks=((*a, *b), (*a, *back)))) == [(0, "A"), (8, "A")]  # half of it
    assert letters_of(FormPlan(tracks=((*a, *b), (*a, *b), (*a, *same)))) == [(0, "A"), (8, "B")]
