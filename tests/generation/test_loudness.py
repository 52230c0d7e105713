"""Voices of a quartet grow loud and soft together, and go as far beyond what they have played as its players do."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from support.native_trials import check_masks
from symusic import Note, Tempo, TimeSignature, Track

from melody.generation import Composer
from melody.generation.decoders import sampling
from melody.generation.rules.loudness import NEAR, OneLoudness
from melody.generation.rules.playable import Free
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.score import Score, notes_of
from melody.tokens import EventTokenizer, Plan, Reader
from melody.tokens.channels import layout_of, names_of

VOCABULARY = EventTokenizer.vocabulary
PROGRAMS, PITCHES = (40, 40, 41, 42), (76, 67, 60, 48)


@cache
def composer() -> Composer:
    return Composer("quartet")


def quartet(bars: int = 8, loudness: tuple[int, ...] = (90, 50)) -> Score:
    """Four strings whose crotchets go up and down a third, each two bars of another loudness."""
    score = Score(480)
    score.time_signatures = [TimeSignature(0, 4, 4)]
    score.tempos = [Tempo(0, qpm=100)]
    for program, pitch in zip(PROGRAMS, PITCHES, strict=True):
        track = Track("", program)
        ups = (0, 2, 4, 2)
        loud = [loudness[beat // 8 % len(loudness)] for beat in range(4 * bars)]
        track.notes.extend([Note(480 * beat, 460, pitch + ups[beat % 4], loud[beat]) for beat in range(4 * bars)])
        score.tracks.append(track)
    return score


def reader(*read: str) -> Reader:
    """A reader of three tracks in its first bar, behind some tokens."""
    known = Reader(VOCABULARY, Plan(), layout_of(names_of(("read",), 4)))
    header = [token for track in range(3) for token in (f"Track_{track}", "Program_40")]
    return known.read_all([VOCABULARY.id_of[name] for name in ("BOS", *header, "Bar", "TimeSignature_4/4", *read)])


def left(known: Reader, kind: str) -> set[int]:
    """The values of a type that the rule leaves of those that may follow."""
    mask = OneLoudness(VOCABULARY, range(3))(known)
    kept = known.allow() if mask is None else known.allow() & mask
    ids = VOCABULARY.ids[kind]
    return set(np.flatnonzero(kept[ids.start : ids.stop]).tolist())


def bin_of(velocity: str) -> int:
    return VOCABULARY.id_of[velocity] - VOCABULARY.ids["Velocity"].start


TEMPO = VOCABULARY.tokens[VOCABULARY.ids["Tempo"][30]]
LOUD, SOFT = "Velocity_90", "Velocity_50"
FIRST = ("Position_0", TEMPO, "Track_0", LOUD, "Pitch_72", "Duration_24")


def test_the_first_voice_of_a_place_leads_and_the_others_follow() -> None:
    near = set(range(bin_of(LOUD) - NEAR, bin_of(LOUD) + NEAR + 1))
    assert left(reader(*FIRST[:3]), "Velocity") == set(range(32))
    assert left(reader(*FIRST, "Track_1"), "Velocity") == near
    both = (*FIRST, "Track_1", LOUD, "Pitch_60", "Duration_24", "Position_24")
    assert left(reader(*both, "Track_0"), "Velocity") == set(range(32)) - {bin_of(LOUD)}  # it is free to change
    assert left(reader(*both, "Track_0"), "Pitch")
    softer = (*both, "Track_0", SOFT)
    assert left(reader(*softer), "Pitch")
    follows = reader(*softer, "Pitch_74", "Duration_24", "Track_1")
    assert not left(follows, "Pitch")  # it would be too loud
    assert left(follows, "Velocity") == set(range(bin_of(SOFT) - NEAR, bin_of(SOFT) + NEAR + 1))


def test_who_comes_later_falls_in_and_who_plays_alone_goes_on() -> None:
    both = (
        *FIRST,
        "Track_1",
        LOUD,
        "Pitch_60",
        "Duration_24",
        "Position_24",
        "Track_0",
        SOFT,
        "Pitch_74",
        "Duration_12",
    )
    alone = reader(*both, "Position_36", "Track_0")
    assert left(alone, "Pitch")  # its own latest note is later than those of others
    late = reader(*both, "Position_48", "Track_1")
    assert not left(late, "Pitch")
    assert bin_of(SOFT) in left(late, "Velocity")
    assert bin_of("Velocity_110") not in left(late, "Velocity")
    new = reader(*both, "Position_48", "Track_2")
    assert bin_of(SOFT) in left(new, "Velocity")
    assert bin_of(LOUD) not in left(new, "Velocity")


def test_voices_stay_together() -> None:
    """The spread of their means over takes is small with the rule, and not without."""
    spreads = []
    for rules in (composer().bundle.style_rules, []):
        own = Composer(replace(composer().bundle, settings={**composer().bundle.settings, "style_rules": rules}))
        takes = own.compose(quartet(), bars=8, seed=3, takes=6)
        means = [
            [float(np.mean(notes.velocity[notes.onset >= 8 * 1920])) for notes in map(notes_of, take.notation.tracks)]
            for take in takes
        ]
        spreads.append(float(np.mean(np.ptp(means, axis=1))))
    held, free = spreads
    assert held < free / 2, (held, free)


def test_masks_and_takes_are_the_same_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = composer()._prepare(quartet(loudness=(90, 60, 40)), settings_of({"bars": 6}, None))
    (rule,) = (rule for rule in prepared.rules if isinstance(rule, OneLoudness))
    for number in (1, 2, 3):
        seed = Seed(number, 1)
        start = prepared.start([seed])
        drawn = sampling.stream(
            composer().engine, start, prepared.rules, prepared.settings.sampling, [seed.generator()]
        )
        check_masks(start[0], [rule], [token for _, token, _ in drawn])
    native = composer().compose(quartet(), bars=3, seed=4)[0].to_midi()
    monkeypatch.setattr(sampling, "native_loop", lambda *_: None)
    assert composer().compose(quartet(), bars=3, seed=4)[0].to_midi() == native


@pytest.mark.parametrize("beyond", [12, 5])
def test_parts_go_as_far_as_the_bundle_says(beyond: int) -> None:
    bundle = composer().bundle
    assert bundle.settings["range_beyond"] == 12
    own = Composer(replace(bundle, settings={**bundle.settings, "range_beyond": beyond}))
    rooms = own._prepare(quartet(), settings_of({"bars": 4}, None)).rooms
    for place, pitch in enumerate(PITCHES):
        room = rooms[place]
        assert isinstance(room, Free)
        assert np.flatnonzero(room.pitches).tolist() == list(range(pitch - beyond, pitch + 4 + beyond + 1))
