"""Chords for a tune, and a tune for chords: what models add to one half of a lead sheet, beside its other half.

The symbols are hidden from the model. Of each half bar of what it adds the chord is heard, and compared with the one
that the sheet has there; and the notes of the tune on strong beats, with both. `drawn` is what chance gives: the
sheet's own chords, in another order.

The other way round the chords are given, as a track that holds them, and `lead` is composed over them by each model
that may be asked for it; its tune stands beside the sheet's: notes on strong beats in the chords, range, share of time
without a note, notes a bar, and steps of two semitones or less.

    python benchmarks/tune_chords.py FOLDER [--tunes 30] [--bars 16] [--takes 1] [--held-out] [--too MODEL] [--json]

FOLDER holds lead sheets in MusicXML with one track and chord symbols, as OpenEWLD's; with --held-out only those count
that the recipe `lead` keeps for valid and test. MODEL is measured both ways beside the shipped ones.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from symusic import Track

import melody
from melody.corpus import lead
from melody.corpus.recipe import load_pieces, recipe_folders
from melody.errors import MelodyError
from melody.generation import Composer
from melody.music.chords import QUALITIES, Chord, Span
from melody.music.heard_chords import chord_tones_on_strong_beats, heard
from melody.music.progressions import held, markers_as_chords
from melody.music.score import Notes, Score, bars, clip, notes_of, set_notes

ASKED: dict[str, dict[str, Any]] = {"band": {"add": "chords"}, "pop": {"with_tracks": "1"}}
SINGING = ("lied", "band")


def held_out(folder: Path) -> list[Path]:
    """The sheets in a folder that no model of lead sheets may learn from."""
    split_of = load_pieces(recipe_folders()["lead"]).split_of
    return [folder / item for item in lead.items(folder) if split_of.get(lead.name_of(item), "train") != "train"]


def sheets(paths: Sequence[Path], count: int, length: int) -> list[tuple[Score, list[Span]]]:
    """Tunes of so many bars, each with its chords."""
    found = []
    for path in paths:
        score = melody.read(path)
        if len(score.tracks) != 1 or len(bars(score)) <= length:
            continue
        tune = clip(score, 0, length)
        spans = markers_as_chords(tune)
        tune.markers = []
        if len({span.chord for span in spans if span.chord}) > 1 and len(tune.tracks[0].notes) >= length:
            found.append((tune, spans))
    step = max(1, len(found) // count)
    return found[::step][:count]


def figures(tune: Score, asked: Sequence[Span], edges: np.ndarray, values: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Counts of half bars with the sheet's root and mode, and of notes on strong beats in the chords: (right, all)."""
    starts = [span.start for span in asked]
    root = third = both = 0
    spans = []
    for start, value in zip(edges[:-1].tolist(), values, strict=True):
        place = int(np.searchsorted(starts, start, side="right")) - 1
        wanted = asked[place].chord.value if place >= 0 and asked[place].chord is not None else 0
        spans.append(Span(start, chord_of(value)))
        if not (value and wanted):
            continue
        both += 1
        root += (value - 1) % 12 == (wanted - 1) % 12
        third += (value - 1) % 12 == (wanted - 1) % 12 and is_minor(value) == is_minor(wanted)
    return {"root": (root, both), "chord": (third, both), "tune": chord_tones_on_strong_beats(tune, spans)}


def chord_of(value: int) -> Chord | None:
    """Return the chord of a channel's value."""
    return None if not value else Chord((value - 1) % 12, (value - 1) // 12, (value - 1) % 12)


def is_minor(value: int) -> bool:
    """Return True for a chord with a minor third."""
    return 3 in QUALITIES[(value - 1) // 12].intervals


def measure(
    composer: Composer, options: Mapping[str, Any], tunes: Sequence[tuple[Score, list[Span]]], takes: int
) -> dict[str, Any]:
    """Shares over all tunes, of what a model adds."""
    total: dict[str, np.ndarray] = {}
    for number, (tune, asked) in enumerate(tunes):
        try:
            found = composer.compose(tune, seed=number, takes=takes, **options)
        except MelodyError as error:
            print(f"left out: {error}")
            continue
        lines = bars(tune)
        edges = np.union1d(lines, (lines[:-1] + lines[1:]) // 2)
        for take in found:
            parts = [notes_of(track) for track in take.score.tracks[1:] if not track.is_drum]
            values = heard(Notes(*map(np.concatenate, zip(*parts, strict=True))), edges)[:, 0].tolist()
            for name, counts in figures(tune, asked, edges, values).items():
                total[name] = total.get(name, np.zeros(2)) + counts
    return {name: round(float(right / max(1, whole)), 3) for name, (right, whole) in total.items()}


def drawn(tunes: Sequence[tuple[Score, list[Span]]], order: np.random.Generator | None) -> dict[str, Any]:
    """The same of the sheets' own chords, in their order or in a drawn one."""
    total: dict[str, np.ndarray] = {}
    for tune, asked in tunes:
        lines = bars(tune)
        edges = np.union1d(lines, (lines[:-1] + lines[1:]) // 2)
        place = np.searchsorted([span.start for span in asked], edges[:-1], side="right") - 1
        values = [asked[p].chord.value if p >= 0 and asked[p].chord else 0 for p in place.tolist()]
        if order is not None:
            values = order.permutation(values).tolist()
        for name, counts in figures(tune, asked, edges, values).items():
            total[name] = total.get(name, np.zeros(2)) + counts
    return {name: round(float(right / max(1, whole)), 3) for name, (right, whole) in total.items()}


def tune_figures(tune: Notes, score: Score, asked: Sequence[Span]) -> dict[str, float]:
    """Figures of a tune over chords; of the `score` it is the only track."""
    fitting, strong = chord_tones_on_strong_beats(score, asked)
    length = int(bars(score)[-1])
    sounding = np.zeros(length, bool)
    for onset, duration in zip(tune.onset.tolist(), tune.duration.tolist(), strict=True):
        sounding[onset : onset + duration] = True
    leaps = np.abs(np.diff(tune.pitch[np.argsort(tune.onset, kind="stable")]))
    return {
        "in chords": fitting / max(1, strong),
        "range": float(np.ptp(tune.pitch)),
        "rests": 1 - float(sounding.mean()),
        "notes a bar": len(tune.onset) / (len(bars(score)) - 1),
        "steps": float((leaps <= 2).mean()),
    }


def over_chords(
    tunes: Sequence[tuple[Score, list[Span]]], composers: Mapping[str, Composer], takes: int
) -> dict[str, dict[str, float]]:
    """The mean figures of tunes that are composed over the sheets' chords, and of the sheets' own."""
    sides: dict[str, list[dict[str, float]]] = {name: [] for name in (*composers, "the sheets")}
    for number, (tune, asked) in enumerate(tunes):
        chords = Track("Chords", 0, False)
        set_notes(chords, held(asked, bars(tune)))
        given = with_track(tune, chords)
        lines = {"the sheets": [tune.tracks[0]]}
        for name, composer in composers.items():
            found = composer.compose(given, seed=number, takes=takes, add="lead")
            lines[name] = [take.score.tracks[-1] for take in found]
        for side, tracks in lines.items():
            sides[side] += [tune_figures(notes_of(track), with_track(tune, track), asked) for track in tracks]
    return {
        side: {name: round(float(np.mean([row[name] for row in rows])), 2) for name in rows[0]}
        for side, rows in sides.items()
    }


def with_track(score: Score, track: Track) -> Score:
    """The score with this track alone."""
    result = score.copy()
    result.tracks = [track]
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tunes", type=int, default=30)
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--too", action="append", default=[], metavar="MODEL")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths = held_out(options.folder) if options.held_out else sorted(options.folder.rglob("*.mxl"))
    tunes = sheets(paths, options.tunes, options.bars)
    asked = ASKED | {name: {"add": "chords"} for name in options.too}
    rows = {name: measure(melody.load(name), adding, tunes, options.takes) for name, adding in asked.items()}
    rows |= {"the sheets": drawn(tunes, None), "drawn": drawn(tunes, np.random.default_rng(0))}
    sung = over_chords(tunes, {name: melody.load(name) for name in (*SINGING, *options.too)}, options.takes)
    if options.json:
        print(json.dumps({"tunes": len(tunes), **rows, "over chords": sung}))
        return
    print(f"{len(tunes)} tunes of {options.bars} bars: half bars with the sheet's root, its chord; tune in the chords")
    for name, row in rows.items():
        print(f"{name:12} {row['root']:.2f} {row['chord']:.2f} {row['tune']:.2f}")
    print("tunes over the sheets' chords")
    for name, row in sung.items():
        print(f"{name:12} " + ", ".join(f"{figure} {value:.2f}" for figure, value in row.items()))


if __name__ == "__main__":
    main()
