"""Steering: how far the model itself does what it is asked: chords, density, endings, harmonising, filling, loops.

Rules make some wishes hold whatever the model is like; here they are off where that is possible, so that the figures
say what the context channels taught it. Held-out pieces are those of the valid split.

    python benchmarks/steering.py [--model chorale] [--takes 50] [--pieces 30] [--json]
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import melody
from melody.corpus import open_store
from melody.evaluation.likelihood import token_nats
from melody.generation import Composer, Take
from melody.generation.decoders import DECODERS, Continuation
from melody.generation.gap_score import nats_after
from melody.generation.prepared import Prepared, prepare
from melody.generation.rules.density import HoldDensity
from melody.generation.seeds import Seed
from melody.generation.settings import settings_of
from melody.music.heard_chords import chord_tones_on_strong_beats
from melody.music.key import key_of_signature
from melody.music.progressions import laid_out, parse_progression
from melody.music.score import TICKS_PER_QUARTER, Score, bars, notes_of
from melody.music.voice_leading import ends_on_tonic
from melody.tokens import EventTokenizer, Plan
from melody.tokens.conditions import Conditions

PROGRESSIONS = ("Am F C G", "C G/B Am F", "Dm7 G7 | C", "Em C | G D", "Bb F | Gm Eb | F7 Bb")
TOKENIZER = EventTokenizer()


def chords(composer: Composer, takes: int) -> list[dict[str, Any]]:
    """Chord tones on strong beats: held to the chords, as the model likes with them, and without; the same seeds."""
    rows = []
    for text in PROGRESSIONS:
        asked = {"strict": {"chords": text}, "loose": {"chords": text, "strict_chords": False}, "none": {}}
        row: dict[str, Any] = {"chords": text}
        for name, options in asked.items():
            found = composer.compose(takes=takes, seed=1, bars=8, meter=(4, 4), **options)
            row[name] = _share([_chord_tones(take, text) for take in found])
        rows.append(row)
    return rows


def _chord_tones(take: Take, text: str) -> tuple[int, int]:
    spans = laid_out(parse_progression(text), bars(take.score), TICKS_PER_QUARTER)
    return chord_tones_on_strong_beats(take.score, spans)


def _share(counts: Sequence[tuple[int, int]]) -> float:
    fitting, strong = np.sum(counts, axis=0)
    return float(fitting / strong)


def densities(composer: Composer, takes: int) -> list[dict[str, Any]]:
    """Onsets a quarter where the model is told a density and no rule holds it to that."""
    rows = []
    for density in (None, "low", "medium", "high"):
        prepared = prepare(composer.bundle, composer.engine, None, settings_of({"meter": (4, 4), "density": density}))
        free = replace(prepared, rules=[rule for rule in prepared.rules if not isinstance(rule, HoldDensity)])
        found = composer._compose(free, 2, range(1, takes + 1))
        rows.append({"density": density or "not told", "onsets a quarter": float(np.mean([*map(_onsets, found)]))})
    return rows


def _onsets(take: Take) -> float:
    lines = bars(take.score)
    onsets = np.unique(np.concatenate([notes_of(track).onset for track in take.score.tracks]))
    return float(np.histogram(onsets, lines)[0][:-1].mean() / (lines[1] / TICKS_PER_QUARTER))


def endings(composer: Composer, takes: int) -> list[dict[str, Any]]:
    """Count the takes that end with the tonic chord on a strong beat."""
    rows = []
    for name, rules in (("with style rules", True), ("without", False)):
        found = composer.compose(takes=takes, seed=3, bars=8, style_rules=rules)
        closed = sum(ends_on_tonic(take.score, _key(take.score)) for take in found)
        rows.append({"endings": name, "tonic": closed / takes})
    return rows


def _key(score: Score) -> Any:
    stated = score.key_signatures[0]
    return key_of_signature(stated.key, stated.tonality)


def harmonised(composer: Composer, pieces: Sequence[Score]) -> list[dict[str, Any]]:
    """Nats a note of the lower voices' tokens in held-out pieces, the soprano told and not; both know its past."""
    rows = []
    for name, told in (("soprano told", True), ("not told", False)):
        nats = notes = 0.0
        for score in pieces:
            ids = TOKENIZER.encode(score)
            plan = TOKENIZER.plan_of(ids)
            if told:
                table = Conditions(int(TOKENIZER.ticks(ids).max()) + 1)
                table.tell_notes(0, notes_of(score.tracks[0]), np.ones(len(table), bool))
                plan = replace(plan, foreseen=table)
            below = _of_lower_voices(ids)
            nats += float(_nats(ids, plan, composer)[below[1:]].sum())
            notes += sum(len(track.notes) for track in score.tracks[1:])
        rows.append({"lower voices": name, "nats a note": nats / notes})
    return rows


def _of_lower_voices(ids: np.ndarray) -> np.ndarray:
    """Mark the tokens that are pitches and durations of other tracks than the first."""
    kinds = [TOKENIZER.vocabulary.kind_of[token] for token in ids.tolist()]
    track, result = -1, np.zeros(len(ids), bool)
    for place, (kind, token) in enumerate(zip(kinds, ids.tolist(), strict=True)):
        if kind == "Track":
            track = token - TOKENIZER.vocabulary.ids["Track"].start
        result[place] = kind in ("Pitch", "Duration", "Sustain") and track > 0
    return result


def _nats(ids: np.ndarray, plan: Plan, composer: Composer) -> np.ndarray:
    return token_nats([ids], composer.bundle, composer.engine, plan=plan)[0][0]


def filled(composer: Composer, pieces: Sequence[Score]) -> list[dict[str, Any]]:
    """Nats of the two bars behind a gap of four: filled by the composer himself, or by the model, told what follows."""
    sums: dict[str, list[float]] = {"Bach": [], "told, best of 4": [], "told": [], "not told": [], "left empty": []}
    for number, score in enumerate(pieces):
        if len(bars(score)) - 1 < 9:
            continue
        prepared = prepare(composer.bundle, composer.engine, score, settings_of({"fill": (4, 7), "best_of": 4}))
        drawn = [one.ids for one in drawn_for(composer, prepared, number, 4)]
        after = nats_after(prepared, drawn, composer.engine, composer.bundle)
        sums["told"].append(after[0])
        sums["told, best of 4"].append(min(after))
        blind = prepare(composer.bundle, composer.engine, score, settings_of({"fill": (4, 7)}), told=False)
        drawn = [one.ids for one in drawn_for(composer, blind, number, 1)]
        sums["not told"] += nats_after(blind, drawn, composer.engine, composer.bundle)
        assert prepared.primer is not None
        ids = prepared.primer.view.ids
        line = [place for place, token in enumerate(ids) if token == prepared.ids[-1]]
        sums["Bach"] += nats_after(prepared, [ids[len(prepared.ids) : line[7]]], composer.engine, composer.bundle)
        sums["left empty"] += nats_after(prepared, [[]], composer.engine, composer.bundle)
    return [{"gap filled by": name, "nats of the two bars after it": float(np.mean(n))} for name, n in sums.items()]


def returns(composer: Composer, takes: int) -> list[dict[str, Any]]:
    """Eight bars that close, and loops: if the last bar goes on, and nats of the first two bars behind it."""
    rows = []
    for name, options in (("closed", {}), ("loop", {"loop": True, "best_of": 1}), ("loop, best of 4", {"loop": True})):
        found = composer.compose(bars=8, meter=(4, 4), takes=takes, seed=1, **options)
        fullness, still = np.mean([_last_bar(take.notation) for take in found], axis=0).tolist()
        row = {"end": name, "onsets of the last bar, of a usual one": fullness, "quarters after the last onset": still}
        after = [take.nats_after for take in found if take.nats_after is not None]
        rows.append({**row, "nats of the first two bars": float(np.mean(after)) if after else float("nan")})
    return rows


def _last_bar(score: Score) -> tuple[float, float]:
    lines = bars(score)
    onsets = np.unique(np.concatenate([notes_of(track).onset for track in score.tracks]))
    counts = np.histogram(onsets, lines)[0]
    return counts[-1] / max(1.0, counts[:-1].mean()), (lines[-1] - onsets[-1]) / score.tpq


def drawn_for(composer: Composer, prepared: Prepared, seed: int, count: int) -> list[Continuation]:
    """Candidates for take 1."""
    seeds = [Seed(seed, 1, candidate) for candidate in range(1, count + 1)]
    return DECODERS["sampling"].decode(prepared, composer.engine, seeds)


def held_out(composer: Composer, count: int) -> list[Score]:
    """The first pieces of the valid split."""
    split = open_store(composer.bundle.settings["corpus"]).split("valid")
    return [TOKENIZER.decode(split.piece(index)[0]) for index in range(min(count, len(split)))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="chorale")
    parser.add_argument("--takes", type=int, default=50)
    parser.add_argument("--pieces", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    composer = melody.load(options.model)
    pieces = held_out(composer, options.pieces)
    tables: Mapping[str, list[dict[str, Any]]] = {
        "chord tones on strong beats": chords(composer, options.takes),
        "density, without its rule": densities(composer, options.takes),
        "endings": endings(composer, options.takes),
        "harmonising": harmonised(composer, pieces),
        "filling": filled(composer, pieces),
        "loops": returns(composer, options.takes),
    }
    if options.json:
        print(json.dumps(tables, indent=1))
        return
    from melody.cli.output import table_lines

    for title, rows in tables.items():
        print("\n".join(["", title, *table_lines(rows, dict.fromkeys(rows[0], _shown))]))


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
