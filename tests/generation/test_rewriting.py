"""Rewriting: bars come anew all at once, all else is kept to the note, and what is asked for holds."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.primers import primer, tune, voices
from support.tiny_bundle import write_rewriting_bundle

import melody
from melody.bundle import open_bundle
from melody.cli import run
from melody.errors import MelodyError, UsageError
from melody.formats.midi import parse, read_midi
from melody.generation import Composer
from melody.generation.settings import Settings, settings_of
from melody.music.score import Score, bars, end_tick, notes_of

NAMES = ["Soprano", "Alto", "Tenor", "Bass"]


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(write_rewriting_bundle(tmp_path_factory.mktemp("bundle") / "voices"))


@pytest.fixture(scope="module")
def song() -> Score:
    tracks = voices()
    for track, name in zip(tracks, NAMES, strict=True):
        track.name = name
    return primer(*tracks)


def inside(score: Score, first: int, last: int) -> list[set[tuple[int, ...]]]:
    """The notes of each track that begin in these bars (from 1), in ticks of 480."""
    lines, scale = bars(score), score.tpq // 480
    start, stop = lines[first - 1] // scale, lines[last] // scale
    rows = [[(o // scale, d // scale, p, v) for o, d, p, v in zip(*notes_of(t), strict=True)] for t in score.tracks]
    return [{tuple(map(int, row)) for row in track if start <= row[0] < stop} for track in rows]


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_what_is_kept_is_kept_to_the_note(composer: Composer, song: Score, rounds: int) -> None:
    (take,) = composer.compose(song, rewrite=(2, 3), rounds=rounds, seed=1, best_of=1)
    for first, last in ((1, 1), (4, 4)):
        assert inside(take.score, first, last) == inside(song, first, last)
    assert inside(take.score, 2, 3) != inside(song, 2, 3)
    assert len(bars(take.score)) == len(bars(song))
    lines = bars(take.score)
    for track in inside(take.score, 2, 3):
        assert all(onset + duration <= lines[3] for onset, duration, _, _ in track)
        ordered = sorted(track)
        assert all(one[0] + one[1] <= other[0] for one, other in pairwise(ordered))  # single lines
        assert all(onset % 120 == 0 for onset, *_ in ordered)


def test_one_track_comes_anew_and_the_others_stay(composer: Composer, song: Score) -> None:
    (take,) = composer.compose(song, rewrite=(2, 4), tracks="Tenor", seed=2, best_of=1)
    kept, now = inside(song, 1, 4), inside(take.score, 1, 4)
    assert [one == other for one, other in zip(kept, now, strict=True)] == [True, True, False, True]


def test_notes_that_ring_into_the_bars_stay(composer: Composer, song: Score) -> None:
    longer = song.copy()
    longer.tracks[1].notes[3].duration = 960  # over the bar line
    longer.tracks[1].notes = [note for index, note in enumerate(longer.tracks[1].notes) if index != 4]
    (take,) = composer.compose(longer, rewrite=(2, 2), rounds=4, seed=3, best_of=1)
    assert inside(take.score, 1, 1) == inside(longer, 1, 1)
    assert all(onset >= 1920 + 480 for onset, *_ in inside(take.score, 2, 2)[1])


def test_equal_seeds_equal_bytes_and_others_others(composer: Composer, song: Score) -> None:
    first, second = composer.compose(song, rewrite=(2, 3), rounds=3, seed=4, takes=2)
    (again,) = composer.compose(song, rewrite=(2, 3), rounds=3, seed=4)
    assert again.to_midi() == first.to_midi()
    assert second.to_midi() != first.to_midi()
    rebuilt = composer.recompose(json.loads(json.dumps(second.settings)), song)
    assert rebuilt.to_midi() == second.to_midi()
    whole = parse(first.to_midi(), "take").score
    assert inside(whole, 1, 4) == inside(first.score, 1, 4)


def test_ranges_hold_and_nobody_makes_parallels(composer: Composer, song: Score) -> None:
    (take,) = composer.compose(
        song, rewrite=(2, 3), ranges={"Alto": (55, 62)}, key="C major", strict_key=True, seed=5, best_of=2, rounds=4
    )
    pitches = {pitch for _, _, pitch, _ in inside(take.score, 2, 3)[1]}
    assert pitches
    assert pitches <= {55, 57, 59, 60, 62}
    assert take.breaches is not None
    assert take.breaches.parallels == 0


def test_the_last_bars_close_on_the_tonic(composer: Composer, song: Score) -> None:
    (take,) = composer.compose(song, rewrite=(3, 4), rounds=4, key="C major", seed=6, best_of=1)
    last = [max(track) for track in inside(take.score, 4, 4)]
    assert {onset for onset, *_ in last} == {4 * 1920 - 960}
    assert {pitch % 12 for _, _, pitch, _ in last} <= {0, 3, 4, 7}
    assert last[-1][2] % 12 == 0
    assert end_tick(take.score) * 480 // take.score.tpq == 4 * 1920


def test_rewriting_is_told_no_chords_and_no_plan(composer: Composer, song: Score) -> None:
    (take,) = composer.compose(song, rewrite=(2, 3), tracks="Alto", seed=7, best_of=1)
    assert "harmony" not in take.settings
    assert take.settings["rewriter"] == composer.bundle.settings["files"]["rewriter.safetensors"]
    assert "plan" not in take.settings
    assert take.settings["rounds"] == 0
    assert not any("filled" in message for message in take.messages)


@pytest.mark.parametrize("options", [{"chords": "C F"}, {"no_repeat": 4}])
def test_what_holds_from_note_to_note_alone_is_filled_and_said(
    composer: Composer, song: Score, options: dict[str, Any]
) -> None:
    (take,) = composer.compose(song, rewrite=(2, 2), tracks="Alto", seed=1, best_of=1, **options)
    assert f"filled, not rewritten: `{next(iter(options))}` is kept note after note" in take.messages


def test_a_model_without_a_rewriter_fills() -> None:
    folk, song = melody.load("folk"), primer(tune())
    (take,) = folk.compose(song, rewrite=(2, 3), seed=1)
    (filled,) = folk.compose(song, fill=(2, 3), seed=1)
    assert inside(take.score, 1, 4) == inside(filled.score, 1, 4)
    assert "filled, not rewritten: folk composes note after note" in take.messages


@pytest.mark.parametrize("tracks", [(), ("Alto", "Bass")])
def test_where_most_voices_come_anew_bars_are_filled_unless_rounds_are_asked_for(
    composer: Composer, song: Score, tracks: tuple[str, ...]
) -> None:
    (take,) = composer.compose(song, rewrite=(2, 3), tracks=tracks, seed=1, best_of=1)
    (filled,) = composer.compose(song, fill=(2, 3), tracks=tracks, seed=1, best_of=1)
    (asked,) = composer.compose(song, rewrite=(2, 3), tracks=tracks, rounds=1, seed=1, best_of=1)
    assert inside(take.score, 1, 4) == inside(filled.score, 1, 4) != inside(asked.score, 1, 4)
    assert any(message.startswith("filled, not rewritten: most voices come anew") for message in take.messages)


def test_a_variation_is_rewritten_too(composer: Composer, song: Score) -> None:
    (take,) = composer.compose(song, rewrite=(1, 4), strength=0.25, seed=8, best_of=1)
    same = [
        inside(take.score, bar, bar)[track] == inside(song, bar, bar)[track]
        for bar in range(1, 5)
        for track in range(4)
    ]
    assert 12 <= sum(same) < 16


def test_what_is_drawn_at_once_cannot_be_followed(composer: Composer, song: Score) -> None:
    with pytest.raises(UsageError, match="rewritten all at once"):
        next(composer.stream(song, rewrite=(2, 3), rounds=2, best_of=1))


def test_settings_say_what_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="`rounds` says how often bars are gone over"):
        Settings(rounds=4)
    with pytest.raises(UsageError, match="`fill` and `rewrite` both say which bars"):
        settings_of({"fill": (1, 2), "rewrite": (1, 2)})
    assert settings_of({"rewrite": (1, 2)}).fill == (1, 2)
    assert "rounds" not in Settings().to_dict()


def test_the_command_line_rewrites_and_replays(
    composer: Composer, song: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    melody.write(song, "song.mid")
    model = ["--model", str(composer.bundle.folder)]
    asked = ["--rewrite", "2-3", "--track", "Alto", "--rounds", "3", "--seed", "3", "--out", "new.mid"]
    assert run(["compose", "song.mid", *model, *asked]) == 0
    assert inside(read_midi("new.mid").score, 4, 4) == inside(read_midi("song.mid").score, 4, 4)
    assert run(["compose", "--replay", "new.mid", *model, "--out", "again.mid"]) == 0
    assert Path("again.mid").read_bytes() == Path("new.mid").read_bytes()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_absurd_weights_are_one_line(composer: Composer, song: Score) -> None:
    absurd = Composer(composer.bundle.folder)
    assert absurd.bundle.rewriter is not None
    absurd.bundle.rewriter.weights["head.bias"][:] = np.inf
    with pytest.raises(MelodyError, match="the rewriter gives no numbers"):
        absurd.compose(song, rewrite=(2, 3), tracks="Alto", seed=1, best_of=1)


def test_a_bundle_holds_a_rewriter_or_none(composer: Composer) -> None:
    assert composer.bundle.rewriter is not None
    assert composer.bundle.rewriter.voices == 4
    assert open_bundle("folk").rewriter is None
