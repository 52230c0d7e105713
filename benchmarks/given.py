"""Given music: what a model composes around a tune, into a gap, and over a take, beside what people wrote there.

Held-out pieces are those of the valid split; nothing is left out.

- tune: around the first track of what followed, the share of its notes on strong beats that belong to the chord of
  their half bar, as the other tracks have it
- over: a tune over the last track alone, as `--with Piano`: its notes in a bar and its bars of silence, and the
  share of its notes on strong beats that belong to the chord of their half bar
- gap: four bars are filled; of those where the composer's bars stand elsewhere in the piece, too, the share in which
  the new ones do (nearly: a mean likeness of 0.6 and more), and the nats of the two bars behind
- like: a take of 16 bars is varied, its gaps filled note after note, in rounds, or as `--like` chooses; the share of
  its bars that stay to the note, of its notes that stand in the variation, parallels, cadences, nats a note, and the
  critic's AUC of the take beside its variation

    python benchmarks/given.py tune [--model pop] [--pieces 40]
    python benchmarks/given.py over [--model pop] [--pieces 60]
    python benchmarks/given.py gap [--model folk] [--pieces 60]
    python benchmarks/given.py like [--model chorale] [--pieces 24]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import melody
from melody.cli.output import table_lines
from melody.corpus import TokenStore, open_store
from melody.corpus.pieces import quantize_on_places
from melody.evaluation.continuations import Cut, continued_around, cuts
from melody.evaluation.critic import FOLDS, judge
from melody.evaluation.form import NEARLY, Excerpt
from melody.evaluation.harmony import Harmony, cadences
from melody.generation import Composer
from melody.generation.settings import Settings
from melody.generation.variation import as_variation
from melody.music.chords import OCTAVE, Chord
from melody.music.heard_chords import heard
from melody.music.score import Notes, Score, clip
from melody.music.voice_leading import parallels, slices, voices
from melody.tokens.plan import DRUM_HIT, Bar, bars_of, key_of, likeness

GAP = 4  # bars
STRENGTHS = (0.3, 0.6)
WAYS = {"note after note": None, "16 rounds": 16, "the better of them": 0}  # rounds that are asked for
Row = dict[str, Any]


def around_tunes(composer: Composer, store: TokenStore, count: int) -> list[Row]:
    """The share of chord tones, of the model's bars and of those that followed."""
    found: dict[str, list[bool]] = {"as it stood": [], composer.bundle.name: []}
    for seed, cut in enumerate(cuts(store, composer.bundle, count, ("valid",))):
        if not any(track == 0 for bar in cut.followed for _, track, *_ in bar):
            continue  # the tune rests
        found["as it stood"] += fitting(cut, cut.followed)
        found[composer.bundle.name] += fitting(cut, continued_around(composer, cut, seed))
    return [
        {"around the tune": name, "chord tones": float(np.mean(fits)), "notes": len(fits)}
        for name, fits in found.items()
    ]


def over_parts(composer: Composer, store: TokenStore, count: int) -> list[Row]:
    """The model's tunes over the last track, which stands alone throughout, and the songs' own."""
    tracks = composer.bundle.tracks
    found: dict[str, list[tuple[Cut, Sequence[Bar]]]] = {"as it stood": [], composer.bundle.name: []}
    for seed, cut in enumerate(cuts(store, composer.bundle, count)):
        music = [*cut.given, *cut.followed]
        if not {0, len(tracks) - 1} <= {track for bar in music for _, track, *_ in bar}:
            continue
        alone = clip(cut.score, 0, len(music))
        del alone.tracks[:-1]
        alone.tracks[0].name = tracks[-1].name
        (take,) = composer.compose(alone, with_tracks=(tracks[-1].name,), seed=seed)
        found["as it stood"].append((cut, music))
        order, names = take.score.copy(), [track.name for track in tracks]
        order.tracks = sorted(order.tracks, key=lambda track: names.index(track.name))  # what is given stands first
        found[composer.bundle.name].append((cut, bars_as_heard(composer, order)[: len(music)]))
    return [_tunes(name, music) for name, music in found.items()]


def _tunes(name: str, music: Sequence[tuple[Cut, Sequence[Bar]]]) -> Row:
    notes = [sum(event[1] == 0 for event in bar) for _, new in music for bar in new]
    fits = [fit for cut, new in music for fit in fitting(cut, new)]
    figures = {
        "notes a bar": np.mean(notes),
        "silent bars": np.mean(np.array(notes) == 0),
        "chord tones": np.mean(fits),
    }
    return {"over what is given": name, **{what: float(value) for what, value in figures.items()}}


def fitting(cut: Cut, new: Sequence[Bar]) -> list[bool]:
    """Of each note of the tune on a strong beat, whether it belongs to the chord that the others have."""
    length, half = cut.bar_ticks, cut.bar_ticks // 2
    rows = [
        (bar * length + place, duration, hit, track)
        for bar, events in enumerate(new)
        for place, track, hit, _, duration in events
        if hit < DRUM_HIT and place < length
    ]
    table_of = np.array(sorted(rows), np.int64).reshape(-1, 4)
    tune, others = (table_of[mask] for mask in (table_of[:, 3] == 0, table_of[:, 3] != 0))
    nothing = np.zeros(len(others), np.int64)
    edges = np.arange(0, len(new) * length + half, half)
    chords = [
        Chord((value - 1) % OCTAVE, (value - 1) // OCTAVE, bass - 1) if value else None
        for value, bass in heard(Notes(others[:, 0], others[:, 1], others[:, 2], nothing), edges).tolist()
    ]
    return [
        pitch % OCTAVE in chord.classes
        for onset, _, pitch, _ in tune.tolist()
        if onset % half == 0 and (chord := chords[onset // half]) is not None
    ]


def gaps(composer: Composer, store: TokenStore, count: int) -> list[Row]:
    """Gaps of four bars on phrase lines, one a piece, filled and as they stood."""
    rows: dict[str, list[tuple[bool, float]]] = {"as it stood": [], composer.bundle.name: []}
    split, tokenizer = store.split("valid"), composer.bundle.tokenizer
    generator = np.random.default_rng(0)
    for index in range(min(count, len(split))):
        ids = split.piece(index)[0]
        music, pickup = bars_of(ids.tolist())
        phrases = (len(music) - pickup) // GAP
        if phrases < 4:
            continue
        first = pickup + GAP * int(generator.integers(1, phrases - 1))
        score = tokenizer.decode(ids)
        (take,) = composer.compose(score, fill=(first + 1, first + GAP), seed=index, best_of=1)
        filled, _ = bars_of(tokenizer.spell(quantize_on_places(take.notation)).tolist())
        rows["as it stood"].append((stands_elsewhere(music, first), float("nan")))
        rows[composer.bundle.name].append((stands_elsewhere(filled, first), take.nats_after or float("nan")))
    known = [said for said, _ in rows["as it stood"]]
    return [
        {
            "gap": name,
            "stands elsewhere": float(np.mean([said for said, _ in found])),
            "where the composer's does": float(
                np.mean([said for (said, _), of in zip(found, known, strict=True) if of])
            ),
            "nats behind": float(np.mean([nats for _, nats in found])),
            "gaps": len(found),
        }
        for name, found in rows.items()
    ]


def stands_elsewhere(music: Sequence[Bar], first: int) -> bool:
    """Return true where these four bars are nearly those at another place."""
    keys = [key_of(bar) for bar in music]
    places = [place for place in range(len(keys) - GAP + 1) if abs(place - first) >= GAP]
    means = [np.mean([likeness(keys[place + bar], keys[first + bar]) for bar in range(GAP)]) for place in places]
    return max(means, default=0.0) >= NEARLY


def likes(composer: Composer, store: TokenStore, count: int) -> list[Row]:
    """Takes of the model and their variations, at several strengths and by each way: one draw a gap."""
    takes = [composer.compose(bars=16, seed=seed, meter=(4, 4))[0] for seed in range(count)]
    before = [bars_as_heard(composer, take.score) for take in takes]
    own = figures(composer, [take.score for take in takes], before, before, float("nan"))
    rows = [{"strength": 0.0, "by": "the takes", **own, "seconds": float("nan")}]
    for strength in STRENGTHS:
        for way, rounds in WAYS.items() if composer.bundle.rewriter else [("note after note", None)]:
            varied, began = [], time.process_time()
            for seed, take in enumerate(takes):
                asked = replace(as_variation(Settings(best_of=1), take.score, None, strength), rounds=rounds)
                varied += composer.compose(take.score, asked, seed=seed)
            seconds = (time.process_time() - began) / count
            after = [bars_as_heard(composer, take.score) for take in varied]
            nats = float(np.mean([take.nats_per_note for take in varied]))
            found = figures(composer, [take.score for take in varied], before, after, nats)
            rows.append({"strength": strength, "by": way, **found, "seconds": seconds})
    return rows


def bars_as_heard(composer: Composer, score: Score) -> list[Bar]:
    """The bars of a take, each with its events."""
    return list(bars_of(composer.bundle.tokenizer.spell(quantize_on_places(score)).tolist())[0])


def figures(
    composer: Composer, scores: Sequence[Score], before: Sequence[list[Bar]], after: Sequence[list[Bar]], nats: float
) -> Row:
    """What stays of takes, and what their variations are like."""
    pairs = [pair for one, other in zip(before, after, strict=True) for pair in zip(one, other, strict=False)]
    notes = sum(len(track.notes) for score in scores for track in score.tracks)
    same = [len(key_of(one) & key_of(other)) for one, other in pairs]
    found = sum(len(parallels(slices(voices(score)))) for score in scores)
    harmonies = [Harmony.of(Excerpt(bars, 0)) for bars in after]
    told = float("nan")
    if np.isfinite(nats) and len(before) > 2 * FOLDS:
        told = judge([one[:4] for one in before], [one[4:] for one in after], [one[4:] for one in before]).all
    return {
        "bars that stay": float(np.mean([key_of(one) == key_of(other) for one, other in pairs])),
        "notes that stay": sum(same) / max(1, sum(len(key_of(one)) for one, _ in pairs)),
        "parallels per 1,000 notes": 1000 * found / notes,
        "cadences in 16 bars": cadences(harmonies, sum(len(bars) for bars in after)),
        "nats a new note": nats,
        "critic": told,
    }


FIGURES: dict[str, tuple[Callable[[Composer, TokenStore, int], list[Row]], str, int]] = {
    "tune": (around_tunes, "pop", 40),
    "over": (over_parts, "pop", 60),
    "gap": (gaps, "folk", 60),
    "like": (likes, "chorale", 12),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(FIGURES))
    parser.add_argument("--model")
    parser.add_argument("--pieces", type=int)
    options = parser.parse_args(arguments)
    measure, model, pieces = FIGURES[options.what]
    composer = melody.load(options.model or model)
    rows = measure(composer, open_store(composer.bundle.settings["corpus"]), options.pieces or pieces)
    shown = dict.fromkeys(rows[0], lambda value: f"{value:.3f}" if isinstance(value, float) else str(value))
    print("\n".join(table_lines(rows, shown)))


if __name__ == "__main__":
    main()
