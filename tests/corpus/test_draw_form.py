"""Plans in training: told truly or not at all, and of the piece as it is after all augmentation."""

import numpy as np
import pytest
from support.bars import A, B, C, piece_of, split_of

from melody.corpus.augment import AugmentedSource, shift_tables
from melody.corpus.draw_form import FormTold, Plans
from melody.tokens import EventTokenizer, Plan
from melody.tokens.aligned_memory import NAMES, OF_MEMORY, remembered
from melody.tokens.channels import names_of

TOKENIZER = EventTokenizer(names_of(("read", "repetition", "form")))
IDS = np.array(piece_of([A, B, C, B] * 4), np.uint16)
FORM = [TOKENIZER.names.index(name) for name in NAMES]


SPLIT = split_of(IDS)


@pytest.mark.parametrize("shift", [0, 3])
def test_what_training_tells_is_what_a_reader_tells(shift: int) -> None:
    source = AugmentedSource(SPLIT, shift_tables(TOKENIZER, SPLIT))
    found = Plans(SPLIT).found(0).plan
    ids, context = source.shifted(0, shift, np.zeros(len(TOKENIZER.names), bool), form=FormTold(found))
    plan = TOKENIZER.plan_of(ids)
    told = TOKENIZER.context(ids, Plan(plan.bars, plan.key, form=found))
    assert np.array_equal(context, told)
    assert np.array_equal(context[:, FORM], remembered(ids.tolist(), found))
    assert context[:, FORM].any(axis=0).sum() > 15


def test_what_is_forgotten_is_not_told_and_the_plan_is() -> None:
    source = AugmentedSource(SPLIT, shift_tables(TOKENIZER, SPLIT))
    found = Plans(SPLIT).found(0).plan
    _, context = source.shifted(0, 0, np.zeros(len(TOKENIZER.names), bool), form=FormTold(found, True))
    told = {name for name, column in zip(TOKENIZER.names, context.T, strict=True) if column.any()}
    assert not told & {*OF_MEMORY, "recalled", "ago"}
    assert {"phrase", "form_lag", "form_like", "form_left"} <= told


def test_a_source_tells_what_it_is_given() -> None:
    plans = Plans(SPLIT)
    generator = np.random.default_rng(0)
    for teller, is_told in ((None, False), (plans.whole, True)):
        source = AugmentedSource(SPLIT, shift_tables(TOKENIZER, SPLIT), forms=teller)
        _, context = source.fetch(0, generator)
        assert context[:, TOKENIZER.names.index("form_lag")].any() == is_told
    drawn = [plans.drawn(0, generator) for _ in range(200)]
    assert 20 < sum(one.plan is None for one in drawn) < 60
    assert 20 < sum(one.forgotten for one in drawn) < 60


def test_a_model_without_these_channels_is_told_nothing_of_them() -> None:
    plain = EventTokenizer()
    source = AugmentedSource(SPLIT, shift_tables(plain, SPLIT), forms=Plans(SPLIT).drawn)
    _, context = source.fetch(0, np.random.default_rng(0))
    assert context.shape[1] == len(plain.names)
    assert plain.reader().memory is None


def test_another_plan_is_told_from_the_next_bar_line_on() -> None:
    found = Plans(SPLIT).found(0).plan
    reader, told = TOKENIZER.reader(Plan()), TOKENIZER.reader(Plan(form=found))
    lines = np.flatnonzero(TOKENIZER.vocabulary.ids["Bar"][0] == IDS)
    for place, token in enumerate(IDS.tolist()):
        if place == lines[9]:
            reader = reader.copy()
            reader.replan(found)
        reader.read(token)
        told.read(token)
    assert np.array_equal(reader.context[FORM], told.context[FORM])
    assert reader.planned(0) == found[15]
