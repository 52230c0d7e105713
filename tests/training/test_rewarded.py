"""Pieces drawn for rewards: read as the model read them, from train alone, in runs that go on bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from support.counting import assert_same_run, rows_of
from support.tiny_bundle import write_bundle, write_harmonising_bundle, write_planning_bundle
from support.tunes import tune

import melody
from melody.bundle import open_bundle
from melody.config import LimitsConfig, PolicyConfig, TrainConfig, check_config
from melody.corpus import TokenStore
from melody.engine.torch import model_of
from melody.errors import ConfigError
from melody.generation.decoders import DECODERS
from melody.generation.held import voices_of
from melody.generation.prepared import prepare
from melody.generation.rules.styles import style_rules
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.learning.finetune import prepare_store
from melody.learning.rewarded import JUDGED, Drawing, Read, _read, _returns, primed_of
from melody.learning.train import train_run
from melody.music.voice_leading import parallels, slices, voices

SECTION = {
    "name": "policy",
    "rewards": {"voice_leading": 1.0, "ending": 2.0, "originality": 0.5},
    "pieces": 4,
    "group": 2,
    "bars": [2, 3],
    "judged": 2,
    "limits": dict.fromkeys(LimitsConfig.model_fields),  # none: a model that learned nothing may lose distinct n-grams
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle, and a store of music for it."""
    folder = tmp_path_factory.mktemp("rewards")
    write_bundle(folder / "tiny")
    for seed in range(14):
        melody.write(tune(seed, bars=20), folder / "mine" / f"{seed}.mid")
    prepare_store(folder / "mine", open_bundle(folder / "tiny"), folder / "store")
    return folder


def configuration(workshop: Path, **changes: Any) -> TrainConfig:
    bundle = open_bundle(workshop / "tiny")
    values = {
        "name": "rewarded",
        "corpus": str(workshop / "store"),
        "base": str(workshop / "tiny"),
        "model": dict(bundle.settings["model"]) | {"dropout": 0.2},
        "data": {"batch_size": 2, "window": 128, "channels": list(bundle.channels)},
        "optimizer": {"passes": 4, "warmup_steps": 0},
        "objective": SECTION,
        "max_passes": 2,
        "threads": 1,
        "precision": "32-true",
        "tensorboard": False,
        "evaluation": {"patience": None},
    }
    return check_config({**values, **changes})


def drawing(workshop: Path, **changes: Any) -> Drawing:
    config = configuration(workshop)
    section = PolicyConfig.model_validate(SECTION | changes)
    return Drawing(open_bundle(workshop / "tiny"), TokenStore.open(workshop / "store"), config, section)


@pytest.mark.parametrize("write", [write_bundle, write_planning_bundle, write_harmonising_bundle])
def test_pieces_are_read_as_the_model_read_them(tmp_path: Path, workshop: Path, write: Any):
    """The channels of training are those that the model was told when it drew, plans of bars and chords among them."""
    bundle = open_bundle(write(tmp_path / "one"))
    draws = Drawing(bundle, TokenStore.open(workshop / "store"), configuration(workshop), PolicyConfig(**SECTION))
    engine, told = draws._engine(model_of(bundle)), []

    class Noting:
        start = staticmethod(engine.start)

        def step(self, ids: Any, context: Any, carry: Any) -> Any:
            told.append((int(ids[0]), np.array(context[0])))
            return engine.step(ids, context, carry)

    prepared = draws._prepared(Noting(), None, 3, top_p=1.0)
    seed = Seed(3, 1)
    told.clear()
    (drawn,) = DECODERS["sampling"].decode(prepared, Noting(), [seed])
    read = _read(prepared, seed, drawn.ids)
    assert read.ids == [*prepared.ids, *drawn.ids]
    assert read.drawn.sum() == len(drawn.ids)
    assert told
    for back, (token, context) in enumerate(reversed(told), 1):
        assert read.ids[-1 - back] == token
        assert read.context[-back].tolist() == context.tolist()


def test_pieces_begin_alike_in_groups_and_go_on_from_training_pieces(workshop: Path):
    draws = drawing(workshop, primed=0.5)
    pieces = draws.draw(model_of(draws.bundle), 5)
    again = draws.draw(model_of(draws.bundle), 5)
    other = draws.draw(model_of(draws.bundle), 6)
    assert pieces.tokens.equal(again.tokens)
    assert pieces.earned.equal(again.earned)
    assert not pieces.tokens[0].equal(other.tokens[0])
    assert pieces.group.tolist() == [0, 0, 1, 1]
    given = [(~row).int().argmin().item() if row.any() else 0 for row in pieces.mask]  # tokens before the first drawn
    assert given[0] == given[1] > given[2] == given[3]  # the first group goes on
    assert pieces.tokens[0, : given[0]].equal(pieces.tokens[1, : given[1]])


def test_rewards_never_see_valid_or_test(workshop: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    whole = TokenStore.split

    def split(self: TokenStore, name: str) -> Any:
        asked.append(name)
        assert name == "train"
        return whole(self, name)

    monkeypatch.setattr(TokenStore, "split", split)
    draws = drawing(workshop)
    draws.draw(model_of(draws.bundle), 0)
    assert set(draws.judge(model_of(draws.bundle))) == {*JUDGED, *SECTION["rewards"]}
    assert asked


def test_a_parallel_is_drawn_where_it_is_forbidden():
    """Wherever a piece has a parallel, it has drawn a forbidden pitch (the rule forbids contrary motion, too)."""
    composer = melody.load("chorale")
    bundle = composer.bundle
    prepared = prepare(bundle, composer.engine, None, Settings(bars=8, style_rules=False))
    rules = style_rules(["no_parallels"], bundle.tokenizer.vocabulary, voices_of(bundle, sorted(prepared.rooms)))
    seeds, heard = [Seed(1, number) for number in range(1, 9)], 0
    for seed, one in zip(seeds, DECODERS["sampling"].decode(prepared, composer.engine, seeds), strict=True):
        read = _read(prepared, seed, one.ids, [(rule, 1.0) for rule in rules])
        drawn = read.forbidden[np.arange(len(read.ids) - 1), read.ids[1:]] & read.drawn
        found = parallels(slices(voices(bundle.tokenizer.decode(np.array(read.ids)))))
        assert {parallel.tick for parallel in found} <= set(read.tick[drawn].tolist())
        heard += len(found)
        assert not _read(prepared, seed, one.ids).forbidden.size
    assert heard


def test_the_last_chord_is_where_the_rule_leads():
    """Where `tonic_ending` leads on by one token, that one is lawful, and stakes are its own."""
    composer = melody.load("chorale")
    bundle = composer.bundle
    prepared = prepare(bundle, composer.engine, None, Settings(bars=4, style_rules=False))
    voices = voices_of(bundle, sorted(prepared.rooms))
    rules = style_rules(["no_parallels", "tonic_ending"], bundle.tokenizer.vocabulary, voices)
    (one,) = DECODERS["sampling"].decode(prepared, composer.engine, [Seed(2, 1)])
    read = _read(prepared, Seed(2, 1), one.ids, list(zip(rules, (1.0, 7.0), strict=True)))
    leads = np.flatnonzero(read.way_on >= 0)
    assert len(leads)
    assert not read.forbidden[leads, read.way_on[leads]].any()
    assert (read.stakes[leads] == 7).all()
    assert read.bar[leads].min() >= 2  # in the last bar, and before its line
    assert set(np.unique(read.stakes)) == {0, 1, 7}


def test_a_base_learns_from_what_it_was_not_told(workshop: Path, tmp_path: Path):
    """It begins as it was: the KL of the first step is that of rounding."""
    section = {**SECTION, "rules": {"no_parallels": 10.0}, "weight": 0.1}
    channels = [*open_bundle(workshop / "tiny").channels, "counterpoint"]
    told = {"batch_size": 2, "window": 128, "channels": channels}
    changes: dict[str, Any] = {"objective": section, "data": told, "optimizer": {"warmup_steps": 0, "new_channels": 50}}
    train_run(configuration(workshop, **changes, max_passes=1), tmp_path)
    steps = rows_of(tmp_path / "steps.csv")
    assert abs(float(steps[0]["kl"])) < 1e-6 < float(steps[-1]["kl"])


def test_an_unknown_rule_is_refused(workshop: Path):
    config = configuration(workshop, objective=SECTION | {"rules": {"no_fifths": 1.0}})
    with pytest.raises(ConfigError, match="'no_fifths' is unknown; there are: kept_time, leading_notes"):
        train_run(config, workshop / "refused")


def test_what_is_earned_later_counts_less():
    tick = np.array([0, 0, 96, 192, 300])
    read = Read([], np.zeros((5, 1), np.int16), np.ones(5, bool), tick, tick // 96, np.zeros((5, 0), bool), tick, tick)
    found = _returns(read, [(96, 2.0), (None, 1.0)], reach=1.0)
    assert found == pytest.approx([1 + 2 / np.e, 1 + 2 / np.e, 3, 1, 1])


def test_a_run_with_rewards_keeps_its_tables_and_goes_on_bit_for_bit(workshop: Path, tmp_path: Path):
    assert train_run(configuration(workshop), tmp_path / "whole").stopped == "max_passes"
    train_run(configuration(workshop, max_passes=1), tmp_path / "cut")
    train_run(configuration(workshop), tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    before, *later = rows_of(tmp_path / "whole" / "evaluations.csv")
    assert {*JUDGED, *SECTION["rewards"]} <= before.keys()
    assert before["step"] == "0"  # the base, beside which limits hold
    assert later


@pytest.mark.slow
def test_a_run_with_an_adversary_goes_on_bit_for_bit(workshop: Path, tmp_path: Path):
    section = {key: value for key, value in SECTION.items() if key not in ("name", "rewards")}
    section |= {"name": "adversarial", "bars": [8, 9], "silent": 0, "primed": 0, "width": 8}
    data = {"batch_size": 2, "window": 32, "channels": list(open_bundle(workshop / "tiny").channels)}
    changes: dict[str, Any] = {"objective": section, "data": data}
    train_run(configuration(workshop, **changes), tmp_path / "whole")
    train_run(configuration(workshop, **changes, max_passes=1), tmp_path / "cut")
    train_run(configuration(workshop, **changes), tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    assert any(float(row["told_apart"]) for row in rows_of(tmp_path / "whole" / "steps.csv"))


def test_what_does_not_fit_is_said_in_a_line(workshop: Path, tmp_path: Path):
    unknown = configuration(workshop, objective={"name": "policy", "rewards": {"beauty": 1.0}})
    with pytest.raises(ConfigError, match=r"objective\.rewards: 'beauty' is unknown; there are: voice_leading, "):
        train_run(unknown, tmp_path)
    with pytest.raises(ConfigError, match="rewards are learned from a base"):
        train_run(configuration(workshop, base=None), tmp_path)
    with pytest.raises(ConfigError, match="draws in one process"):
        train_run(configuration(workshop, devices=2), tmp_path)


@pytest.mark.parametrize(("groups", "share"), [(2, 0.25), (4, 0.25), (1, 0.1), (3, 0.5), (5, 0.0), (2, 1.0)])
def test_over_many_draws_as_many_groups_are_primed_as_asked(groups: int, share: float) -> None:
    counts = [primed_of(groups, share, number) for number in range(40)]
    assert sum(counts) == pytest.approx(40 * groups * share)
    assert max(counts) - min(counts) <= 1
    assert 0 <= min(counts) <= max(counts) <= groups
