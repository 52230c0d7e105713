"""The plan of a take: drawn from its seed and number, asked for in letters, told around a gap, replayed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.bars import A, B, C, D, piece_of
from support.tiny_bundle import write_bundle, write_planning_bundle

from melody.bundle import open_bundle
from melody.errors import UnreadableFile, UsageError
from melody.generation import Composer
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.score import Score
from melody.render.page import layout
from melody.tokens import EventTokenizer
from melody.tokens.plan import FIRST, NEW, UNTOLD, Symbol, unspelled
from tests.support.bar_counts import whole_bars


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(write_planning_bundle(tmp_path_factory.mktemp("planning") / "folk"))


@pytest.fixture(scope="module")
def primer() -> Score:
    return EventTokenizer().decode(np.array(piece_of([A, B, C, D, A, B, C, D])))


def test_takes_have_plans_of_their_own_and_the_same_alone(composer: Composer, primer: Score) -> None:
    takes = composer.compose(primer, takes=3, seed=7, bars=6)
    plans = [take.plan for take in takes]
    assert len(set(map(str, plans))) == 3
    for take in takes:
        assert take.plan is not None
        assert take.plan.symbols[:8] == (FIRST, NEW, NEW, NEW, *[Symbol(4, 4)] * 4)
        assert UNTOLD not in take.plan.symbols
    alone = composer.recompose(json.loads(json.dumps(takes[2].settings)), primer)
    assert alone.to_midi() == takes[2].to_midi()
    assert alone.plan == takes[2].plan
    assert unspelled(takes[2].settings["plan"]["bars"]) == takes[2].plan.symbols
    assert takes[2].to_dict()["form"]["bars"] == takes[2].settings["plan"]["bars"]


def test_the_last_bar_line_is_read_under_the_plan_of_each_take(composer: Composer, primer: Score) -> None:
    prepared = composer._prepare(primer, settings_of({"bars": 4}))
    starts = prepared.start([Seed(1, take) for take in range(1, 9)])
    column = composer.bundle.tokenizer.names.index("form_lag")
    told = {int(start.reader.context[column]) for start in starts}
    assert len(told) > 1
    contexts = {start.reader.context.tobytes() for start in starts}
    assert len({start.logits.tobytes() for start in starts}) == len(contexts)


def test_a_take_from_nothing_has_so_many_bars_planned(composer: Composer) -> None:
    take = composer.compose(bars=9, seed=2)[0]
    assert take.plan is not None
    assert whole_bars(take.score) == 9
    planned = {
        (one.plan.pickup, len(one.plan.symbols)) for one in composer.compose(bars=9, takes=8, seed=2) if one.plan
    }
    assert planned == {(0, 9), (1, 10)}  # a pickup is no bar of those asked for


def test_a_form_asked_for_in_letters(composer: Composer) -> None:
    take = composer.compose(form="ABA'B", section=2, seed=3)[0]
    assert take.plan is not None
    assert take.plan.symbols[4:] == (Symbol(4, 3), Symbol(4, 3), Symbol(4, 4), Symbol(4, 4))
    assert take.plan.symbols[3].lag <= 1  # within the section
    assert [name for _, name in take.sections] == ["A", "B", "A", "B"]
    assert [bar for bar, _ in take.sections] == [0, 2, 4, 6]
    assert take.to_dict()["form"]["letters"] == "ABAB"


def test_the_form_of_a_piece_begins_with_its_primer(composer: Composer, primer: Score) -> None:
    take = composer.compose(primer, form="ABA", section=4, seed=3)[0]
    assert take.plan is not None
    assert len(take.plan.symbols) == 12
    assert take.plan.symbols[8:] == (Symbol(8, 4),) * 4
    with pytest.raises(UsageError, match="name those of the file first"):
        composer.compose(primer, form="AB", section=4)
    with pytest.raises(UsageError, match="leave out `fill`"):
        composer.compose(primer, form="AB", fill=(3, 4))


def test_a_form_as_the_primers(composer: Composer, primer: Score) -> None:
    take = composer.compose(primer, form="as-primer", seed=3)[0]
    assert take.plan is not None
    assert take.plan.symbols[8:] == (NEW,) * 4 + (Symbol(4, 4),) * 4
    with pytest.raises(UsageError, match="give a file too"):
        composer.compose(form="as-primer")


def test_a_gap_is_filled_by_what_stands_behind_it(composer: Composer, primer: Score) -> None:
    prepared = composer._prepare(primer, settings_of({"fill": (2, 3)}))
    assert prepared.form is not None
    assert prepared.form.known.symbols[1:3] == (Symbol(-4, 4), Symbol(-4, 4))
    (start,) = prepared.start([Seed(0, 1)])
    names = composer.bundle.tokenizer.names
    told = dict(zip(names, start.reader.context.tolist(), strict=True))
    assert told["planned_hit"] == 1 + B[0][1]  # of bar 6
    assert composer.compose(primer, fill=(2, 3), seed=1)[0].plan is not None


def test_a_search_that_draws_nothing_takes_the_likeliest_plan(composer: Composer) -> None:
    for options in ({"greedy": True}, {"beam_width": 2}):
        one, other = (composer.compose(bars=3, seed=seed, **options)[0].plan for seed in (1, 2))
        assert one == other


def test_takes_are_drawn_from_the_share_that_suits_the_model(tmp_path: Path) -> None:
    own = Composer(write_planning_bundle(tmp_path / "own", {"top_p": 0.5}))
    for options, top_p in (({}, 0.5), ({"top_p": 0.95}, 0.95)):
        take = own.compose(bars=2, seed=1, **options)[0]
        assert take.settings["sampling"]["top_p"] == top_p
        assert own.recompose(take.settings).to_midi() == take.to_midi()
    assert Composer(write_bundle(tmp_path / "tiny")).compose(bars=1, seed=1)[0].settings["sampling"]["top_p"] == 0.95


def test_copies_are_watched_under_every_plan(composer: Composer, primer: Score) -> None:
    take = composer.compose(primer, bars=2, seed=4, max_copy_bars=1)[0]
    assert take.plan is not None
    assert len(take.plan.symbols) == 10


def test_letters_stand_in_the_picture(composer: Composer) -> None:
    take = composer.compose(form="AB", section=4, seed=3, only_new=True)[0]
    page = layout(take.score, letters=dict(take.sections))
    assert page.letters == {0: "A", 4: "B"}
    assert "&lt;text class=&quot;letter&quot;" in take._repr_html_()


def test_a_model_without_a_planner_plans_nothing(tmp_path: Path) -> None:
    plain = Composer(write_bundle(tmp_path / "tiny"))
    take = plain.compose(bars=2, seed=1)[0]
    assert take.plan is None
    assert not take.sections
    assert "plan" not in take.settings
    assert "form" not in take.settings
    with pytest.raises(UsageError, match="plans no bars"):
        plain.compose(form="AB")


def test_a_planner_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_planning_bundle(tmp_path / "folk")
    data = save({"symbol": np.zeros((2, 2), np.float32)})
    (folder / "planner.safetensors").write_bytes(data)
    settings = json.loads((folder / "bundle.json").read_text())
    settings["files"]["planner.safetensors"] = hashlib.sha256(data).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(settings))
    with pytest.raises(UnreadableFile, match=r"planner.safetensors: is no planner: its symbol should be"):
        assert open_bundle(folder).planner
