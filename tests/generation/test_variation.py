"""Variations: a share of the bars of a take comes anew, the rest is kept to the note, and all of it again by replay."""

import json
from itertools import pairwise, zip_longest
from pathlib import Path

import pytest
from support.primers import primer, tune

import melody
from melody.cli import run
from melody.errors import UsageError
from melody.formats.midi import read_midi
from melody.generation import Composer, Take
from melody.generation.seeds import Seed
from melody.generation.settings import Settings
from melody.generation.variation import as_variation, gaps_of
from melody.music.score import Score, bars, notes_of


@pytest.fixture(scope="module")
def folk() -> Composer:
    return melody.load("folk")


@pytest.fixture(scope="module")
def band() -> Composer:
    return melody.load("band")


def by_bar(score: Score) -> list[list[set[tuple[int, ...]]]]:
    """The notes of each bar of each track, by onset in ticks of 480."""
    lines, scale = bars(score), score.tpq // 480
    found = []
    for track in score.tracks:
        rows = [tuple(map(int, row)) for row in zip(*notes_of(track), strict=True)]
        found.append(
            [
                {(o // scale, d // scale, p, v) for o, d, p, v in rows if start <= o < stop}
                for start, stop in pairwise(lines)
            ]
        )
    return found


def changed(before: Score, after: Score) -> set[tuple[int, int]]:
    """(bar, track) that are not as they were; behind the end of the shorter one is silence."""
    old, new = by_bar(before), by_bar(after)
    return {
        (bar, track)
        for track, (one, other) in enumerate(zip(old, new, strict=True))
        for bar, (was, now) in enumerate(zip_longest(one, other, fillvalue=set[tuple[int, ...]]()))
        if was != now
    }


@pytest.fixture(scope="module")
def take(folk: Composer) -> Take:
    return folk.compose(primer(tune()), bars=8, seed=1)[0]


@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_a_share_comes_anew_and_all_else_is_kept(folk: Composer, take: Take, strength: float):
    settings = as_variation(Settings(), take.score, strength=strength)
    assert settings.fill == (5, 12)
    varied = folk.compose(take.score, settings, seed=3)[0]
    gaps = gaps_of(folk._prepare(take.score, settings), Seed(3, 1))
    named = {(bar - 1, 0) for gap in gaps for bar in range(gap.first, gap.last + 1)}
    assert len(named) == max(1, round(8 * strength))
    assert changed(take.score, varied.score) <= named
    assert changed(take.score, varied.score)
    assert len(bars(varied.score)) == len(bars(take.score))


@pytest.mark.parametrize("seed", [4, 5])  # of the first only one long note reaches beyond a gap that it stands in
def test_tracks_vary_apart(band: Composer, seed: int):
    base = band.compose(bars=4, seed=seed)[0]
    settings = as_variation(Settings(), base.score, strength=0.4)
    prepared = band._prepare(base.score, settings)
    gaps = gaps_of(prepared, Seed(2, 1))
    named = {(bar - 1, int(t) - 1) for gap in gaps for bar in range(gap.first, gap.last + 1) for t in gap.tracks}
    varied = band.compose(base.score, settings, seed=2)[0]
    assert changed(base.score, varied.score) <= named


def test_a_variation_is_composed_again_from_its_settings(folk: Composer, take: Take):
    settings = as_variation(Settings(), take.score)
    first, second = folk.compose(take.score, settings, seed=5, takes=2)
    assert first.to_midi() != second.to_midi()
    again = folk.recompose(json.loads(json.dumps(second.settings)), take.score)
    assert again.to_midi() == second.to_midi()
    own = [marker.text for marker in second.score.markers if marker.text.startswith("melody: ")]
    assert own == ["melody: folk, seed 1, take 1", "melody: folk, seed 5, take 2"]


def test_strength_wants_bars():
    with pytest.raises(UsageError, match="`strength` says how much is composed anew"):
        Settings(strength=0.5)


def test_the_command_line_varies_and_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    melody.write(primer(tune()), "theme.mid")
    assert run(["compose", "theme.mid", "--model", "folk", "--bars", "4", "--seed", "2", "--out", "take.mid"]) == 0
    assert run(["compose", "--like", "take.mid", "--strength", "0.5", "--seed", "7", "--out", "other.mid"]) == 0
    kept, new = read_midi("take.mid").score, read_midi("other.mid").score
    assert {bar for bar, _ in changed(kept, new)} <= {4, 5, 6, 7}
    assert changed(kept, new)
    assert run(["compose", "theme.mid", "--like", "take.mid", "--seed", "7", "--out", "behind.mid"]) == 0
    assert by_bar(read_midi("behind.mid").score) == by_bar(new)
    assert run(["compose", "--replay", "other.mid", "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == Path("other.mid").read_bytes()
