"""The options of `Composer.compose` by name and type, for editors that complete them and for type checkers."""

from collections.abc import Mapping, Sequence
from typing import TypedDict


class Options(TypedDict, total=False):
    """Fields of `Settings` and `Sampling`; there each is explained."""

    bars: int | None
    greedy: bool  # temperature 0
    temperature: float
    top_k: int
    top_p: float | None
    min_p: float
    beam_width: int
    length_penalty: float
    stochastic: bool
    best_of: int | None
    by: str
    key: str | None
    strict_key: bool
    chords: str | None
    strict_chords: bool
    density: str | None
    contour: str | Sequence[float] | None  # semitones
    style: str | None
    fill: tuple[int, int] | None
    rewrite: tuple[int, int] | None  # `fill` in `rounds`
    rounds: int | None
    strength: float | None
    tracks: str | Sequence[str]
    mapping: Mapping[str, str | Sequence[str]]
    with_tracks: str | Sequence[str]
    add: str | Sequence[str]  # parts, as bass or drums:rock
    keep: str | None
    no_repeat: int | None
    ranges: Mapping[str, tuple[int, int]]
    max_polyphony: int | None
    style_rules: bool
    max_copy_bars: float | None
    tempo_qpm: float | None
    meter: tuple[int, int] | None
    ending: bool
    only_new: bool
    loop: bool
    form: str | None
    section: int
    humanize: float | None
    swing: float | tuple[float, int] | None
